"""Ctrl-C, SIGTERM and SIGHUP end a command or a training in order, and are never lost.

Python raises KeyboardInterrupt wherever the main thread happens to be, but it may not arrive:

* inside a destructor or a callback from C, the exception is printed and forgotten;
* inside a ``with`` block or an import of a library, another error can take its place: zipfile,
  which writes checkpoints, raises ValueError, a semaphore RuntimeError, an extension module
  ImportError.

So the signal is remembered, too: long work asks for it after every step (`check_interrupted`, which
`progress` calls), and any error that comes after a signal is the interruption.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that end a program: Ctrl-C, a scheduler's, and that of a terminal that was closed, for
example because its ssh connection was lost. Windows has no SIGHUP; nohup turns it off."""

_check: ContextVar[Callable[[], None]] = ContextVar("_check", default=lambda: None)
"""What `check_interrupted` calls."""


_stopped: ContextVar[threading.Event | None] = ContextVar("_stopped", default=None)
"""In a thread that works for another one: set when its work is wanted no longer."""


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end by SIGTERM, as by a cluster's scheduler, or by SIGHUP."""


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Turn the signals that end a program into KeyboardInterrupt; may be nested.

    Outside the main thread, where Python handles no signals, nothing is changed.

    Yields:
        A function that raises KeyboardInterrupt if a signal has come and its exception was lost.

    Raises:
        KeyboardInterrupt: instead of any error after a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    received: list[int] = []

    outside = _check.get()

    def raise_again() -> None:
        if received:
            raise KeyboardInterrupt if received[-1] == signal.SIGINT else TerminatedError
        outside()

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        handler = before[signal.Signals(number)]
        if callable(handler):  # whoever is outside hears of it, too
            handler(number, frame)
        raise_again()

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        if before[number] is not signal.SIG_IGN:  # e.g. nohup, or a worker that is not to stop
            signal.signal(number, handle)
    token = _check.set(raise_again)
    try:
        yield raise_again
    except Exception:
        raise_again()
        raise
    finally:
        _check.reset(token)
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def check_interrupted() -> None:
    """Raise KeyboardInterrupt if a signal has come within `interruptible` and was lost.

    In other threads: if whoever waits for the work of `stopped_by` has stopped it.
    """
    if threading.current_thread() is threading.main_thread():
        _check.get()()
    elif (stopped := _stopped.get()) is not None and stopped.is_set():
        raise KeyboardInterrupt


@contextmanager
def stopped_by(stopped: threading.Event) -> Iterator[None]:
    """In a thread: let `check_interrupted` end the body once an event is set.

    Python sends Ctrl-C to the main thread only. A main thread that waits for others at its end
    would wait until they are done, which may be minutes.
    """
    token = _stopped.set(stopped)
    try:
        yield
    finally:
        _stopped.reset(token)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold `SIGNALS` back until the body is done, e.g. while it starts a process.

    A process that is started meanwhile inherits that SIGINT is blocked.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        # a blocked signal is not enough: another thread may receive it, and this one handles it
        if before[number] not in (signal.SIG_IGN, None):
            signal.signal(number, lambda got, frame: came.append(got))
    can_block = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if can_block else set()
    try:
        yield
    finally:
        if can_block:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            if handler not in (signal.SIG_IGN, None):
                signal.signal(number, handler)
        for each in came:
            signal.raise_signal(each)


def end_at_once_by_signals() -> None:
    """Let `SIGNALS` end the process at once, without a word.

    So it should be while a command imports its modules, and once it is about to end anyway.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def is_command_about_to_start() -> bool:
    """Whether Python is importing this package because of ``python -m shd_genn.COMMAND``.

    Until it has found the command's module, ``sys.argv[0]`` is ``-m``.
    """
    return sys.argv[:1] == ["-m"] and any(
        option == "-m" and module.split(".")[0] == "shd_genn"
        for option, module in pairwise(sys.orig_argv)
    )
