"""What all commands share: how options are read, messages instead of tracebacks, exit codes."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import rich.measure
import tyro
from rich.console import Console
from rich.table import Table
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from shd_genn.support.errors import ShdGennError
from shd_genn.support.interruption import TerminatedError, end_at_once_by_signals, interruptible
from shd_genn.support.paths import user_path

Options = TypeVar("Options")
WRONG_INPUT, INTERRUPTED, CLOSED_PIPE, TERMINATED = 2, 130, 141, 143
"""Exit codes, as shells and other programs use them."""
OUTPUT_FAILS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Why something printed cannot be written: disk full, over quota, file too large, disk broken."""


def command(main: Callable[[], None]) -> None:
    """Run a command's main function and leave with its exit code.

    0: done; 2: wrong input or settings, with one message; 130: interrupted by Ctrl-C; 141: the
    program that read the output has ended (as in ``… --list-presets | head -1``), no message;
    143: ended by SIGTERM, or by SIGHUP as its terminal was closed. What it prints cannot be
    written, e.g. because a disk is full: 2.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # words of any language: what the terminal has no letters for is printed as numbers
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with interruptible():
            main()
            sys.stdout.flush()  # here, where a closed pipe can still be handled
    except ShdGennError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(WRONG_INPUT)
    except KeyboardInterrupt as interruption:
        end_at_once_by_signals()
        with suppress(OSError):  # the terminal may be gone
            print("interrupted", file=sys.stderr)
        sys.exit(TERMINATED if isinstance(interruption, TerminatedError) else INTERRUPTED)
    except BrokenPipeError:
        # Python would write what is left once more at its end, and fail with a message
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except OSError as error:
        # files are named by errors of their own: this is what was printed
        if error.errno not in OUTPUT_FAILS or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        with suppress(OSError):
            print(
                f"error: what the command prints cannot be written ({error.strerror}); send its "
                "output to another disk",
                file=sys.stderr,
            )
        sys.exit(WRONG_INPUT)


def parse(
    options: type[Options],
    arguments: Sequence[str] | None = None,
    prog: str | None = None,
    *,
    description: str | None = None,
    default: Options | None = None,
) -> Options:
    """Read a command line with tyro.

    A ``~`` at the begin of a path is the user's home folder, also in ``--runs=~/runs``, where
    shells leave it. A flag is written ``--test`` or ``--no-test``.

    Args:
        options: A dataclass; its fields are the options.
        arguments: The command line; by default that of the process.
        prog: How the command is started.
        description: What ``--help`` says first; by default the docstring of ``options``.
        default: Options that are taken where none are given.

    Raises:
        SystemExit: after ``--help`` (code 0), or a message about a wrong option (code 2).
    """
    more: dict[str, Any] = {} if default is None else {"default": default}
    parsed: Options = tyro.cli(
        options,
        args=arguments,
        prog=prog,
        description=description,
        # without comments, which are no help here: searching them takes a tenth of a second
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.HelptextFromCommentsOff),
        registry=_registry(),
        **more,
    )
    return parsed


def _registry() -> ConstructorRegistry:
    """Tyro's constructors, with ~ expanded in paths."""
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def path(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
        if info.type is not Path:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="PATH",
            instance_from_str=lambda words: user_path(words[0]),
            is_instance=lambda value: isinstance(value, Path),
            str_from_instance=lambda value: [str(value)],
        )

    return registry


class Printer(Console):
    """Prints tables; a closed pipe is left to `command`, where rich would end with exit code 1."""

    def on_broken_pipe(self) -> None:
        """Raise the error that is being handled."""
        raise


def print_table(table: Table) -> None:
    """Print a table as wide as its content, even if the terminal is narrower."""
    console = Printer()
    needed = rich.measure.Measurement.get(console, console.options.update(width=500), table)
    console.width = max(console.width, needed.maximum)
    console.print(table)
