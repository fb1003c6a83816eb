"""Pareto front of a study.

Of several objectives: the trials that no other beats in all of them. As a LaTeX table
(-o FILE.tex) with their parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.load import Results
from analysis.tools.studies import Study, choose, label
from analysis.tools.tables import latex
from shd_genn.support.errors import DataError

EACH = "study"


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        study: The study.
        trials: Its complete trials; objectives in the unit shown; ``front``: not dominated.
    """

    study: Study
    trials: pd.DataFrame


def load(results: Results, options: script.StudyOptions) -> Numbers:
    """The complete trials, and which of them are on the front.

    Raises:
        DataError: if there is no study, or it has one objective only.
    """
    study = choose(results.studies, options.study)
    if len(study.objectives) < 2:
        raise DataError(
            f"study {study.name} has one objective, but a front needs two; choose another"
        )
    trials = study.complete.copy()
    for objective in study.objectives:
        trials[objective] = study.in_axis_unit(trials, objective)
    trials["front"] = trials["number"].isin([trial.number for trial in study.study.best_trials])
    return Numbers(study, trials)


def plot(numbers: Numbers) -> Figure:
    """A panel for each pair of objectives."""
    study, trials = numbers.study, numbers.trials
    pairs = list(combinations(range(len(study.objectives)), 2))
    figure = style.figure(2.9 * len(pairs) + 0.5)
    axes = figure.subplots(len(pairs), 1, squeeze=False)[:, 0]
    for ax, (first, second) in zip(axes, pairs, strict=True):
        # the cost is on the x axis, the gain on the y axis
        x, y = (first, second) if study.maximised[second] else (second, first)
        names = study.objectives[x], study.objectives[y]
        rest, front = trials[~trials["front"]], trials[trials["front"]].sort_values(names[0])
        ax.plot(rest[names[0]], rest[names[1]], "o", color=style.GREY, ms=3, label="dominated")
        line = "o-" if len(pairs) == 1 else "o"  # of three, two need not be monotone
        ax.plot(front[names[0]], front[names[1]], line, color=style.COLOURS[1], label="front")
        ax.set(xlabel=label(names[0]), ylabel=label(names[1]))
    style.legend(figure, study.name)
    style.note(
        figure, f"n = {len(trials)} complete trials, {int(trials['front'].sum())} on the front"
    )
    return figure


def table(numbers: Numbers) -> str:
    """The trials of the front in LaTeX, for the package booktabs."""
    study = numbers.study
    front = numbers.trials[numbers.trials["front"]].sort_values(study.objectives[0])
    columns = pd.DataFrame({"trial": front["number"].astype(str)})
    for objective in study.objectives:
        columns[label(objective)] = front[objective].map("{:.4g}".format)
    for parameter in study.parameters:
        values = front[f"params_{parameter}"]
        numeric = pd.api.types.is_numeric_dtype(values)
        columns[parameter] = values.map("{:.3g}".format) if numeric else values.astype(str)
    n = len(numbers.trials)
    caption = f"Pareto front of study {study.name}: {len(front)} of {n} complete trials"
    return latex(columns, caption, "tab:pareto")


if __name__ == "__main__":
    script.draw(script.StudyOptions, load, plot, table)
