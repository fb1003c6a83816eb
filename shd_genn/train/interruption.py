"""Ctrl-C and SIGTERM end a training after what is complete has been saved, and are never lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. Inside a destructor or a
callback from C that exception is printed and forgotten. So the signal is remembered, too, and the
training asks for it after every batch.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end by SIGTERM, e.g. by a cluster's scheduler."""


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Turn Ctrl-C and SIGTERM into KeyboardInterrupt.

    Outside the main thread, where Python handles no signals, nothing is changed.

    Yields:
        A function that raises KeyboardInterrupt if a signal has come and its exception was lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    received: list[int] = []

    def raise_again() -> None:
        if received:
            raise TerminatedError if received[-1] == signal.SIGTERM else KeyboardInterrupt

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise_again()

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        if before[number] is not signal.SIG_IGN:  # e.g. nohup, or a worker that is not to stop
            signal.signal(number, handle)
    try:
        yield raise_again
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
