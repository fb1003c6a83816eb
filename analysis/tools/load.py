"""From run folders, studies, benchmarks and recordings to tidy tables.

What cannot be read, or is not finished, is marked in the table of runs and listed in
`Results.problems`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.tools.measured import read_measured
from analysis.tools.studies import Study, is_study, read_study
from shd_genn.config import Config
from shd_genn.config.compare import changing_no_result
from shd_genn.config.flat import flat, flat_tree
from shd_genn.record.checkpoints import PARAMETER
from shd_genn.record.environment import Environment
from shd_genn.record.rows import to_frame
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import RunResult, Summary
from shd_genn.record.typed_json import plain
from shd_genn.support.errors import ConfigError, DataError, ShdGennError

Content = TypeVar("Content")

RUN_FILES = ("config.toml", "summary.json", "metrics.csv", "environment.json")
SOUNDS = (".wav", ".flac")
REPETITION = ("seed", "validation_speaker")
"""What repetitions of one configuration differ in: seeds, and folds of a cross-validation."""
FOLLOWING = ("dataset", "test", "n_inputs", "n_classes")
NOT_SETTINGS = (*changing_no_result(Config), *FOLLOWING, *REPETITION)
"""Of a configuration: what repetitions differ in, where data lie, and what follows from them."""
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
                self.note(f"{row.path}/predictions.csv cannot be used: {_short(error)}")
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
            self.note(f"{run / name}.npz cannot be used: {_short(error)}")
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
        row, epochs, config = _read_run(folder)
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
    runs["dataset"] = _name_datasets(runs)
    apart = sorted(runs["dataset"].unique())
    if len(apart) > 1:
        listed = ", ".join(apart)
        results.note(f"datasets are drawn apart, as their accuracies do not compare: {listed}")
    runs["repeated"] = _repeated(runs, results.settings)
    for run in runs.loc[runs["repeated"], "path"]:
        results.note(f"{run}: has the settings and seed of a newer run, which is taken instead")
    results.runs = runs
    if tables:
        results.epochs = pd.concat(tables, ignore_index=True)


def _read_run(folder: Path) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Any]]:
    """A row of `Results.runs`, the epochs, and the settings."""
    problems: list[str] = []
    config = _as_text(flat_tree(_parse_toml(folder / "config.toml", problems)))
    if config:  # a setting that was not there yet had the value that is now its default
        config = DEFAULTS | config
    run = RunFolder(folder)
    environment = _attempt(lambda: run.environment, problems)
    epochs = _attempt(lambda: run.epochs, problems) or []
    before = len(problems)
    summary = _attempt(lambda: run.summary, problems)
    damaged = not config or len(problems) > before
    state = "not started" if summary is None else summary.state
    if summary is not None and summary.reason is not None:
        problems.append(summary.reason)
    row: dict[str, Any] = {
        "run": _name(folder.resolve()),
        "path": str(folder),
        "state": "damaged" if damaged else state,
        "problem": "; ".join(problems),
        **{name: value for name, value in config.items() if name != "dataset"},
        "model": Path(str(config.get("model", "unknown"))).stem,
        **_layers(summary, config),
        **_origin(environment, config),
        "changed": _changed(folder),
        **_final(summary),
    }
    return row, to_frame(epochs), config


def _layers(summary: Summary | None, config: dict[str, Any]) -> dict[str, int]:
    """Hidden neurons and layers as the network has them; as the settings say before it begins."""
    if summary is not None and summary.hidden:
        return {"hidden": summary.n_hidden, "layers": len(summary.hidden)}
    sizes = str(config.get("hidden_sizes", "")).split("-")
    return {"hidden": sum(int(size) for size in sizes if size), "layers": len(sizes)}


def _origin(environment: Environment | None, config: dict[str, Any]) -> dict[str, Any]:
    """The dataset, and what the run ran on."""
    path = config.get("dataset")
    if environment is None:
        name = Path(str(path or "unknown")).name
        found = dict.fromkeys(("started", "commit", "device", "cores"))
        return {"dataset": name, "dataset_path": path, "test_digest": "", **found}
    dataset = environment.dataset
    return {
        "dataset": dataset.name,
        "dataset_path": path,
        "test_digest": "" if dataset.test is None else dataset.test.digest,
        "started": environment.started,
        "commit": environment.commit,
        "device": environment.gpu or environment.cpu,
        "cores": environment.cores,
    }


def _final(summary: Summary | None) -> dict[str, Any]:
    """The final numbers of a complete run."""
    if summary is None or not isinstance(summary.result, RunResult):
        return {}
    numbers = plain(summary.result)
    test = numbers.pop("test", {})
    del numbers["dataset"]
    numbers["epochs_done"] = numbers.pop("epochs")
    return numbers | {f"test_{key}": value for key, value in test.items()}


def _name(folder: Path) -> str:
    """A run's folder, with that of the cross-validation that it is of, if it is of one."""
    of_one = (folder.parent / "config.toml").is_file()
    return f"{folder.parent.name}/{folder.name}" if of_one else folder.name


def _parse_toml(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems.append(f"{path.name} is missing")
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} is damaged: {_short(error)}")
    return {}


def _attempt(read: Callable[[], Content], problems: list[str]) -> Content | None:
    """What a file of a run folder holds; None, and a problem, if it cannot be read."""
    try:
        return read()
    except ShdGennError as error:
        problems.append(_short(error))
        return None


def _as_text(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by the names of the command line's options; lists as 128-64."""
    return {
        name: "-".join(map(str, value)) if isinstance(value, list | tuple) else value
        for name, value in settings.items()
    }


DEFAULTS = _as_text(flat(Config()))


def _changed(folder: Path) -> datetime:
    """When something in the run's folder was last written."""
    return datetime.fromtimestamp(max(p.stat().st_mtime for p in (folder, *folder.iterdir())))


def _name_datasets(runs: pd.DataFrame) -> pd.Series:
    """A name for each test set; if two differ under one name, their checksums follow the name."""
    known = runs[runs["test_digest"] != ""]
    several = known.groupby("dataset")["test_digest"].nunique()
    ambiguous = runs["dataset"].isin(several[several > 1].index)
    digest = runs["test_digest"].str[:6].where(runs["test_digest"] != "", "unknown")
    return runs["dataset"].where(~ambiguous, runs["dataset"] + " (" + digest + ")")


def _repeated(runs: pd.DataFrame, settings: list[str]) -> pd.Series:
    """Whether a newer complete run has the same configuration, dataset and seed."""
    if "seed" not in runs:
        return pd.Series(False, runs.index)
    keys = ["dataset", *(name for name in REPETITION if name in runs), *settings]
    complete = runs[runs["state"] == "complete"].sort_values(["started", "run"])
    repeated = complete[keys].astype(str).duplicated(keep="last")
    return repeated.reindex(runs.index, fill_value=False)


def _short(error: Exception) -> str:
    """The first line of what an error says, without full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
