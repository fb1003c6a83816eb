"""`python -m shd_genn.evaluate RUN --dataset DIR`: judge a saved run on any dataset."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from shd_genn.backends.choice import BackendOption
from shd_genn.datasets.load import load_split
from shd_genn.datasets.match import check_code, with_words
from shd_genn.record.run_folder import RunFolder, write_table
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import ConfigError
from shd_genn.train.compile import compile_network
from shd_genn.train.evaluation import Judgement, accuracy, judge


@dataclass(frozen=True)
class Options:
    """Judge the chosen epoch of a run on a dataset; the run stays as it is."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    dataset: str = "spoken-digits"
    """spoken-digits, shd, ssc, or a folder that holds test.h5 in SHD's layout."""
    data_dir: str | None = None
    """Where the files of shd or ssc lie."""
    split: str = "test"
    """Which of the dataset's files: train, valid or test."""
    backend: BackendOption | None = None
    """What computes; by default what trained the run."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file for what was said of every sample."""


def main() -> None:
    """Judge a run as the command line says."""
    options = parse(Options, prog="python -m shd_genn.evaluate")
    folder = RunFolder.open(options.run)
    trained_on = folder.read_json("environment")["dataset"]
    dataset = load_split(options.dataset, options.split, options.data_dir)
    presentation = folder.config.presentation(dataset.n_channels)
    dataset = replace(dataset, presentation=presentation)
    check_code(trained_on.get("code", "cochlea"), dataset)
    dataset = with_words(tuple(trained_on["words"]), dataset, options.split)
    names = trained_on["speaker_names"]
    known = {names[i] if names else str(i) for i in trained_on["train"]["speakers"] if i >= 0}
    config = replace(folder.config, backend=options.backend or folder.config.backend)
    with compile_network(config, folder.path / "model.py") as compiled:
        epoch = folder.load_checkpoint("best", compiled)
        judgement = judge(compiled, dataset, known)
    _print(judgement, f"{options.run.name}, epoch {epoch}, on {dataset.name} ({options.split})")
    if options.output is not None:
        if options.output.is_dir():
            raise ConfigError(f"{options.output} must be a file to write, but is a folder")
        write_table(options.output, judgement.predictions)


def _print(judgement: Judgement, title: str) -> None:
    console = Console()
    rows = judgement.predictions
    console.print(f"{title}: accuracy {judgement.tally.accuracy:.2%} of {len(rows)} samples")
    console.print(_by(rows, "word", "what it was taken for otherwise"))
    if any(row["speaker"] for row in rows):
        console.print(_by(rows, "speaker", "words it failed on most"))


def _by(rows: list[dict[str, Any]], key: str, remark: str) -> Table:
    table = Table(key, "samples", "accuracy", remark)
    for value in dict.fromkeys(row[key] for row in rows):
        mine = [row for row in rows if row[key] == value]
        told = "predicted_word" if key == "word" else "word"
        wrong = Counter(row[told] for row in mine if not row["correct"]).most_common(3)
        failures = ", ".join(f"{word} {count}" for word, count in wrong)
        table.add_row(str(value), str(len(mine)), f"{accuracy(mine):.1%}", failures)
    return table


if __name__ == "__main__":
    command(main)
