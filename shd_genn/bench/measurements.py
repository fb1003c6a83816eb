"""Tables of measurements: printed and written with the machine and the commit they are true for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from shd_genn.record import environment
from shd_genn.record.rows import write_table
from shd_genn.support.errors import require

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def require_measurable(repetitions: int, threads: int = 1) -> None:
    """Refuse what nothing could be measured with.

    Raises:
        ConfigError: if there is no repetition or no thread.
    """
    require(1 <= repetitions, "1 <= repetitions", repetitions, "the fastest of several counts")
    require(1 <= threads, "1 <= threads", threads, "as many as there are cores are usual")


def titled() -> Table:
    """A table to print, without columns, whose title says where it was measured."""
    return Table(title=f"{environment.cpu_name()}, commit {environment.commit()}")


def write(path: Path | None, rows: Sequence[DataclassInstance]) -> None:
    """Write a CSV file, if one is asked for, with a column a field and two for where it was."""
    if path is not None:
        where = {"cpu": environment.cpu_name(), "commit": environment.commit()}
        write_table(path, [{**asdict(row), **where} for row in rows])
