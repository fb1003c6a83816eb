"""Parallel coordinates of a study.

Each complete trial is a line through its parameters; the better, the darker. Trials without one of
the parameters are counted below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import words
from analysis.tools.load import Results
from analysis.tools.studies import Study, categories, choose, is_categorical, label
from shd_genn.support.errors import DataError

EACH = "study"
TICKS = 5


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        study: The study.
        trials: Complete trials that have all parameters, the worst first.
        scaled: The same, each column from 0 to 1.
        ticks: Column → (positions from 0 to 1, labels).
        missing: Complete trials without one of the parameters.
    """

    study: Study
    trials: pd.DataFrame
    scaled: pd.DataFrame
    ticks: dict[str, tuple[list[float], list[str]]]
    missing: int


def load(results: Results, options: script.StudyOptions) -> Numbers:
    """Parameters and first objective, scaled to the range that was tried.

    Raises:
        DataError: if there is no study, or no complete trial has all its parameters.
    """
    study = choose(results.studies, options.study)
    objective = study.objectives[0]
    names = study.parameters
    trials = study.complete.dropna(subset=[f"params_{name}" for name in names])
    if trials.empty or not names:
        raise DataError(
            f"study {study.name} has no complete trial with all its parameters; wait until it has"
        )
    trials = trials.sort_values(objective, ascending=study.maximised[0])
    scaled, ticks = pd.DataFrame(index=trials.index), {}
    for name in names:
        column = trials[f"params_{name}"]
        scaled[name], ticks[name] = _scale(column, study.is_log(name))
    scaled[objective], ticks[objective] = _scale(study.in_axis_unit(trials, objective), False)
    return Numbers(study, trials, scaled, ticks, len(study.complete) - len(trials))


def _scale(column: pd.Series, log: bool) -> tuple[Any, tuple[list[float], list[str]]]:
    """A column from 0 to 1, and ticks for it."""
    if is_categorical(column):
        kinds = categories(column)
        at = np.linspace(0, 1, len(kinds)) if len(kinds) > 1 else np.array([0.5])
        return column.astype(str).map(dict(zip(kinds, at, strict=True))), (at.tolist(), kinds)
    values = np.log(column.astype(float)) if log else column.astype(float)
    low, high = values.min(), values.max()
    if low == high:
        return pd.Series(0.5, column.index), ([0.5], [f"{column.iloc[0]:g}"])
    at = np.linspace(0, 1, TICKS)
    values_at_ticks = low + at * (high - low)
    numbers = np.exp(values_at_ticks) if log else values_at_ticks
    labels = [f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}" for value in numbers]
    return (values - low) / (high - low), (at.tolist(), labels)


def plot(numbers: Numbers) -> Figure:
    """An axis for each parameter, the objective last."""
    study, scaled = numbers.study, numbers.scaled
    figure = style.figure(3.4)
    ax = figure.subplots()
    colours = mpl.colormaps["Blues"](0.15 + 0.85 * np.linspace(0, 1, len(scaled)))
    for colour, (_, row) in zip(colours, scaled.iterrows(), strict=True):
        ax.plot(range(scaled.shape[1]), row.to_numpy(float), color=colour, lw=0.8)
    for k, name in enumerate(map(str, scaled)):
        ax.axvline(k, color="0.4", lw=0.7)
        for at, text in zip(*numbers.ticks[name], strict=True):
            ax.text(
                k + 0.03,
                at,
                text,
                fontsize=6.5,
                va="center",
                bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.5},
            )
    names = [*(words(name) for name in study.parameters), label(study.objectives[0])]
    ax.set_xticks(range(len(names)), [style.wrapped(name, 12) for name in names])
    ax.set(xlim=(-0.1, len(names) - 1 + 0.35), ylim=(-0.03, 1.03), yticks=[], title=study.name)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(axis="x", length=0)
    count = f"n = {len(scaled)} complete trials, the better the darker"
    missing = f"{numbers.missing} without all parameters not shown" if numbers.missing else ""
    style.note(figure, count, missing)
    return figure


if __name__ == "__main__":
    script.draw(script.StudyOptions, load, plot)
