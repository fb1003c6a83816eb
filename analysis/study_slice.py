"""Slices through a study.

The value of each complete trial against each parameter, the later the darker.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import words
from analysis.tools.load import Results
from analysis.tools.studies import Study, categories, choose, is_categorical, label
from shd_genn.support.errors import DataError

EACH = "study"


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        study: The study.
        trials: Its complete trials; objectives in the unit shown.
    """

    study: Study
    trials: pd.DataFrame


def load(results: Results, options: script.StudyOptions) -> Numbers:
    """The complete trials.

    Raises:
        DataError: if there is no study, none of its trials is complete, or nothing was searched.
    """
    study = choose(results.studies, options.study)
    trials = study.complete.copy()
    if not study.parameters:
        raise DataError(
            f"study {study.name} has no parameters; choose a study that searched over some"
        )
    for objective in study.objectives:
        trials[objective] = study.in_axis_unit(trials, objective)
    return Numbers(study, trials)


def plot(numbers: Numbers) -> Figure:
    """A row of panels for each objective, three parameters a row."""
    study, trials = numbers.study, numbers.trials
    names = study.parameters
    columns = min(3, len(names))
    blocks = -(-len(names) // columns)
    rows = blocks * len(study.objectives)
    figure = style.figure(1.9 * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False, sharey="row")
    points = None
    for i, objective in enumerate(study.objectives):
        for k in range(blocks * columns):
            ax = axes[i * blocks + k // columns, k % columns]
            if k >= len(names):
                ax.remove()
                continue
            given = trials.dropna(subset=[f"params_{names[k]}", objective])
            values = given[f"params_{names[k]}"]
            if is_categorical(values):
                kinds = categories(values)
                values = values.astype(str).map(kinds.index)
                ax.set_xticks(range(len(kinds)), kinds)
                ax.set_xlim(-0.5, len(kinds) - 0.5)
            points = ax.scatter(
                values, given[objective], c=given["number"], cmap="Blues", s=12, lw=0.3, ec="0.3"
            )
            if study.is_log(names[k]):
                ax.set_xscale("log")
                style.log_axis(ax.xaxis)
                ax.tick_params(axis="x", labelrotation=60)
            ax.set_xlabel(words(names[k]))
            if k % columns == 0:
                ax.set_ylabel(label(objective))
    if points is not None:
        figure.colorbar(points, ax=figure.axes, label="trial", shrink=0.6)
    figure.suptitle(study.name, fontsize=8.5)
    style.note(figure, f"n = {len(trials)} complete trials")
    return figure


if __name__ == "__main__":
    script.draw(script.StudyOptions, load, plot)
