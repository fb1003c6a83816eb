"""All peers of a setting take turns, batch by batch, each in a process of its own.

What slows the machine down for a while so slows all of them. What a peer cannot do within its
limits of time and memory is a result, too.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

import numpy as np

from shd_genn.bench.peers.case import Setting
from shd_genn.bench.peers.libraries import LIBRARIES, PeerName
from shd_genn.bench.peers.worker import OUT_OF_MEMORY, Failure, Ready, Trained, serve

Said = TypeVar("Said")


@dataclass(frozen=True)
class Limits:
    """What each peer may take of each setting.

    Attributes:
        repetitions: Turns of a quarter of a second, or a batch, that are timed.
        seconds: For everything: import, compiling, warming up, and all repetitions; where time
            runs out during repetitions, those that are done count.
        memory_gb: Memory of the process.
    """

    repetitions: int
    seconds: float
    memory_gb: float


@dataclass
class Measured:
    """What is known of a peer in a setting.

    Attributes:
        peer: Its name.
        result: ``measured``, or why it was not.
        ready: Set-up, warm-up and activity, if it came so far.
        turns: What was timed.
    """

    peer: PeerName
    result: str = "measured"
    ready: Ready | None = None
    turns: list[Trained] = field(default_factory=list)

    @property
    def ms_per_sample(self) -> tuple[float, float]:
        """The fastest batch and the median; nan if there is none."""
        if not self.turns or self.ready is None:
            return float("nan"), float("nan")
        ms = 1000 * np.concatenate([turn.seconds for turn in self.turns]) / self.ready.batch_size
        return float(ms.min()), float(np.median(ms))


def measure(
    setting: Setting,
    peers: Sequence[PeerName],
    limits: Limits,
    advance: Callable[..., None] = lambda steps=1, note="": None,
) -> list[Measured]:
    """Measure peers in a setting.

    Args:
        setting: The work.
        peers: Which; each is told to train in turn.
        limits: Of each.
        advance: Told of each turn that is done, or will not be; and of each peer made ready.

    Returns:
        One result a peer, in order.
    """
    running = [_Running(Measured(name), setting, limits) for name in peers]
    try:
        for each in running:
            advance(0, f"{each.measured.peer}: compiling and warming up")
            each.start()
            advance(1, f"{each.measured.peer}: ready")
        for _ in range(limits.repetitions):
            for each in running:
                each.train()
                advance(1, each.measured.peer)
        for each in running:
            each.end(patience_s=10)  # what it has begun itself it may clear away
    finally:
        for each in running:
            each.end()
    return [each.measured for each in running]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Running:
    """A peer's process, and the time that it has used."""

    def __init__(self, measured: Measured, setting: Setting, limits: Limits) -> None:
        self.measured = measured
        self._setting, self._limits = setting, limits
        self._used = 0.0
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        arguments = (theirs, self.measured.peer, self._setting, self._limits.memory_gb)
        self._process = spawn.Process(target=serve, args=arguments, daemon=False)
        # Ctrl-C is this process's alone, which ends that one: it inherits that it is not told
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with _environment(LIBRARIES[self.measured.peer].environment):
                self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.measured.ready = self._hear(Ready)

    def train(self) -> None:
        """One more turn, if there is time for it."""
        turns = self.measured.turns
        no_time = turns and self._used + sum(turns[-1].seconds) > self._limits.seconds
        if self._pipe is None or no_time:
            return
        with suppress(BrokenPipeError, ConnectionResetError):  # it died since: heard of next
            self._pipe.send("train")
        if (trained := self._hear(Trained)) is not None:
            turns.append(trained)

    def end(self, patience_s: float = 0) -> None:
        """End the process; there is nothing in it to be kept."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.join(patience_s)
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None

    def _hear(self, kind: type[Said]) -> Said | None:
        """What the process says next; None if it fails, dies or is out of time, which ends it."""
        assert self._pipe is not None and self._process is not None
        start = time.monotonic()
        left = max(0.0, self._limits.seconds - self._used)
        in_time = bool(wait([self._pipe, self._process.sentinel], left))
        self._used += time.monotonic() - start
        said = None
        with suppress(EOFError, ConnectionResetError):  # it died
            said = self._pipe.recv() if self._pipe.poll() else None
        if isinstance(said, kind):
            return said
        if isinstance(said, Failure):
            self.measured.result = said.why
        elif in_time:
            self._process.join()
            self.measured.result = self._death(self._process.exitcode or 0)
        elif not self.measured.turns:
            self.measured.result = f"over {self._limits.seconds:g} s"
        if self.measured.result != "measured":
            self.measured.turns.clear()
        self.end()
        return None

    def _death(self, code: int) -> str:
        if code == OUT_OF_MEMORY:
            return f"out of memory (over {self._limits.memory_gb:g} GB)"
        if code == -signal.SIGKILL:
            return "out of memory (killed by the system)"
        return f"failed: its process ended with exit code {code}"
