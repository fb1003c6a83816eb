"""From run folders, studies, benchmarks and recordings to tidy tables.

What cannot be read, or is not finished, is marked in the table of runs and listed in
`Results.problems`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.tools.measured import read_measured
from analysis.tools.runs import NOT_SETTINGS, find_repeated, name_datasets, read_run, short
from analysis.tools.studies import Study, is_study, read_study
from shd_genn.record.checkpoints import PARAMETER
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import ConfigError, DataError

RUN_FILES = ("config.toml", "summary.json", "metrics.csv", "environment.json")
SOUNDS = (".wav", ".flac")
TEXT = {"word": str, "predicted_word": str, "speaker": str}


@dataclass
class Results:
    """What was found under some paths.

    Attributes:
        runs: One row a run: ``run`` (its folder's name), ``path``, ``state`` (complete, running,
            interrupted, failed, not started or damaged), ``problem`` ("" if none), ``dataset``
            (as figures name it), settings, environment, final numbers (``test_accuracy`` …).
        settings: The columns of ``runs`` that make up a configuration, seeds apart.
        epochs: One row for each epoch and split of each run, as in ``metrics.csv``.
        studies: Optuna studies.
        bench: Rows of benchmark tables (`python -m shd_genn.bench speed -o`).
        peers: Rows of comparisons with other libraries (`python -m shd_genn.bench peers -o`).
        roofline: Rows of `python -m shd_genn.bench roofline -o`.
        scaling: Rows of `python -m shd_genn.bench scaling -o`.
        sounds: Recordings.
        problems: What could not be used, and why.
        trust_model: The user consents to execute the model.py of runs from elsewhere.
    """

    runs: pd.DataFrame
    settings: list[str]
    epochs: pd.DataFrame
    studies: list[Study] = field(default_factory=list)
    bench: pd.DataFrame = field(default_factory=pd.DataFrame)
    peers: pd.DataFrame = field(default_factory=pd.DataFrame)
    roofline: pd.DataFrame = field(default_factory=pd.DataFrame)
    scaling: pd.DataFrame = field(default_factory=pd.DataFrame)
    sounds: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    trust_model: bool = False

    def tested(self) -> pd.DataFrame:
        """The runs that were tested; of a run that was repeated only the newest.

        Raises:
            DataError: if there are none.
        """
        if "test_accuracy" in self.runs:
            usable = (self.runs["state"] != "damaged") & ~self.runs["repeated"]
            tested = self.runs[self.runs["test_accuracy"].notna() & usable]
            if len(tested):
                return tested
        raise DataError("no run was tested on a test set; give the folder of one that was")

    def left_out(self) -> str:
        """How many runs have no test result, and why; "" if all have."""
        tested = set(self.tested()["run"])
        rest = self.runs[~self.runs["run"].isin(tested)]
        why = rest["state"].where(~rest["repeated"], "repeated").value_counts()
        if rest.empty:
            return ""
        counts = ", ".join(f"{count} {state}" for state, count in why.items())
        return f"without test result and not shown: {counts}"

    def predictions(self, runs: pd.DataFrame) -> pd.DataFrame:
        """The prediction for every test sample of some runs: ``predictions.csv`` and ``run``.

        Raises:
            DataError: if none of them has any.
        """
        tables = []
        for row in each(runs):
            try:
                table = pd.read_csv(
                    Path(str(row.path)) / "predictions.csv", dtype=TEXT, keep_default_na=False
                )
                expected = getattr(row, "test_samples", np.nan)
                if np.isfinite(expected) and len(table) != expected:
                    raise ValueError(f"it has {len(table)} samples of {expected:.0f}")
                table["correct"] = table["label"] == table["predicted"]
                tables.append(table.assign(run=row.run))
            except (OSError, ValueError, KeyError) as error:
                self.note(f"{row.path}/predictions.csv cannot be used: {short(error)}")
        if not tables:
            raise DataError("no run has a usable predictions.csv; give the folder of one that has")
        return pd.concat(tables, ignore_index=True)

    def spike_counts(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Spikes of each layer for each test sample of some runs.

        Returns:
            Columns run, sample, word, correct, layer, spikes (of the whole layer).
        """
        predictions = self.predictions(runs)
        layers = [c for c in map(str, predictions) if c.startswith("spikes_")]
        long = predictions.melt(
            ["run", "sample", "word", "correct"], layers, "layer", "spikes"
        ).dropna(subset="spikes")
        long["layer"] = long["layer"].str.removeprefix("spikes_")
        return long

    def neuron_spikes(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Mean spikes a test trial of each hidden neuron: columns run, layer, neuron, spikes."""
        tables = []
        for row in each(runs):
            for layer, counts in self.arrays(Path(str(row.path)), "spike_counts").items():
                mean = counts.mean(axis=0)
                table = {"run": row.run, "layer": layer, "neuron": np.arange(len(mean))}
                tables.append(pd.DataFrame({**table, "spikes": mean}))
        if not tables:
            raise DataError("no run has a usable spike_counts.npz; give the folder of one that has")
        return pd.concat(tables, ignore_index=True)

    def arrays(self, run: Path, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of one of a run's .npz files; none, and a note, if it cannot be read."""
        try:
            return RunFolder(run).read_arrays(name)
        except ConfigError as error:
            self.note(f"{run / name}.npz cannot be used: {short(error)}")
            return {}

    def note(self, problem: str) -> None:
        """Remember a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)


def read(paths: Sequence[Path]) -> Results:
    """Read everything that lies under some paths.

    Args:
        paths: Run folders, folders that hold them at any depth, Optuna studies (SQLite or journal
            files), benchmark tables (.csv), recordings (.wav, .flac).

    Raises:
        DataError: if there is nothing to read in any of them.
    """
    runs: dict[Path, None] = {}
    results = Results(pd.DataFrame(), [], pd.DataFrame())
    tables: dict[str, list[pd.DataFrame]] = {}
    for path in paths:
        found = list(_find(path))
        if not found:
            what = "is empty of runs and studies" if path.is_dir() else "is not there"
            results.note(f"{path} {what}")
        for item in found:
            if item.is_dir():
                runs[item] = None
            elif item.suffix.lower() in SOUNDS:
                results.sounds.append(item)
            elif is_study(item):
                _add_study(results, item)
            elif item.suffix == ".csv":
                _add_measured(tables, item, results)
            else:
                results.note(f"{item} is neither run, study, benchmark table nor recording")
    for kind, found_tables in tables.items():
        setattr(results, kind, pd.concat(found_tables, ignore_index=True))
    _add_runs(results, list(runs))
    if results.runs.empty and not tables and not results.studies and not results.sounds:
        problems = "; ".join(results.problems) or "no path was given"
        raise DataError(
            f"there are no runs or studies: {problems}; "
            "name the folders that python -m shd_genn.run printed"
        )
    return results


def each(table: pd.DataFrame) -> Iterator[Any]:
    """The rows of a table as named tuples, whose fields no type checker can know."""
    yield from table.itertuples()


def parameters(checkpoint: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A checkpoint's parameters by name."""
    keys = [key for key in checkpoint if key.startswith(PARAMETER)]
    return {key.removeprefix(PARAMETER): checkpoint[key] for key in keys}


def _find(path: Path) -> Iterator[Path]:
    """Runs and other files under a path; what lies inside a run or beside a study is not searched.

    Of a cross-validation it is the runs in its folder. A study's table of trials tells of the runs
    beside it; to see them as runs, name their folders.
    """
    if not path.is_dir():
        if path.exists():
            yield path
        return
    entries = sorted(path.iterdir())
    if any(entry.name in RUN_FILES for entry in entries):
        # a cross-validation is a folder of runs that has their common settings beside them
        yield from [entry for entry in entries if (entry / "config.toml").is_file()] or [path]
        return
    studies = [entry for entry in entries if entry.is_file() and is_study(entry)]
    yield from studies
    for entry in entries:
        if entry.is_dir() and not entry.name.startswith(".") and not studies:
            yield from _find(entry)


def _add_study(results: Results, path: Path) -> None:
    try:
        results.studies.extend(read_study(path))
    except DataError as error:
        results.note(str(error))


def _add_measured(tables: dict[str, list[pd.DataFrame]], path: Path, results: Results) -> None:
    try:
        for kind, table in read_measured(path):
            tables.setdefault(kind, []).append(table)
    except DataError as error:
        results.note(str(error))


def _add_runs(results: Results, folders: list[Path]) -> None:
    rows, tables = [], []
    settings: dict[str, Any] = {}
    for folder in folders:
        row, epochs, config = read_run(folder)
        settings |= dict.fromkeys(config)
        rows.append(row)
        if row["problem"]:
            results.note(f"{folder}: {row['problem']}")
        elif row["state"] != "complete":
            results.note(f"{folder}: {row['state']}")
        if not epochs.empty:
            tables.append(epochs.assign(run=row["run"]))
    results.settings = [name for name in settings if name not in NOT_SETTINGS]
    if not rows:
        return
    runs = pd.DataFrame(rows)
    names = runs["run"]
    if names.duplicated().any():  # of the same name in different folders
        renamed = {str(p): str(p) for p in runs.loc[names.duplicated(keep=False), "path"]}
        fresh = runs["path"].map(renamed).fillna(names)
        for table, name in zip(tables, fresh[[not t.empty for t in tables]], strict=False):
            table["run"] = name
        runs["run"] = fresh
    runs["dataset"] = name_datasets(runs)
    apart = sorted(runs["dataset"].unique())
    if len(apart) > 1:
        listed = ", ".join(apart)
        results.note(f"datasets are drawn apart, as their accuracies do not compare: {listed}")
    runs["repeated"] = find_repeated(runs, results.settings)
    for run in runs.loc[runs["repeated"], "path"]:
        results.note(f"{run}: has the settings and seed of a newer run, which is taken instead")
    results.runs = runs
    if tables:
        results.epochs = pd.concat(tables, ignore_index=True)
