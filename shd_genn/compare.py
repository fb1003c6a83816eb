"""`python -m shd_genn.compare RUN RUN …`: settings that differ, state and results, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from shd_genn.record.environment import Environment
from shd_genn.record.overview import (
    RunOverview,
    differing,
    find_runs,
    percent,
    short_names,
    shown,
)
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.cli import command, parse, print_table
from shd_genn.support.errors import ShdGennError, refuse_unless


@dataclass(frozen=True)
class Options:
    """Compare runs: the settings that differ, and what each run came to, side by side."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Two or more run folders, or a folder of them."""


def main() -> None:
    """Compare runs as the command line says."""
    options = parse(Options, prog="python -m shd_genn.compare")
    paths = find_runs(options.runs)
    refuse_unless(
        len(paths) > 1,
        f"there is only one run, {paths[0]}, and nothing to compare it with",
        "give another one",
    )
    runs = [RunOverview.of(path) for path in paths]
    table = Table("", *map(escape, short_names(paths)))
    settings = differing(runs)
    for name, values in settings.items():
        table.add_row(name, *(Text(shown(value)) for value in values))
    if not settings:
        table.add_row("settings", *("the same" for _ in runs))
    table.add_section()
    facts = [_facts(run) for run in runs]
    for name in facts[0]:
        values = [fact[name] for fact in facts]
        if any(values):
            table.add_row(name, *map(Text, values))
    print_table(table)


def _facts(run: RunOverview) -> dict[str, str]:
    """What is known of a run, in words; "" for what is not known."""
    last = {row.split: row for row in run.epochs}
    train, test = last.get("train"), last.get("test")
    known = _environment(run)
    return {
        "state": run.state,
        "reason": run.reason,
        "epochs done": str(run.n_epochs),
        "accuracy: validation": percent(run.accuracy("valid")),
        "accuracy: test": percent(run.accuracy("test")),
        "training: accuracy": percent(train.accuracy if train else None),
        "training: loss": f"{train.loss:.4g}" if train else "",
        "training: seconds per epoch": f"{train.seconds:.2f}" if train else "",
        "hidden spikes per trial": f"{(test or train).hidden_spikes_mean:.1f}" if train else "",
        "backend": run.config.backend if run.config else "",
        "commit": (known.commit or "") if known else "",
        "machine": known.cpu if known else "",
        "dataset": known.dataset.train.digest if known else "",
        "notes": str(len(run.summary.notes)) if run.summary and run.summary.notes else "",
    }


def _environment(run: RunOverview) -> Environment | None:
    try:
        return RunFolder(run.path).environment
    except (ShdGennError, OSError):
        return None


if __name__ == "__main__":
    command(main)
