"""Bytes that nobody has checked, given to all that reads: an error of ours or a right result.

A target takes bytes. It returns whether they were read, checks what was read, and lets every
exception pass that is not a `ShdGennError`.
"""

import io
import os
import random
import re
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import optuna

from analysis.tools.studies import read_study
from helpers import fakes, small
from shd_genn.backends.choice import get
from shd_genn.backends.native.layout import BACKWARD_ARGUMENTS, FORWARD_ARGUMENTS, SPIKES_ARGUMENTS
from shd_genn.backends.protocols import CompileConfig
from shd_genn.config import Config
from shd_genn.config.toml import from_toml, load_toml, to_toml
from shd_genn.encode.audio import check_audio, read_audio
from shd_genn.encode.recordings import find_recordings
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
from shd_genn.record import checkpoints
from shd_genn.record.rows import EpochRow, read_rows, write_rows
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import read_summary, write_summary
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import read_spikes, write_spikes
from shd_genn.support.errors import DataError, ShdGennError
from shd_genn.sweep.storage import opened, patiently

VALUE = re.compile(rb"(?<=[=,:])[ ]*[^=,:\s]+")
"""A value in TOML, JSON or CSV."""
Draw = Callable[[int], int]
"""``draw(n)``: a whole number from 0 to n - 1."""
NUMBERS = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
]
"""Numbers at which something begins or ends."""
WORDS = [
    *(b"nan", b"inf", b"-1", b"1e999", b"1e-46", b"99999999999999999999", b"true", b"null", b"[]"),
    *(b"{}", b'""', b"\x00", b"\xff", b"\xef\xbb\xbf", b",", b";", b"\n", b"\r", b'"', b"..", b"~"),
]
"""Text at which something begins or ends."""
VALUES = [
    *WORDS,
    *(str(n).encode() for n in NUMBERS),
    b" 0.5",
    b" -0.0",
    b' "step"',
    b" [3, 4]",
    b" 7",
]


def mutate(content: bytes, draw: Draw, others: list[bytes]) -> bytes:
    """Some bytes, changed in one to eight places, most often in one."""
    changed = bytearray(content)
    for _ in range(1 + draw(1 + draw(8))):
        at = draw(len(changed) + 1)
        match draw(10):
            case 8 | 9 if values := list(VALUE.finditer(changed)):
                value = values[draw(len(values))]
                word = VALUES[draw(len(VALUES))]
                changed[value.start() : value.end()] = word
            case 0:  # a bit
                if at < len(changed):
                    changed[at] ^= 1 << draw(8)
            case 1:
                changed[at:at] = bytes(draw(256) for _ in range(1 + draw(4)))
            case 2:
                del changed[at : at + 1 + draw(16)]
            case 3:
                number = NUMBERS[draw(len(NUMBERS))]
                size = (1, 2, 4, 8)[draw(4)]
                order = ("little", "big")[draw(2)]
                changed[at : at + size] = (number % 256**size).to_bytes(size, order)
            case 4:
                word = WORDS[draw(len(WORDS))]
                changed[at : at + (len(word) if draw(2) else 0)] = word
            case 5:  # a piece again, somewhere else
                start = draw(len(changed) + 1)
                changed[at:at] = changed[start : start + 1 + draw(32)]
            case 6:
                other = others[draw(len(others))]
                start = draw(len(other) + 1)
                changed[at:at] = other[start : start + 1 + draw(64)]
            case _:
                del changed[at:]
    return bytes(changed)


@dataclass(frozen=True)
class Target:
    """Something that reads.

    Attributes:
        seeds: Makes files that it reads, in a folder.
        read: Reads some bytes with the help of a path that may be written; checks the result.
    """

    seeds: Callable[[Path], list[bytes]]
    read: Callable[[bytes, Path], None]

    def accepts(self, content: bytes, path: Path) -> bool:
        """Whether bytes are read; False if they are refused in words."""
        try:
            self.read(content, path)
        except ShdGennError as error:
            assert str(error) and "; " in str(error), f"an error without a cure: {error}"
            return False
        return True


class Payload:
    """What unpickling would execute."""

    def __reduce__(self):
        return os.abort, ()


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _configs(folder: Path) -> list[bytes]:
    from shd_genn.config.presets import PRESETS

    return [to_toml(Config()).encode(), *(to_toml(p.config).encode() for p in PRESETS.values())]


def _read_config(content: bytes, path: Path) -> None:
    config = load_toml(_file(path, content))
    assert from_toml(to_toml(config)) == config


def _manifests(folder: Path) -> list[bytes]:
    return [
        b"file,word,speaker\nx.wav,yes,anna\nx.wav,no,\n",
        b"\xef\xbb\xbffile;word\r\nx.wav;ja\r\n",
        b'"file"\t"word"\n"x.wav"\t"a\nb"\n',
    ]


def _read_manifest(content: bytes, path: Path) -> None:
    found = find_recordings(_file(path.with_suffix(".csv"), content))
    assert found.recordings or found.bad
    assert all(recording.word for recording in found.recordings)


def _tables(folder: Path) -> list[bytes]:
    runs = fakes.write(folder)
    return [(runs / "metrics.csv").read_bytes(), (runs / "predictions.csv").read_bytes()]


def _read_table(content: bytes, path: Path) -> None:
    rows = read_rows(_file(path, content), EpochRow)
    write_rows(path, rows)
    assert str(read_rows(path, EpochRow)) == str(rows)  # NaN is not itself


def _summaries(folder: Path) -> list[bytes]:
    runs = fakes.write(folder)
    return [(runs / name).read_bytes() for name in ("summary.json", "environment.json")]


def _read_summary(content: bytes, path: Path) -> None:
    summary = read_summary(_file(path, content))
    assert summary is not None
    write_summary(path, summary)
    assert str(read_summary(path)) == str(summary)


def _read_environment(content: bytes, path: Path) -> None:
    folder = RunFolder(path.parent)
    _file(path.parent / "environment.json", content)
    assert folder.environment.dataset


class _Net:
    """As much of a learner as a checkpoint needs."""

    def __init__(self) -> None:
        self.weights = {"a_b": np.zeros((3, 4), np.float32), "b.tau_mem": np.ones(4, np.float32)}
        self.state = {"step": np.array(3), "m_a_b": np.zeros((3, 4), np.float32)}

    def parameters(self):
        return self.weights

    def optimiser_state(self):
        return self.state

    def set_parameters(self, parameters):
        assert {k: a.shape for k, a in parameters.items()} == {
            k: a.shape for k, a in self.weights.items()
        }
        assert all(np.isfinite(a).all() for a in parameters.values())

    def set_optimiser_state(self, state):
        assert int(state["step"]) == state["step"]


def _checkpoints(folder: Path) -> list[bytes]:
    checkpoints.save(folder / "a.npz", _Net(), 3, "0123456789abcdef")
    compressed, objects = io.BytesIO(), io.BytesIO()
    np.savez_compressed(compressed, epoch=np.array(3), a=np.zeros(1000))
    np.savez(objects, epoch=np.array([Payload()], object), metrics_digest=np.array("x"))
    return [(folder / "a.npz").read_bytes(), compressed.getvalue(), objects.getvalue()]


def _read_checkpoint(content: bytes, path: Path) -> None:
    assert checkpoints.restore(_file(path.with_suffix(".npz"), content), _Net()).epoch >= 1


def _datasets(folder: Path) -> list[bytes]:
    write_spikes(folder / "a.h5", small.dataset([0, 1, 0], [0, 1, 0], speaker_names=("a", "b")))
    small.raw(folder / "b.h5", [[0.0, 0.5]] * 2, [[1, 2]] * 2, [0, 1], n_channels=8)
    return [(folder / name).read_bytes() for name in ("a.h5", "b.h5")]


def _read_dataset(content: bytes, path: Path) -> None:
    dataset = read_spikes(_file(path.with_suffix(".h5"), content), "x")
    events, n = dataset.events, len(dataset)
    assert n == len(events) == len(dataset.labels) == len(dataset.speakers) > 0
    assert events.channels.max(initial=0) < dataset.n_channels
    assert np.isfinite(events.times_ms).all() and events.times_ms.min(initial=0) >= 0
    falls = np.flatnonzero(np.diff(events.times_ms) < 0) + 1
    assert np.isin(falls, events.offsets).all()
    assert 0 <= dataset.labels.min() and dataset.labels.max() < dataset.n_classes


def _sounds(folder: Path) -> list[bytes]:
    import soundfile

    tone = 0.1 * np.sin(np.arange(800) / 5)
    kinds = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")]
    kinds += [("AIFF", "PCM_24"), ("AU", "ULAW"), ("W64", "PCM_16"), ("CAF", "ALAW")]
    sounds = []
    for kind, coding in kinds:
        buffer = io.BytesIO()
        soundfile.write(buffer, tone, 16000, coding, format=kind)
        sounds.append(buffer.getvalue())
    return sounds


def _read_sound(content: bytes, path: Path) -> None:
    check_audio(_file(path.with_suffix(".wav"), content), 0.001, 10.0, cut=True)
    sound = read_audio(path.with_suffix(".wav"), 16000, 10.0)
    assert sound.ndim == 1 and np.isfinite(sound).all() and len(sound) <= 16000 * 10 + 1


def _studies(folder: Path) -> list[bytes]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    study = optuna.create_study(study_name="study", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    storage.remove_session()
    storage.engine.dispose()
    with sqlite3.connect(folder / "study.db") as connection:
        connection.execute("VACUUM")
    connection.close()
    return [(folder / "study.db").read_bytes()]


def _read_study(content: bytes, path: Path) -> None:
    """As a figure reads it, then as a sweep that goes on with it."""
    path = path.with_suffix(".db")
    for beside in path.parent.glob(f"{path.name}*"):
        beside.unlink()
    for study in read_study(_file(path, content)):
        assert study.objectives
    with opened(path, 20) as storage:
        for summary in patiently(storage.get_all_studies, 0.0):
            study = optuna.load_study(study_name=summary.study_name, storage=storage)
            patiently(lambda study=study: study.get_trials(deepcopy=False), 0.0)


def _numbers(folder: Path) -> list[bytes]:
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


def _compute(content: bytes, path: Path) -> None:
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


def _call_engine(content: bytes, path: Path) -> None:
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


TARGETS = {
    "toml": Target(_configs, _read_config),
    "csv": Target(_manifests, _read_manifest),
    "tables": Target(_tables, _read_table),
    "summary": Target(_summaries, _read_summary),
    "environment": Target(_summaries, _read_environment),
    "checkpoints": Target(_checkpoints, _read_checkpoint),
    "hdf5": Target(_datasets, _read_dataset),
    "audio": Target(_sounds, _read_sound),
    "study": Target(_studies, _read_study),
    "network": Target(_numbers, _compute),
    "engine": Target(_numbers, _call_engine),
}
"""Name → what reads."""


@cache
def seeds(name: str) -> list[bytes]:
    """Files that a target reads."""
    with tempfile.TemporaryDirectory() as folder:
        return TARGETS[name].seeds(Path(folder))


def example(name: str, seed: int, number: int) -> bytes:
    """The bytes of an execution of the campaign: always the same."""
    rng = random.Random(f"{name} {seed} {number}")
    files = seeds(name)
    return mutate(files[rng.randrange(len(files))], rng.randrange, files)
