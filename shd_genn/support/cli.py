"""What all commands share: messages instead of tracebacks, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable

import rich.measure
from rich.console import Console
from rich.table import Table

from shd_genn.support.errors import ShdGennError


def command(main: Callable[[], None]) -> None:
    """Run a command's main function and leave with its exit code.

    0: done; 2: wrong input or settings, said in one message; 130: interrupted by Ctrl-C.
    """
    try:
        main()
    except ShdGennError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def print_table(table: Table) -> None:
    """Print a table as wide as it needs: rather broken lines than broken words."""
    console = Console()
    needed = rich.measure.Measurement.get(console, console.options.update(width=500), table)
    console.width = max(console.width, needed.maximum)
    console.print(table)
