"""All peers of a setting take turns, batch by batch, each in a process of its own.

So what slows the machine down for a while slows all of them. A peer that exceeds its limits of time
or memory is not an error: the table says so.
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
from shd_genn.support.interruption import held_back

Message = TypeVar("Message")


@dataclass(frozen=True)
class Limits:
    """Limits of each peer in each setting.

    Attributes:
        repetitions: Number of turns that are timed.
        seconds: Time for everything in s: import, compiling, warming up, and all repetitions. If
            it runs out during the repetitions, those that are done count.
        memory_gb: Memory of the process in GB.
    """

    repetitions: int
    seconds: float
    memory_gb: float


@dataclass
class Measured:
    """The result of a peer in a setting.

    Attributes:
        peer: The peer's name.
        result: ``measured``, or the reason why there is no measurement.
        ready: Set-up, warm-up and activity; None if the peer did not get that far.
        turns: The timed turns.
    """

    peer: PeerName
    result: str = "measured"
    ready: Ready | None = None
    turns: list[Trained] = field(default_factory=list)

    @property
    def ms_per_sample(self) -> tuple[float, float]:
        """The fastest batch and the median batch, in ms per sample; nan if there is none."""
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
        peers: The peers; they train in turn.
        limits: Limits of each peer.
        advance: Called after each turn that is done or left out, and when a peer is ready.

    Returns:
        A result for each peer, in the order of ``peers``.
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
            each.end(patience_s=10)  # time to clean up
    finally:
        for each in running:
            each.end()
    return [each.measured for each in running]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started in this context."""
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
    """A peer's process, and the time that it has used so far."""

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
        # the child inherits that Ctrl-C is blocked: only this process gets it, and ends the child
        with held_back(), _environment(LIBRARIES[self.measured.peer].environment):
            self._process.start()
        theirs.close()
        self.measured.ready = self._receive(Ready)

    def train(self) -> None:
        """Let the peer train for one more turn, if there is time for it."""
        turns = self.measured.turns
        no_time = turns and self._used + sum(turns[-1].seconds) > self._limits.seconds
        if self._pipe is None or no_time:
            return
        with suppress(BrokenPipeError, ConnectionResetError):  # it died; _receive finds out
            self._pipe.send("train")
        if (trained := self._receive(Trained)) is not None:
            turns.append(trained)

    def end(self, patience_s: float = 0) -> None:
        """End the process: wait up to ``patience_s`` seconds for its end, then kill it."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.join(patience_s)
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None

    def _receive(self, kind: type[Message]) -> Message | None:
        """The process's next message. If it fails, dies or is too slow: None, and it is ended."""
        assert self._pipe is not None and self._process is not None
        start = time.monotonic()
        left = max(0.0, self._limits.seconds - self._used)
        in_time = bool(wait([self._pipe, self._process.sentinel], left))
        self._used += time.monotonic() - start
        message = None
        with suppress(EOFError, ConnectionResetError):  # it died
            message = self._pipe.recv() if self._pipe.poll() else None
        if isinstance(message, kind):
            return message
        if isinstance(message, Failure):
            self.measured.result = message.why
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
