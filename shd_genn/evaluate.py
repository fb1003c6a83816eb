"""`python -m shd_genn.evaluate RUN … --dataset DIR`: evaluate saved runs on any dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.table import Table

from shd_genn.backends.choice import BackendOption
from shd_genn.export.off_grid import off_grid
from shd_genn.export.trained import of_run
from shd_genn.record.rows import PredictionRow, write_rows
from shd_genn.record.run_folder import RunFolder, runs_with_networks
from shd_genn.support.cli import Printer, command, parse, print_table
from shd_genn.support.errors import refuse_unless
from shd_genn.support.files import require_file
from shd_genn.train import notes
from shd_genn.train.ensemble import Ensemble, evaluate_together
from shd_genn.train.evaluation import accuracy
from shd_genn.train.inference import evaluate_run, samples_for
from shd_genn.train.simulation_time import simulation_times


@dataclass(frozen=True)
class Options:
    """Evaluate the chosen epoch of a run on a dataset; the run stays as it is.

    Several runs are listed beside their ensemble, which averages their probabilities.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN …]")]
    """The folder of a run, or the folders of several. Of several, those without a trained network
    are left out, so that runs/* may hold studies and other folders."""
    dataset: str | None = None
    """spoken-digits, shd, ssc, or a folder that holds test.h5 in SHD's layout; by default the
    dataset that the run was trained on."""
    data_dir: str | None = None
    """Where the files of shd or ssc lie; by default where the run had them."""
    split: str = "test"
    """Which of the dataset's files: train, valid or test."""
    backend: BackendOption | None = None
    """What computes; by default the backend that trained the run."""
    dt_ms: tuple[float | Literal["exact"], ...] = ()
    """Of one run: other lengths of a step in ms, and exact for none; each is evaluated, too."""
    delay_ms: tuple[float, ...] = ()
    """Of one run: times in ms that every spike takes to arrive; by default one step."""
    simulation_steps: tuple[int, ...] = ()
    """Of one converted run: numbers of steps that its spiking network is simulated for; each is
    evaluated, too."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file for the answer to every sample; of several runs, for their ensemble's."""
    trust_model: bool = False
    """Execute the run's model.py although it was not used on this machine before."""


def main() -> None:
    """Evaluate a run as the command line says."""
    options = parse(Options, prog="python -m shd_genn.evaluate")
    if options.output is not None:
        require_file(options.output)
    refuse_unless(
        len(options.runs) > 0, "evaluate needs a run, but got none", "give the folder of a run"
    )
    if len(options.runs) == 1:
        folders = [RunFolder.open(options.runs[0])]
    else:  # e.g. runs/*
        folders, left_out = runs_with_networks(options.runs)
        notes.show(left_out)
    options = _with_dataset(options, folders)
    given: dict[str, Any] = {
        name: getattr(options, name)
        for name in ("dataset", "split", "data_dir", "backend", "trust_model")
    }
    on = f"on {options.dataset} ({options.split})"
    elsewhere = bool(options.dt_ms or options.delay_ms)
    refuse_unless(
        len(folders) == 1 or not (elsewhere or options.simulation_steps),
        f"dt_ms, delay_ms and simulation_steps belong to one run, but {len(folders)} are given",
        "give one run",
    )
    if len(folders) > 1:
        _several(folders, evaluate_together(folders, **given), options.output, on)
        return
    evaluation = evaluate_run(folders[0], **given)
    if options.output is not None:  # before anything is printed, which may fail in a pipe
        write_rows(options.output, evaluation.predictions)
    notes.show(evaluation.notes)
    title = f"{folders[0].path.name}, epoch {evaluation.metrics.epoch}, {on}"
    _print(evaluation.predictions, title)
    if elsewhere:
        _off_grid(folders[0], options)
    if options.simulation_steps:
        _simulation_times(folders[0], options)


def _simulation_times(folder: RunFolder, options: Options) -> None:
    """Print the accuracy of a converted run against the time of its simulation."""
    assert options.dataset is not None
    samples = samples_for(folder, options.dataset, options.split, options.data_dir).dataset
    rows = simulation_times(
        folder,
        samples,
        options.simulation_steps,
        backend=options.backend,
        trust_model=options.trust_model,
    )
    table = Table("steps", "accuracy", "hidden spikes per sample")
    for row in rows:
        rates = row.steps is None
        spikes = "none" if rates else f"{row.hidden_spikes:.0f}"
        table.add_row("rates" if rates else str(row.steps), f"{row.accuracy:.2%}", spikes)
    print_table(table)


def _with_dataset(options: Options, folders: Sequence[RunFolder]) -> Options:
    """The options with the dataset of the runs where none is given."""
    if options.dataset is not None:
        return options
    data = [folder.config.data for folder in folders]
    names = sorted({each.dataset for each in data})
    refuse_unless(
        len(names) == 1,
        f"runs of one dataset may be evaluated without --dataset, but these are of "
        f"{', '.join(names)}",
        "name the dataset with --dataset",
    )
    return replace(options, dataset=names[0], data_dir=options.data_dir or data[0].data_dir)


def _off_grid(folder: RunFolder, options: Options) -> None:
    """Print the accuracy of a run with other steps, and with other delays."""
    trained = of_run(folder, options.backend, options.trust_model)
    assert options.dataset is not None
    samples = samples_for(folder, options.dataset, options.split, options.data_dir).dataset
    backend = options.backend or folder.config.backend
    steps = options.dt_ms or (trained.dt_ms,)
    table = Table("step (ms)", "delay of a spike (ms)", "accuracy", "same answers")
    for row in off_grid(trained, samples, steps, options.delay_ms, backend):
        name = row.step if row.step == "exact" else f"{row.step:g}"
        table.add_row(name, f"{row.delay_ms:g}", f"{row.accuracy:.2%}", f"{row.same:.2%}")
    print_table(table)


def _several(
    folders: Sequence[RunFolder], ensemble: Ensemble, output: Path | None, on: str
) -> None:
    """Print a table of runs and their ensemble, and the ensemble's answers by word and speaker."""
    if output is not None:
        write_rows(output, ensemble.predictions)
    notes.show(dict.fromkeys(note for member in ensemble.members for note in member.notes))
    table = Table("run", "epoch", "accuracy", title=on)
    for folder, member in zip(folders, ensemble.members, strict=True):
        table.add_row(folder.path.name, str(member.metrics.epoch), f"{member.accuracy:.2%}")
    table.add_section()
    table.add_row("mean and standard deviation", "", f"{ensemble.mean:.2%} ± {ensemble.sd:.2%}")
    gain = 100 * (ensemble.accuracy - ensemble.mean)
    name = f"ensemble of {len(folders)}"
    table.add_row(name, "", f"{ensemble.accuracy:.2%} ({gain:+.2f} points)")
    print_table(table)
    _print(ensemble.predictions, f"{name}, {on}")


def _print(rows: Sequence[PredictionRow], title: str) -> None:
    console = Printer()
    console.print(f"{title}: accuracy {accuracy(rows):.2%} of {len(rows)} samples")
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
