"""The weight of output voltages over the trial.

A line for each run that has one, divided by its mean. Of a learned weight it is what was learned by
the epoch chosen, and dotted what it started from; a thin line is the curve of one word. Where the
weight also depends on the trial, it is its part that does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.tools import script, style
from analysis.tools.configurations import datasets, with_names, worth_naming
from analysis.tools.load import Results, parameters
from shd_genn.network.formulas import GRID
from shd_genn.network.learned_weight import KEY, LearnedWeight
from shd_genn.network.readouts import READOUTS, weight_of
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import DataError

EACH = "dataset"
N = len(GRID)


@dataclass(frozen=True)
class Options(script.Options):
    """Which runs to read, which of them to draw, and the file to write."""

    dataset: str | None = None
    """Which dataset's runs; the first if not given."""


@dataclass(frozen=True)
class Curve:
    """The weight of a run.

    Attributes:
        name: Of its configuration.
        weights: (curves, steps): one, or one for each word.
        start: (steps,): where it started; empty if it is not learned.
    """

    name: str
    weights: NDArray[np.floating]
    start: NDArray[np.floating]


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        curves: One a run.
        named: The names that have a colour; the other curves are pale.
    """

    curves: list[Curve]
    named: list[str]


def load(results: Results, options: Options) -> Numbers:
    """The weights of all runs of a dataset.

    Raises:
        DataError: if no run is read by a weight.
    """
    runs = with_names(results, results.runs[~results.runs["repeated"]])
    dataset = options.dataset or (datasets(runs)[0] if len(runs) else "")
    runs = runs[runs["dataset"] == dataset]
    own = runs["readout"].isin(["weighted", "learned_weight"])
    readout = runs["readout"].astype(str)  # a fixed weight is the same in all runs that have it
    runs["curve"] = runs["variant"].where(own & (runs["variant"] != ""), readout)
    found = [
        _curve(results, str(path), name)
        for path, name in zip(runs["path"], runs["curve"], strict=True)
    ]
    curves = [curve for curve in found if curve is not None]
    if not curves:
        raise DataError(
            "no run weighs its output voltages; give the folder of one with the readout weighted "
            "or learned_weight"
        )
    drawn = [curve is not None for curve in found]
    return Numbers(curves, worth_naming(runs[drawn], "curve"))


def _curve(results: Results, path: str, name: str) -> Curve | None:
    folder = RunFolder.open(Path(path))
    readout = folder.config.model.readout
    weight = readout.weight
    if isinstance(weight, LearnedWeight):
        after = parameters(results.arrays(folder.path, "best")).get(f"output.{KEY}")
        if after is None:
            return None
        classes = folder.config.model.n_classes or 1
        knots = (
            a[: weight.knots] if weight.attention else a for a in (after, weight.initial(classes))
        )
        curve = LearnedWeight(weight.knots, weight.form, start=weight.start)
        learned, start = (curve.weights(np.atleast_2d(k), N) for k in knots)
        return Curve(name, _normalised(learned), _normalised(start)[0])
    if READOUTS[readout.name].form != "weighted":
        return None
    fixed = weight_of(readout.name, weight)(GRID)
    return Curve(name, _normalised(fixed[np.newaxis]), np.zeros(0))


def _normalised(weights: NDArray[np.floating]) -> NDArray[np.floating]:
    normalised: NDArray[np.floating] = weights / np.abs(weights).mean(axis=1, keepdims=True)
    return normalised


def plot(numbers: Numbers) -> Figure:
    """One panel."""
    figure = style.figure(3.0)
    ax = figure.subplots()
    curves = sorted(numbers.curves, key=lambda curve: curve.name in numbers.named)
    colours = style.colours((curve.name for curve in curves), numbers.named)
    drawn: set[str] = set()
    for curve in curves:
        colour = colours[curve.name]
        if len(curve.weights) > 1:
            ax.plot(GRID, curve.weights.T, color=colour, lw=0.5, alpha=0.4)
        label = style.label(curve.name, numbers.named) if curve.name not in drawn else None
        ax.plot(GRID, curve.weights.mean(axis=0), color=colour, label=label)
        if len(curve.start) and curve.name not in drawn:
            ax.plot(GRID, curve.start, color=colour, ls=":", lw=1)
        drawn.add(curve.name)
    ax.set(xlabel="s = t/T", ylabel="weight, divided by its mean", xlim=(0, 1))
    ax.set_ylim(bottom=min(0.0, *(float(curve.weights.min()) for curve in curves)))
    style.legend(figure, columns=2, n_others=len(colours) - len(numbers.named))
    counts = pd.Series([curve.name for curve in curves]).value_counts().tolist()
    lines = f"a line for each run, {style.n_range(counts)}; dotted: start of a learned one"
    style.note(figure, lines, style.best_only(numbers.named, len(colours)))
    return figure


if __name__ == "__main__":
    script.draw(Options, load, plot)
