"""Importance of parameters.

How much of a study's outcome each parameter explains. PED-ANOVA asks how differently the best tenth
of the trials and all trials are spread over each parameter (Watanabe, Bansal & Hutter 2023);
importances add up to 1.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import optuna
import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import words
from analysis.tools.load import Results
from analysis.tools.studies import Study, choose, label
from shd_genn.support.errors import DataError

EACH = "study"


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        name: The study.
        importances: objective, parameter, importance.
        n: Complete trials.
    """

    name: str
    importances: pd.DataFrame
    n: int


def load(results: Results, options: script.StudyOptions) -> Numbers:
    """Importances for each objective.

    Raises:
        DataError: if there is no study, or too few of its trials are complete.
    """
    study = choose(results.studies, options.study)
    n = len(study.complete)
    rows = []
    for i, objective in enumerate(study.objectives):
        try:
            found = _importances(study, i)
        except (ValueError, RuntimeError, UserWarning) as error:
            raise DataError(
                f"study {study.name} has too few complete trials for importances: {n} ({error})"
            ) from error
        rows += [(objective, name, value) for name, value in found.items()]
    if not rows:
        raise DataError(f"study {study.name} has no parameter that varies; choose a study that has")
    table = pd.DataFrame(rows, columns=["objective", "parameter", "importance"])
    return Numbers(study.name, table, n)


def _importances(study: Study, i: int) -> dict[str, float]:
    """Importances for the study's i-th objective."""
    sign = -1 if study.maximised[i] else 1  # the evaluator asks what makes its target low
    with warnings.catch_warnings():
        # of too few trials Optuna says that all are equal, and only warns that it made that up
        warnings.filterwarnings("error", message=".*Parameter importances will be equal")
        # Optuna says so whenever a target is given, whichever its sign
        warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")
        return optuna.importance.get_param_importances(
            study.study,
            evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
            target=lambda trial: sign * trial.values[i],
        )


def plot(numbers: Numbers) -> Figure:
    """A panel for each objective, a bar for each parameter."""
    table = numbers.importances
    objectives = list(table["objective"].unique())
    rows = table["parameter"].nunique()
    figure = style.figure((0.25 * rows + 0.75) * len(objectives) + 0.3)
    axes = figure.subplots(len(objectives), 1, squeeze=False, sharex=True)[:, 0]
    for ax, objective in zip(axes, objectives, strict=True):
        part = table[table["objective"] == objective].sort_values("importance")
        ax.barh(part["parameter"].map(words), part["importance"], color=style.COLOURS[0])
        ax.set_title(f"{numbers.name}: {label(objective)}", loc="left")
        ax.grid(axis="y", visible=False)
        ax.set_xlim(0, max(1.0, part["importance"].max()))
    axes[-1].set_xlabel("importance (parts of 1)")
    style.note(figure, f"PED-ANOVA over n = {numbers.n} complete trials")
    return figure


if __name__ == "__main__":
    script.draw(script.StudyOptions, load, plot)
