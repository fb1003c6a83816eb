"""Trained networks that are kept ready to listen, side by side."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.choice import BackendOption
from shd_genn.encode.audio import read_audio
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.encoder import Encoder, Spikes
from shd_genn.encode.filter_bank import FilterBank
from shd_genn.encode.options import usual_encoder
from shd_genn.record.run_folder import RunFolder
from shd_genn.serve.ready import Ready
from shd_genn.serve.stream import WordStream
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError, refuse_unless
from shd_genn.train.inference import opened

LONGEST_S = 5.0
"""Seconds of a recording that are listened to."""
POINTS = 400
"""Points of a line in the page, at most."""
MOST_STREAMS = 12
"""Streams whose state is kept; the oldest one is forgotten first."""
MOST_SPIKES = 20_000
"""Spikes of a population that are drawn, at most."""


class Listener:
    """Runs that answer recordings, one recording at a time; a context manager.

    Args:
        runs: Folders of runs.
        backend: What computes; None: the backend that trained each run.
        trust_model: The user consents to execute the folders' model files.

    Raises:
        ConfigError: if a folder is no run, or its code cannot be made here.
    """

    def __init__(
        self, runs: Sequence[Path], backend: BackendOption | None = None, trust_model: bool = False
    ) -> None:
        refuse_unless(bool(runs), "no run is given", "give the folder of one or more runs")
        self._runs, self._backend, self._trust = runs, backend, trust_model
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._streams: OrderedDict[str, list[WordStream]] = OrderedDict()
        self.ready: list[Ready] = []

    def __enter__(self) -> Self:
        """Compile all networks."""
        try:
            for path in self._runs:
                self._open(path)
            for encoder in {r.encoder.code: r.encoder for r in self.ready}.values():
                if isinstance(encoder, Cochlea):
                    encoder.prepare(RATE)  # so that the first word need not wait for it
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Free all networks."""
        self._stack.close()

    def _open(self, path: Path) -> None:
        folder = RunFolder.open(path)
        data = folder.environment.dataset
        encoder = _encoder(path, data.code, data.channels)
        simulator, _ = self._stack.enter_context(opened(folder, self._backend, self._trust))
        name = path.resolve().name
        self.ready.append(Ready(name, folder, simulator, data.words, encoder))

    @property
    def streams(self) -> bool:
        """Whether all runs hear streams: those that were trained on the filter bank do."""
        return all(isinstance(run.encoder, FilterBank) for run in self.ready)

    def hear(self, key: str, sound: NDArray[np.int16]) -> dict[str, Any]:
        """What all runs hear in the next piece of a stream.

        Args:
            key: Of the stream; a new one begins a stream.
            sound: 16 kHz, (n_samples,).

        Returns:
            Plain values: ``ended``, words that have ended, and ``so_far``, what an unfinished word
            would be; for each ``run``, ``word``, ``probability``, ``end_ms`` in the stream.

        Raises:
            ConfigError: if a run does not hear streams.
        """
        refuse_unless(
            self.streams,
            "a stream needs runs that were trained on the filterbank code, but one was not",
            "record single words, or serve runs of that code",
        )
        with self._lock:
            if key not in self._streams:
                self._streams[key] = [WordStream(run) for run in self.ready]
                while len(self._streams) > MOST_STREAMS:
                    self._streams.popitem(last=False)
            streams = self._streams[key]
            ended = [vars(heard) for stream in streams for heard in stream.push(sound)]
            so_far = [vars(heard) for stream in streams if (heard := stream.so_far()) is not None]
        return {"ended": ended, "so_far": so_far}

    def listen(self, sound: Path) -> dict[str, Any]:
        """What all runs answer to a recording, as the page draws it.

        Args:
            sound: A sound file.

        Returns:
            Plain values: ``duration_ms``, ``waveform``, and ``answers``, one a run; see `_answer`.

        Raises:
            DataError: if the file is no recording, or silent.
        """
        audio = read_audio(sound, RATE, LONGEST_S)
        with self._lock:  # a network answers one at a time
            spikes: dict[str, tuple[Spikes, float]] = {}
            answers = []
            for run in self.ready:
                key = f"{run.encoder.code} {run.encoder.n_channels}"
                if key not in spikes:
                    begun = time.perf_counter()
                    spikes[key] = run.encoder.encode(audio, 0), time.perf_counter() - begun
                answers.append(_answer(run, *spikes[key]))
        return {
            "duration_ms": 1000 * len(audio) / RATE,
            "waveform": _envelope(audio),
            "answers": answers,
        }


def _encoder(run: Path, code: str, channels: int) -> Encoder:
    """The encoder of a run's dataset, with its usual options."""
    encoder = usual_encoder(code, channels)
    if encoder is None:
        raise ConfigError(
            f"{run} was trained on {channels} channels of the {code} code, which cannot be made of "
            "a recording here; serve a run that was trained on recordings"
        )
    return encoder


def _answer(run: Ready, spikes: Spikes, encoding_s: float) -> dict[str, Any]:
    """What a run makes of the spikes of a recording.

    Returns:
        ``run``, ``word``, ``ranking`` (word, probability), ``encode_ms`` and ``network_ms``,
        ``trial_ms``, ``rasters`` (name, size, times in ms, neurons), ``times_ms`` and ``voltages``
        (one list a class, thinned out), ``words``.
    """
    begun = time.perf_counter()
    events = run.presented(spikes)
    p = run.probabilities(events)
    network_s = time.perf_counter() - begun
    recorded, recording = Events.of([spikes]), run.simulator.record(events)
    n = len(run.words)
    order = np.argsort(-p, kind="stable")
    voltages, dt_ms = recording.voltages[0], run.simulator.config.dt_ms
    stride = max(1, -(-len(voltages) // POINTS))
    rasters = [
        _raster("input", run.encoder.n_channels, recorded),
        *(_raster(p.name, p.size, recording.spikes[p.name]) for p in run.simulator.network.hidden),
    ]
    return {
        "run": run.name,
        "code": run.encoder.code,
        "word": run.words[order[0]],
        "ranking": [[run.words[i], round(float(p[i]), 4)] for i in order[:5].tolist()],
        "best": int(order[0]),
        "encode_ms": round(1000 * encoding_s, 1),
        "network_ms": round(1000 * network_s, 1),
        "trial_ms": run.simulator.config.trial_ms,
        "rasters": rasters,
        "times_ms": (np.arange(1, len(voltages) + 1)[::stride] * dt_ms).round(2).tolist(),
        "voltages": voltages[::stride, :n].T.astype(np.float64).round(4).tolist(),
        "words": list(run.words),
    }


def _raster(name: str, size: int, events: Events) -> dict[str, Any]:
    times_ms, neurons = events.sample(0)
    step = max(1, -(-len(times_ms) // MOST_SPIKES))
    return {
        "name": name,
        "size": size,
        "spikes": len(times_ms),
        "times_ms": times_ms[::step].astype(np.float64).round(1).tolist(),
        "neurons": neurons[::step].tolist(),
    }


def _envelope(audio: NDArray[np.floating]) -> list[list[float]]:
    """Lowest and highest value of each stretch of a recording."""
    parts = np.array_split(audio, min(POINTS, len(audio)))
    return [[round(float(part.min()), 4), round(float(part.max()), 4)] for part in parts]
