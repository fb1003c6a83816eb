"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from shd_genn.support.interruption import check_interrupted

SECONDS_BETWEEN_LINES = 5.0
"""If the output is no terminal, at most one line is printed in this time, and one at each end."""

Advance = Callable[..., None]
"""``advance(steps=1, note="", line="")``: so much more is done. ``note`` is shown until the
next one; ``line`` stays: above the bar on a terminal, as a line of its own elsewhere. It raises
KeyboardInterrupt if a signal has come whose exception was lost."""


@contextmanager
def progress(description: str, total: int, unit: str) -> Iterator[Advance]:
    """Show on stderr how far some work is.

    Args:
        description: The work, e.g. ``Encoding``.
        total: Number of steps.
        unit: The name of the steps, in the plural, e.g. ``recordings``.

    Yields:
        A function to call as ``advance(steps, note)`` whenever steps are done.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        bar, below = Progress(*columns, console=console), Text(style="dim")
        task = bar.add_task(description, total=total)

        def advance_bar(steps: int = 1, note: str = "", line: str = "") -> None:
            check_interrupted()
            bar.update(task, advance=steps)
            if note:
                below.plain = note
            if line:
                console.print(line, markup=False, highlight=False)

        with Live(Group(bar, below), console=console):
            yield advance_bar
    else:
        yield _line_printer(description, total, unit)


def _line_printer(description: str, total: int, unit: str) -> Advance:
    start = last = time.monotonic()
    done = 0
    print(f"{description}: {total} {unit} to do", file=sys.stderr, flush=True)

    def advance(steps: int = 1, note: str = "", line: str = "") -> None:
        nonlocal done, last
        check_interrupted()
        done += steps
        if line:
            print(line, file=sys.stderr, flush=True)
            last = time.monotonic()
            return
        now = time.monotonic()
        if done < total and now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        text = f"{description}: {done}/{total} {unit}, {now - start:.0f} s"
        if done:
            text += f", {(now - start) / done * (total - done):.0f} s left"
        print(f"{text}  {note}".rstrip(), file=sys.stderr, flush=True)

    return advance
