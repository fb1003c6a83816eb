"""Optuna studies: SQLite or journal files → tables of trials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import optuna
import pandas as pd
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from shd_genn.support.errors import DataError
from shd_genn.sweep.storage import read_file

SQLITE = b"SQLite format 3\0"
OBJECTIVES = {
    "accuracy": ("validation accuracy (%)", 100.0),
    "hidden_spikes": ("hidden spikes per trial", 1.0),
    "synaptic_operations": ("synaptic operations per trial", 1.0),
    "seconds_per_epoch": ("seconds per epoch", 1.0),
}
"""What python -m shd_genn.sweep optimises → how an axis calls it, and what it is multiplied by."""


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        name: Its name.
        path: The file it lies in.
        study: Optuna's own object.
        objectives: What is optimised, e.g. ``("accuracy",)``.
        maximised: For each objective, whether more is better.
        trials: One row a trial: ``number``, ``state``, a column for each objective,
            ``seconds``, ``params_NAME``, ``user_attrs_NAME``. Unfinished ones are included.
    """

    name: str
    path: Path
    study: optuna.Study
    objectives: tuple[str, ...]
    maximised: tuple[bool, ...]
    trials: pd.DataFrame

    def in_axis_unit(self, trials: pd.DataFrame, objective: str) -> pd.Series:
        """Values of an objective in the unit that its axis has."""
        return trials[objective].astype(float) * OBJECTIVES.get(objective, ("", 1.0))[1]

    @property
    def parameters(self) -> list[str]:
        """Names of what was searched over."""
        return [c.removeprefix("params_") for c in map(str, self.trials) if c.startswith("params_")]

    @property
    def complete(self) -> pd.DataFrame:
        """The trials that came to an end.

        Raises:
            DataError: if there are none.
        """
        complete = self.trials[self.trials["state"] == "COMPLETE"]
        if complete.empty:
            raise DataError(f"study {self.name} has no complete trial; wait until it has")
        return complete

    def is_log(self, parameter: str) -> bool:
        """Whether a parameter was searched on a logarithmic scale."""
        spaces = (trial.distributions for trial in self.study.get_trials(deepcopy=False))
        found = [space[parameter] for space in spaces if parameter in space]
        return bool(found) and bool(getattr(found[-1], "log", False))


def label(objective: str) -> str:
    """How an axis calls an objective, with its unit."""
    return OBJECTIVES.get(objective, (objective.replace("_", " "), 1.0))[0]


def choose(studies: list[Study], name: str | None) -> Study:
    """The study of a name, or the first.

    Raises:
        DataError: if there is none.
    """
    if not studies:
        raise DataError("there is no study of Optuna's; give one (.db or .journal)")
    found = [study for study in studies if name in (None, study.name)]
    if not found:
        known = ", ".join(study.name for study in studies)
        raise DataError(f"study in {known} must hold, but got {name!r}; choose one of them")
    return found[0]


def is_categorical(values: pd.Series) -> bool:
    """Whether a parameter's values are names rather than numbers."""
    return not pd.api.types.is_numeric_dtype(values) or values.dtype == bool


def categories(values: pd.Series) -> list[str]:
    """The names in order: 64, 128, 256 by number, others by alphabet."""

    def key(name: str) -> tuple[bool, float, str]:
        return (not name.isdigit(), float(name) if name.isdigit() else 0.0, name)

    return sorted(values.astype(str).unique(), key=key)


def is_study(path: Path) -> bool:
    """Whether a file looks like one that Optuna wrote."""
    if path.suffix.lower() in (".db", ".sqlite", ".sqlite3", ".journal"):
        return True
    if path.suffix.lower() != ".log":
        return False
    with path.open("rb") as file:
        return file.read(11) == b'{"op_code":'


def read_study(path: Path) -> list[Study]:
    """All studies in a file; it is not written to.

    Raises:
        DataError: if it cannot be read, or has none.
    """
    try:
        storage = _open(path)
        names = [summary.study_name for summary in storage.get_all_studies()]
        studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
        found = [_tabulate(study, path) for study in studies]
    except Exception as error:  # SQLAlchemy's, Optuna's, JSON's: all mean the same here
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path} cannot be read as a study of Optuna's: {first}; restore the file, or "
            "leave it out"
        ) from error
    if not found:
        raise DataError(f"{path} holds no study; give the file of one that has trials")
    return found


def _open(path: Path) -> BaseStorage:
    with path.open("rb") as file:
        start = file.read(len(SQLITE))
    if start == SQLITE:
        return read_file(path)  # looking at a study must never change it
    if not start.startswith(b"{"):
        raise DataError("it is neither an SQLite database nor a journal")
    return JournalStorage(JournalFileBackend(str(path)))


def _tabulate(study: optuna.Study, path: Path) -> Study:
    n = len(study.directions)
    numbered = ["objective"] if n == 1 else [f"objective {i + 1}" for i in range(n)]
    names = tuple(study.metric_names or numbered)
    rows = []
    for trial in study.get_trials(deepcopy=False):
        values = trial.values if trial.values is not None else [float("nan")] * n
        if trial.state == TrialState.PRUNED and trial.intermediate_values:
            values = [trial.intermediate_values[max(trial.intermediate_values)]] * n
        seconds = trial.duration.total_seconds() if trial.duration else float("nan")
        row: dict[str, object] = {"number": trial.number, "state": trial.state.name}
        row |= dict(zip(names, values, strict=True)) | {"seconds": seconds}
        row |= {f"params_{key}": value for key, value in trial.params.items()}
        row |= {f"user_attrs_{key}": value for key, value in trial.user_attrs.items()}
        rows.append(row)
    trials = pd.DataFrame(rows) if rows else pd.DataFrame(columns=["number", "state", *names])
    maximised = tuple(d == optuna.study.StudyDirection.MAXIMIZE for d in study.directions)
    return Study(study.study_name, path, study, names, maximised, trials)
