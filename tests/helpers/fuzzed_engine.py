"""What computes: networks of any constants, and the C++ entry points with any arguments."""

import io
import os
import random
from functools import cache
from pathlib import Path

import numpy as np

from shd_genn.backends.choice import get
from shd_genn.backends.native.layout import BACKWARD_ARGUMENTS, FORWARD_ARGUMENTS, SPIKES_ARGUMENTS
from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.methods import EventProp
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
    output_neuron,
)
from shd_genn.spikes.events import Events
from shd_genn.support.errors import DataError, ShdGennError


def numbers(folder: Path) -> list[bytes]:
    return [random.Random(i).randbytes(400) for i in range(9)] + [bytes(128)]


class _Stream:
    """Bytes as numbers that a network or a call is made of; zeros when there are no more."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        return int.from_bytes(self._content.read(2), "little") % n

    def one_of(self, values):
        """One of some values."""
        return values[self.below(len(values))]

    def number(self) -> float:
        """Usual, extreme or any float64."""
        usual, extreme = (1.0, 5.0, 20.0, 0.1), (0.0, -1.0, 1e-46, 1e-38, 1e38, 1e300, 3e9, 65535.0)
        match self.below(30):
            case 29:
                return self.one_of(extreme)
            case 28:
                raw = self._content.read(8).ljust(8, b"\0")
                return float(np.frombuffer(raw, np.float64)[0])
            case 27:
                return self.one_of((np.nan, np.inf, -np.inf))
        return self.one_of(usual)


def compute(content: bytes, path: Path) -> None:
    """A network of any constants and sizes on spikes at any times: refused, or finite numbers."""
    stream = _Stream(content)
    n_inputs, n_hidden, n_out = (n - stream.below(n + 1) for n in (40, 70, 5))
    source = Population("input", SpikeInput(), n_inputs)
    hidden = Population("hidden", LeakyIntegrateFire(stream.number(), stream.number()), n_hidden)
    output = Population("output", output_neuron("avg_var_exp_weight", stream.number()), n_out)
    late = {"delay": stream.number(), "max_delay_steps": 20 + stream.below(200)}
    weights = Dense(Normal(stream.number(), stream.number()))
    synapse = Exponential(stream.number())
    network = Network(
        (source, hidden, output),
        (
            Connection(source, hidden, weights, synapse, **late),
            Connection(hidden, hidden, weights, synapse),
            Connection(hidden, output, weights, synapse),
        ),
    )
    n = 1 + stream.below(5)
    counts = [stream.below(30) for _ in range(n)]
    times = np.array([10 * stream.number() for _ in range(sum(counts))], np.float64)
    with np.errstate(over="ignore"):
        times_ms = times.astype(np.float32)
    channels = np.array([stream.below(n_inputs + stream.below(60) // 59) for _ in times], np.uint16)
    events = Events(times_ms, channels, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
    labels = np.array([stream.below(n_out) for _ in range(n)])
    config = CompileConfig(
        1 + stream.below(60), dt_ms=stream.number(), n_threads=1 + stream.below(2)
    )
    with np.errstate(all="ignore"), get("native").compile(network, EventProp(), config) as engine:
        result = engine.train_batch(events, labels, stream.number())
        recording = engine.record(events)
    spikes = result.spike_counts["hidden"]
    assert spikes.min(initial=0) >= 0 and spikes.max(initial=0) <= config.n_steps
    assert recording.spikes["hidden"].channels.max(initial=0) < n_hidden


@cache
def _engine(process: int):
    """An engine whose entry points are called; its threads belong to one process."""
    source = Population("input", SpikeInput(), 40)
    hidden = Population("hidden", LeakyIntegrateFire(20.0, 1.0), 20)
    output = Population("output", output_neuron("avg_var_exp_weight", 20.0), 5)
    dense, synapse = Dense(Normal(0.2, 0.1)), Exponential(5.0)
    connections = (
        Connection(source, hidden, dense, synapse),
        Connection(hidden, output, dense, synapse),
    )
    network = Network((source, hidden, output), connections)
    return get("native").compile(network, EventProp(), CompileConfig(50, n_threads=2))


def call_engine(content: bytes, path: Path) -> None:
    """The entry points of C++ with pointers, sizes and indices that Python would never pass."""
    stream, engine = _Stream(content), _engine(os.getpid())
    library, handle = engine._library, engine._handle
    sizes = (-(2**31), -1, 0, 1, 2, 3, 4, 5, 50, 51, 2**31 - 1)
    extremes = (-(2**63), -1, 2**31, 2**40, 2**63 - 1)
    times = np.linspace(-5, 60, 64).astype(np.float32)
    channels = np.array([stream.below(42) for _ in range(64)], np.uint16)
    n_trials = stream.below(4)
    ends = sorted(stream.below(65) for _ in range(n_trials + 1))
    offsets = np.array(ends, np.int64)
    if stream.below(4) == 0:
        offsets[stream.below(len(offsets))] = stream.one_of(extremes)
    readout, voltages = np.empty((4, 5), np.float32), np.empty((4, 50, 5), np.float32)
    counts = [np.empty(4, np.int32), np.empty((4, 20), np.int32), np.empty((4, 5), np.int32)]

    def pointer(array) -> int | None:
        return None if stream.below(12) == 0 else array.ctypes.data

    outcomes = 0
    for _ in range(1 + stream.below(4)):
        try:
            match stream.below(3):
                case 0:
                    places = np.array([pointer(array) or 0 for array in counts], np.uintp)
                    library.forward(
                        handle,
                        FORWARD_ARGUMENTS(
                            times_ms=pointer(times),
                            channels=pointer(channels),
                            offsets=pointer(offsets),
                            n_spikes=stream.one_of((64, 64, 64, 0, -1, 3)),
                            n_trials=stream.one_of((n_trials, n_trials, n_trials, 0, -1, -(2**31))),
                            keep=bool(stream.below(2)),
                            learn=bool(stream.below(2)),
                            lag=stream.one_of((0, 0, 0, 1, -1)),
                            silent=None,
                            noise_key=0,
                            readout=pointer(readout),
                            counts=pointer(places),
                            voltages=pointer(voltages),
                        ),
                    )
                case 1:
                    drive, jump = np.zeros((4, 5), np.float32), np.zeros(64, np.float32)
                    places = np.array([0, pointer(jump) or 0, 0], np.uintp)
                    library.backward(
                        handle,
                        BACKWARD_ARGUMENTS(
                            n_trials=stream.one_of((n_trials, n_trials, *sizes)),
                            drive=pointer(drive),
                            regulariser=pointer(places),
                            feedback=None,
                            near_steps=None,
                        ),
                    )
                case 2:
                    neurons, begin = np.empty(64 * 50, np.int32), np.empty(51, np.int32)
                    library.spikes(
                        handle,
                        SPIKES_ARGUMENTS(
                            trial=stream.one_of(sizes),
                            population=stream.one_of(sizes),
                            n=stream.one_of(sizes),
                            neurons=pointer(neurons),
                            begin=pointer(begin),
                        ),
                    )
            outcomes += 1
        except ShdGennError as error:
            assert "report this" in str(error)
    if not outcomes:
        raise DataError("no call was accepted; pass what Python passes")
