"""From a run folder to a row of the table of runs, and what follows from all rows."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from shd_genn.config import Config
from shd_genn.config.compare import changing_no_result
from shd_genn.config.flat import flat, flat_tree
from shd_genn.record.environment import Environment
from shd_genn.record.rows import to_frame
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import RunResult, Summary
from shd_genn.record.typed_json import plain
from shd_genn.support.errors import ShdGennError

Content = TypeVar("Content")

REPETITION = ("seed", "validation_speaker")
"""What repetitions of one configuration differ in: seeds, and folds of a cross-validation."""
FOLLOWING = ("dataset", "test", "n_inputs", "n_classes")
NOT_SETTINGS = (*changing_no_result(Config), *FOLLOWING, *REPETITION)
"""Of a configuration: what repetitions differ in, where data lie, and what follows from them."""


def read_run(folder: Path) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Any]]:
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
        problems.append(f"{path.name} is damaged: {short(error)}")
    return {}


def _attempt(read: Callable[[], Content], problems: list[str]) -> Content | None:
    """What a file of a run folder holds; None, and a problem, if it cannot be read."""
    try:
        return read()
    except ShdGennError as error:
        problems.append(short(error))
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


def name_datasets(runs: pd.DataFrame) -> pd.Series:
    """A name for each test set; if two differ under one name, their checksums follow the name."""
    known = runs[runs["test_digest"] != ""]
    several = known.groupby("dataset")["test_digest"].nunique()
    ambiguous = runs["dataset"].isin(several[several > 1].index)
    digest = runs["test_digest"].str[:6].where(runs["test_digest"] != "", "unknown")
    return runs["dataset"].where(~ambiguous, runs["dataset"] + " (" + digest + ")")


def find_repeated(runs: pd.DataFrame, settings: list[str]) -> pd.Series:
    """Whether a newer complete run has the same configuration, dataset and seed."""
    if "seed" not in runs:
        return pd.Series(False, runs.index)
    keys = ["dataset", *(name for name in REPETITION if name in runs), *settings]
    complete = runs[runs["state"] == "complete"].sort_values(["started", "run"])
    repeated = complete[keys].astype(str).duplicated(keep="last")
    return repeated.reindex(runs.index, fill_value=False)


def short(error: Exception) -> str:
    """The first line of what an error says, without full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
