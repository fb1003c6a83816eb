"""One peer in a process of its own: made ready, it trains a batch whenever it is told to.

The process has as many cores as it may compute with, and ends itself when it has taken more memory
than it may: libraries that map a lot and use little could not be limited otherwise.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from shd_genn.bench.activity import scale_to_activity
from shd_genn.bench.peers.case import Batch, Setting, Weights
from shd_genn.bench.peers.libraries import Peer, PeerClass, PeerName, load
from shd_genn.support.machine import peak_memory

OUT_OF_MEMORY = 77
"""Exit code of a process that took more memory than it may."""
MB = 1024 * 1024


TURN_S = 0.25
"""Seconds that a turn takes at least."""


@dataclass(frozen=True)
class Ready:
    """What is known before time is taken.

    Attributes:
        setup_s: Making the network, in seconds.
        warm_up_s: Finding the input weights and the first batch, with all that is compiled for it.
        batch_size: Samples of a batch.
        spikes_per_neuron: Hidden activity, per sample.
    """

    setup_s: float
    warm_up_s: float
    batch_size: int
    spikes_per_neuron: float


@dataclass(frozen=True)
class Trained:
    """A turn: seconds of each of its batches, and the most memory that the network has taken."""

    seconds: tuple[float, ...]
    memory_growth_mb: float


@dataclass(frozen=True)
class Failure:
    """Why there is nothing to measure, in one line."""

    why: str


def serve(pipe: Connection, name: PeerName, setting: Setting, limit_gb: float) -> None:
    """Measure a peer; a child process runs this.

    Args:
        pipe: Sends a `Ready`, then a `Trained` for everything that comes, until it is closed; or a
            `Failure`.
        name: The peer.
        setting: The work.
        limit_gb: Memory that the process may take.
    """
    _use_cores(setting.threads)
    _watch_memory(limit_gb)
    try:
        _serve(pipe, load(name), setting)
    except EOFError:
        pass  # nobody asks for more
    except Exception as error:  # whatever a library raises is a result of the comparison
        pipe.send(Failure(_short(error)))


def _serve(pipe: Connection, kind: PeerClass, setting: Setting) -> None:
    batch = Batch.synthetic(kind.batch_size)
    placed = kind.place(setting, batch)
    # made before memory is taken, and kept to the end: these are not the peer's
    weights = setting.network.initial_parameters(seed=0)
    before_mb = _forget_peak_mb()
    start = time.perf_counter()
    peer = kind(setting, placed)
    try:
        setup_s = time.perf_counter() - start
        start = time.perf_counter()
        spikes = match_activity(peer, setting, weights)
        peer.train_batch()
        warm_up_s = time.perf_counter() - start
        pipe.send(Ready(setup_s, warm_up_s, kind.batch_size, spikes))
        while True:
            pipe.recv()
            pipe.send(Trained(_turn(peer.train_batch), _peak_mb() - before_mb))
    finally:
        peer.close()


def match_activity(peer: Peer, setting: Setting, weights: Weights) -> float:
    """Scale the input weights of a peer until its hidden neurons spike as often as wanted.

    Args:
        peer: Gets the weights.
        setting: Says how often.
        weights: With input weights to be scaled.

    Returns:
        Spikes per hidden neuron and sample with these weights.
    """

    def activity(scale: float) -> float:
        scaled = weights["input_hidden0"] * np.float32(scale)
        peer.set_weights({**weights, "input_hidden0": scaled})
        return float(peer.spike_counts().mean())

    return activity(scale_to_activity(activity, setting.spikes_per_neuron))


def _turn(work: Callable[[], object]) -> tuple[float, ...]:
    """Seconds of each batch: of fast peers several, as caches are cold after the others' turns."""
    times: list[float] = []
    while sum(times) < TURN_S:
        times.append(_seconds(work))
    return tuple(times)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _use_cores(n: int) -> None:
    """Let this process, and what it imports from now on, see as many cores as it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(n)


def _watch_memory(limit_gb: float) -> None:
    def watch() -> None:
        while _resident_mb() < 1024 * limit_gb:
            time.sleep(0.1)
        os._exit(OUT_OF_MEMORY)

    threading.Thread(target=watch, daemon=True).start()


def _resident_mb() -> float:
    """Memory that this process holds; where the system does not tell, its peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * mmap.PAGESIZE / MB
    return _peak_mb()


def _peak_mb() -> float:
    """The most memory that this process has held (since `_forget_peak_mb`, on Linux)."""
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    return peak_memory() / MB


def _forget_peak_mb() -> float:
    """Let the peak be what is held now, which is returned."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    return _resident_mb()


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    memory = ("RESOURCE_EXHAUSTED", "can't allocate memory", "Out of memory")
    if isinstance(error, MemoryError) or any(words in text for words in memory):
        return "out of memory"
    return f"failed: {type(error).__name__}: {text}"[:200]
