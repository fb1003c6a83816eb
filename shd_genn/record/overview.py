"""What is known of many runs at a glance: state, accuracy, and the settings that differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shd_genn.config import Config
from shd_genn.config.compare import comparable
from shd_genn.config.flat import flat
from shd_genn.record.rows import EpochRow, Split
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import CrossValidationResult, Summary
from shd_genn.support.errors import DataError, ShdGennError, refuse_unless
from shd_genn.support.locks import is_free
from shd_genn.support.paths import readable_name

FOLLOWING = ("n_inputs", "n_classes")
"""Settings that follow from the dataset."""


@dataclass(frozen=True)
class RunOverview:
    """A run at a glance.

    Attributes:
        path: Its folder.
        state: complete, running, interrupted, failed, pruned; killed, if it says ``running`` and
            no program works on it; not begun; damaged, if its files cannot be read.
        reason: Why it failed, was pruned, or cannot be read; "" otherwise.
        config: Its settings; None if they cannot be read.
        summary: State and final numbers; None before it has begun.
        epochs: The rows of ``metrics.csv``; none of a cross-validation as a whole.
        n_epochs: Epochs that are done; of a cross-validation those of its longest fold.
    """

    path: Path
    state: str
    reason: str = ""
    config: Config | None = None
    summary: Summary | None = None
    epochs: tuple[EpochRow, ...] = ()
    n_epochs: int = 0

    @staticmethod
    def of(path: Path) -> RunOverview:
        """Read a run's folder; what is wrong with it is in ``state`` and ``reason``."""
        try:
            folder = RunFolder.open(path)
            config, summary, epochs = folder.config, folder.summary, tuple(folder.epochs)
            folds = [RunFolder(file.parent).epochs for file in path.glob("*/metrics.csv")]
        except (ShdGennError, OSError) as error:
            return RunOverview(path, "damaged", str(error))
        n_epochs = max((row.epoch for rows in (epochs, *folds) for row in rows), default=0)
        if summary is None:
            return RunOverview(path, "not begun", "", config, None, epochs, n_epochs)
        killed = summary.state == "running" and is_free(path)
        state = "killed" if killed else summary.state
        return RunOverview(path, state, summary.reason or "", config, summary, epochs, n_epochs)

    def accuracy(self, split: Split) -> float | None:
        """The accuracy on a split in the chosen epoch; None if it is not known.

        Of a run that is not complete, that of the best epoch so far. Of a cross-validation, the
        mean over the folds and the accuracy on the test set.
        """
        result = None if self.summary is None else self.summary.result
        if isinstance(result, CrossValidationResult):
            test = None if result.test is None else result.test.accuracy
            return {"valid": result.accuracy, "test": test}.get(split)
        mine = [row for row in self.epochs if row.split == split]
        if result is not None:
            mine = [row for row in mine if row.epoch == result.best_epoch]
        return max((row.accuracy for row in mine), default=None)


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """The run folders under some paths, without the inner ones of cross-validations.

    Args:
        paths: Run folders, and folders of run folders; files beside them are passed over.

    Raises:
        DataError: if a path does not exist, or there is no run under any of them.
    """
    found: dict[Path, None] = {}
    given = list(paths)
    for path in given:
        refuse_unless(path.exists(), f"there is no folder {path}", "correct the path", DataError)
        if path.is_dir():
            found |= dict.fromkeys(_search(path))
    refuse_unless(
        bool(found),
        f"there is no run in {', '.join(map(str, given))}",
        "train one with python -m shd_genn.run, or give another folder",
        DataError,
    )
    return list(found)


def _search(folder: Path) -> Iterator[Path]:
    if (folder / "config.toml").is_file():
        yield folder
        return
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and not inner.name.startswith(".") and not inner.is_symlink():
            yield from _search(inner)


def differing(runs: Sequence[RunOverview]) -> dict[str, list[Any]]:
    """The settings in which runs differ, and their values, run by run.

    Settings that change no result do not count; neither do those that follow from the dataset.

    Args:
        runs: The runs.

    Returns:
        Name → a value for each run; None where the setting does not apply.
    """
    counted = [{} if run.config is None else comparable(run.config) for run in runs]
    values = [{} if run.config is None else flat(run.config) for run in runs]
    readable = [known for run, known in zip(runs, counted, strict=True) if run.config is not None]
    names = dict.fromkeys(name for known in readable for name in known if name not in FOLLOWING)
    return {
        name: [value.get(name) for value in values]
        for name in names
        if any(known.get(name) != readable[0].get(name) for known in readable)
    }


def short_names(paths: Sequence[Path]) -> list[str]:
    """Names of folders, with as much of their path as tells them apart."""
    n = 1
    while n < max(len(path.parts) for path in paths):
        names = {"/".join(path.parts[-n:]) for path in paths}
        if len(names) == len(set(paths)):
            break
        n += 1
    return [readable_name("/".join(path.parts[-n:])) for path in paths]


def percent(accuracy: float | None) -> str:
    """An accuracy as people read it; "" if it is not known."""
    return "" if accuracy is None else f"{accuracy:.1%}"


def shown(value: Any) -> str:
    """A setting's value as on the command line; "" where the setting does not apply."""
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
