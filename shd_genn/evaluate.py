"""`python -m shd_genn.evaluate RUN --dataset DIR`: evaluate a saved run on any dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from shd_genn.backends.choice import BackendOption
from shd_genn.record.rows import PredictionRow, write_rows
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.cli import command, parse
from shd_genn.support.files import require_file
from shd_genn.train import notes
from shd_genn.train.evaluation import Evaluation, accuracy
from shd_genn.train.inference import evaluate_run


@dataclass(frozen=True)
class Options:
    """Evaluate the chosen epoch of a run on a dataset; the run stays as it is."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    dataset: str = "spoken-digits"
    """spoken-digits, shd, ssc, or a folder that holds test.h5 in SHD's layout."""
    data_dir: str | None = None
    """Where the files of shd or ssc lie."""
    split: str = "test"
    """Which of the dataset's files: train, valid or test."""
    backend: BackendOption | None = None
    """What computes; by default the backend that trained the run."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file for the answer to every sample."""
    trust_model: bool = False
    """Execute the run's model.py although it was not used on this machine before."""


def main() -> None:
    """Evaluate a run as the command line says."""
    options = parse(Options, prog="python -m shd_genn.evaluate")
    if options.output is not None:
        require_file(options.output)
    evaluation = evaluate_run(
        RunFolder.open(options.run),
        options.dataset,
        options.split,
        data_dir=options.data_dir,
        backend=options.backend,
        trust_model=options.trust_model,
    )
    if options.output is not None:  # before anything is printed, which may fail in a pipe
        write_rows(options.output, evaluation.predictions)
    notes.show(evaluation.notes)
    epoch = evaluation.metrics.epoch
    _print(evaluation, f"{options.run.name}, epoch {epoch}, on {options.dataset} ({options.split})")


def _print(evaluation: Evaluation, title: str) -> None:
    console = Console()
    rows = evaluation.predictions
    console.print(f"{title}: accuracy {evaluation.accuracy:.2%} of {len(rows)} samples")
    console.print(_by(rows, "word"))
    if any(row.speaker for row in rows):
        console.print(_by(rows, "speaker"))


def _by(rows: Sequence[PredictionRow], key: Literal["word", "speaker"]) -> Table:
    """Accuracy for each word or speaker, and the three most frequent mistakes."""
    mistakes = "most frequent mistakes" if key == "word" else "words missed most often"
    table = Table(key, "samples", "accuracy", mistakes)
    for value in dict.fromkeys(getattr(row, key) for row in rows):
        group = [row for row in rows if getattr(row, key) == value]
        missed = (
            row.predicted_word if key == "word" else row.word for row in group if not row.correct
        )
        failures = ", ".join(f"{word} {n}" for word, n in Counter(missed).most_common(3))
        table.add_row(value, str(len(group)), f"{accuracy(group):.1%}", failures)
    return table


if __name__ == "__main__":
    command(main)
