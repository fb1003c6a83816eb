"""`python -m shd_genn.list`: all runs, their state and accuracy, and the settings that differ."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table
from rich.text import Text

from shd_genn.record.overview import (
    RunOverview,
    differing,
    find_runs,
    percent,
    short_names,
    shown,
)
from shd_genn.support.cli import command, parse, print_table
from shd_genn.support.files import require_file, write_text

LONGEST = 60
"""Characters of a failure's reason that the table shows; the CSV file has all."""


@dataclass(frozen=True)
class Options:
    """List runs: state, epochs, accuracy in the chosen epoch, and the settings that differ."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = (Path("runs"),)
    """Run folders, or folders of them."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file to write instead of printing a table."""


def main() -> None:
    """List runs as the command line says."""
    options = parse(Options, prog="python -m shd_genn.list")
    if options.output is not None:
        require_file(options.output)
    paths = find_runs(options.runs)
    runs = [RunOverview.of(path) for path in paths]
    settings = differing(runs)
    names = short_names(paths)
    if options.output is not None:
        write_text(options.output, _csv(runs, names, settings))
        return
    table = Table("run", "state", "epochs", "valid", "test", *settings)
    for i, run in enumerate(runs):
        numbers = (f"{run.n_epochs}", percent(run.accuracy("valid")), percent(run.accuracy("test")))
        given = [shown(values[i]) for values in settings.values()]
        table.add_row(*map(Text, (names[i], run.state, *numbers, *given)))
    print_table(table)
    for name, run in zip(names, runs, strict=True):
        if run.reason:
            line = run.reason.splitlines()[0]
            print(f"{run.state}: {name}: {line[:LONGEST]}{'…' if len(line) > LONGEST else ''}")


def _csv(runs: Sequence[RunOverview], names: Sequence[str], settings: dict[str, list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    facts = ("run", "path", "state", "reason", "epochs_done", "valid_accuracy", "test_accuracy")
    writer.writerow([*facts, *settings])
    for i, run in enumerate(runs):
        accuracies = [run.accuracy("valid"), run.accuracy("test")]
        given = [shown(values[i]) for values in settings.values()]
        known = (names[i], run.path, run.state, run.reason, run.n_epochs)
        writer.writerow([*known, *accuracies, *given])
    return text.getvalue()


if __name__ == "__main__":
    command(main)
