"""Learning curves of several losses, and how soon they reach an accuracy.

Above: validation accuracy (training accuracy where nothing validates) over the epochs. Every dot is
a run in an epoch, every line the mean over the runs of a configuration. Below: the epoch in which a
configuration first reaches 50, 80 and 90 %: every dot is a run, the mark with bars is the mean over
the runs that reach it with its 95 % interval (Student's t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy  # loads its parts when they are first used
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.tools import script, style
from analysis.tools.configurations import datasets, repetitions, with_names, worth_naming
from analysis.tools.load import Results
from shd_genn.support.errors import DataError

EACH = "dataset"
LEVEL = 0.95


@dataclass(frozen=True)
class Options(script.Options):
    """Which runs to read, the accuracies to reach, and the file to write."""

    dataset: str | None = None
    """Which dataset's runs; the first if not given."""
    reach: tuple[float, ...] = (50.0, 80.0, 90.0)
    """Accuracies in percent."""


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        epochs: curve, run, epoch, accuracy (in percent).
        reached: curve, reach, run, epoch: the first epoch of at least that accuracy; nan if the run
            has none.
        table: curve, reach, n, reached, mean, low, high; the interval is nan for fewer than two.
        named: The curves that have a colour, a name and rows below; the others are pale.
        over: What runs of a curve differ in.
    """

    epochs: pd.DataFrame
    reached: pd.DataFrame
    table: pd.DataFrame
    named: list[str]
    over: str


def load(results: Results, options: Options) -> Numbers:
    """The accuracies of all runs of a dataset, and when they reach what.

    Raises:
        DataError: if no run of the dataset has a whole epoch yet.
    """
    if results.epochs.empty:
        raise DataError("no run has finished an epoch; give the folder of one that has")
    runs = with_names(results, results.runs[~results.runs["repeated"]])
    runs = runs[runs["run"].isin(results.epochs["run"])]
    dataset = options.dataset or datasets(runs)[0]
    runs = runs[runs["dataset"] == dataset]
    if runs.empty:
        raise DataError(f"no run of {dataset} has finished an epoch; name one of the datasets")
    chosen = results.epochs[results.epochs["split"].isin(["train", "valid"])]
    validated = chosen.loc[chosen["split"] == "valid", "run"].unique()
    chosen = chosen[(chosen["split"] == "valid") | ~chosen["run"].isin(validated)]
    epochs = chosen.merge(runs[["run", "configuration"]], on="run")
    epochs = epochs.assign(curve=epochs["configuration"], accuracy=100 * epochs["accuracy"])
    epochs = epochs[["curve", "run", "epoch", "accuracy"]].sort_values(["curve", "run", "epoch"])
    reached = pd.DataFrame(
        [
            (curve, reach, run, _first(group, reach))
            for (curve, run), group in epochs.groupby(["curve", "run"])
            for reach in options.reach
        ],
        columns=["curve", "reach", "run", "epoch"],
    )
    named = worth_naming(runs, "configuration")
    return Numbers(epochs, reached, _table(reached), named, repetitions(runs))


def _first(epochs: pd.DataFrame, reach: float) -> float:
    there = epochs.loc[epochs["accuracy"] >= reach, "epoch"]
    return float(there.min()) if len(there) else float("nan")


def _table(reached: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (curve, reach), group in reached.groupby(["curve", "reach"], sort=False):
        there = group["epoch"].dropna().to_numpy(float)
        mean = float(there.mean()) if len(there) else float("nan")
        half = float("nan")
        if len(there) > 1:
            t = float(scipy.stats.t.ppf((1 + LEVEL) / 2, len(there) - 1))
            half = t * float(there.std(ddof=1)) / float(np.sqrt(len(there)))
        rows.append((curve, reach, len(group), len(there), mean, mean - half, mean + half))
    columns = ["curve", "reach", "n", "reached", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def plot(numbers: Numbers) -> Figure:
    """Curves above, epochs to each accuracy below."""
    everything = list(dict.fromkeys(numbers.epochs["curve"]))
    curves = [curve for curve in everything if curve in numbers.named]
    reaches = list(dict.fromkeys(numbers.table["reach"]))
    height = max(0.8, 0.17 * len(curves) * len(reaches))
    figure = style.figure(3.2 + height)
    above, below = figure.subplots(2, 1, height_ratios=[2.4, height])
    colours = style.colours(everything, curves)
    for curve in style.pale_first(everything, curves):
        group = numbers.epochs[numbers.epochs["curve"] == curve]
        _plot_curve(above, group, colours[curve], style.label(curve, curves))
    style.epoch_axis(above, numbers.epochs.groupby("run")["epoch"].max())
    above.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 103))
    _plot_reached(below, numbers, curves, reaches, colours)
    style.legend(figure, columns=2, n_others=len(everything) - len(curves))
    counts = numbers.epochs.groupby("curve")["run"].nunique().tolist()
    style.note(
        figure,
        f"dots: runs, lines and marks: means over {numbers.over}, {style.n_range(counts)}",
        f"bars: {LEVEL:.0%} intervals of the mean over the runs that reach the accuracy",
        "numbers: how many of the runs reach it",
        style.best_only(curves, len(everything)),
    )
    return figure


def _plot_curve(ax: Axes, group: pd.DataFrame, colour: str, label: str) -> None:
    ax.plot(group["epoch"], group["accuracy"], ".", color=colour, ms=4, alpha=0.6, mew=0)
    mean = group.groupby("epoch")["accuracy"].mean()
    ax.plot(mean.index, mean, color=colour, lw=1.6, label=label)


def _plot_reached(
    ax: Axes, numbers: Numbers, curves: list[str], reaches: list[float], colours: dict[str, str]
) -> None:
    end = float(numbers.epochs.loc[numbers.epochs["curve"].isin(curves), "epoch"].max())
    ticks = []
    for i, reach in enumerate(reaches):
        for j, curve in enumerate(curves):
            y = -(i * (len(curves) + 0.8) + j)
            row = numbers.table[
                (numbers.table["reach"] == reach) & (numbers.table["curve"] == curve)
            ].iloc[0]
            runs = numbers.reached[
                (numbers.reached["reach"] == reach) & (numbers.reached["curve"] == curve)
            ]["epoch"].dropna()
            ax.plot(runs, [y] * len(runs), ".", color=colours[curve], ms=5, alpha=0.6, mew=0)
            if row["reached"]:
                half = 0 if np.isnan(row["low"]) else row["high"] - row["mean"]
                ax.errorbar(row["mean"], y, xerr=half, fmt="d", color=colours[curve], capsize=2)
            ax.text(
                1.01, y, f"{row['reached']}/{row['n']}", va="center", fontsize=6.5,
                transform=ax.get_yaxis_transform(),
            )  # fmt: skip
        ticks.append(-(i * (len(curves) + 0.8) + (len(curves) - 1) / 2))
    ax.set_ylim(-len(reaches) * (len(curves) + 0.8) + 1.2, 0.6)
    ax.set_yticks(ticks, [f"{reach:g} %" for reach in reaches])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="first epoch of that accuracy", xlim=(0, 1.03 * end))
    ax.grid(axis="y", visible=False)


if __name__ == "__main__":
    script.draw(Options, load, plot)
