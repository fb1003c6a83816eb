"""One peer in a process of its own: it gets ready, then trains whenever it receives a message.

The process sees only as many cores as the setting allows. A thread ends it when it holds more
memory than the limit. A limit of the system would count memory that a library reserves but does
not use.
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
"""Exit code of a process that exceeded its memory limit."""
MB = 1024 * 1024


TURN_S = 0.25
"""Least duration of a turn in s."""


@dataclass(frozen=True)
class Ready:
    """Message: the peer is ready to be timed.

    Attributes:
        setup_s: Time to make the network, in s.
        warm_up_s: Time to find the input weights and for the first batch, in s, compiling included.
        batch_size: Number of samples in a batch.
        spikes_per_neuron: Spikes per hidden neuron and sample.
    """

    setup_s: float
    warm_up_s: float
    batch_size: int
    spikes_per_neuron: float


@dataclass(frozen=True)
class Trained:
    """Message: a turn is done; time of each batch in s, and peak memory of the network in MB."""

    seconds: tuple[float, ...]
    memory_growth_mb: float


@dataclass(frozen=True)
class Failure:
    """Message: the peer failed; the reason in one line."""

    why: str


def serve(pipe: Connection, name: PeerName, setting: Setting, limit_gb: float) -> None:
    """Measure a peer; a child process runs this.

    Args:
        pipe: The process sends a `Ready`, then a `Trained` for every message that it receives,
            until the pipe is closed. If something fails, it sends a `Failure`.
        name: The peer.
        setting: The work.
        limit_gb: Memory limit of the process in GB.
    """
    _use_cores(setting.threads)
    _watch_memory(limit_gb)
    try:
        _serve(pipe, load(name), setting)
    except EOFError:
        pass  # the harness has closed the pipe: no more turns
    except Exception as error:  # whatever a library raises is a result of the comparison
        pipe.send(Failure(_short(error)))


def _serve(pipe: Connection, kind: PeerClass, setting: Setting) -> None:
    batch = Batch.synthetic(kind.batch_size).through(setting)
    placed = kind.place(setting, batch)
    # made before memory is measured, and kept to the end: they do not count as the peer's
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
    """Scale a peer's input weights until its hidden neurons spike as often as the setting says.

    Args:
        peer: The peer; it receives the weights.
        setting: Its ``spikes_per_neuron`` is the target.
        weights: Weights before scaling.

    Returns:
        Spikes per hidden neuron and sample with the scaled weights.
    """

    def activity(scale: float) -> float:
        scaled = weights["input_hidden0"] * np.float32(scale)
        peer.set_weights({**weights, "input_hidden0": scaled})
        return float(peer.spike_counts().mean())

    return activity(scale_to_activity(activity, setting.spikes_per_neuron))


def _turn(work: Callable[[], object]) -> tuple[float, ...]:
    """Time of each batch of a turn in s.

    Fast peers train on several batches, because caches are cold after the turns of other peers.
    """
    times: list[float] = []
    while sum(times) < TURN_S:
        times.append(_seconds(work))
    return tuple(times)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _use_cores(n: int) -> None:
    """Let this process, and libraries that it imports later, use only ``n`` cores."""
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
    """Memory that this process holds in MB; its peak where only that is known."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * mmap.PAGESIZE / MB
    return _peak_mb()


def _peak_mb() -> float:
    """Peak memory of this process in MB; on Linux since `_forget_peak_mb`."""
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    return peak_memory() / MB


def _forget_peak_mb() -> float:
    """Reset the peak to the memory that is held now; returns that memory in MB."""
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
