"""Learning curves.

Training is dashed, validation solid, the test accuracy at the chosen epoch a mark. Curves are means
over the seeds of complete runs, bands their range. A run that is not complete is a thin line of its
own that ends in a cross.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import repetitions, unequal, with_names, worth_naming
from analysis.tools.load import Results
from shd_genn.support.errors import DataError


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        epochs: dataset, topology, curve, run, whole (the run is complete), epoch, split, accuracy.
        n: Complete runs of each curve.
        named: The curves that have a colour and a name; the others are pale.
        over: What they differ in.
        notes: Notes below the figure.
    """

    epochs: pd.DataFrame
    n: list[int]
    named: list[str]
    over: str
    notes: tuple[str, ...]


def load(results: Results, options: script.Options) -> Numbers:
    """All epochs of all runs that have one.

    Raises:
        DataError: if no run has a whole epoch yet.
    """
    if results.epochs.empty:
        raise DataError("no run has finished an epoch; give the folder of one that has")
    runs = with_names(results, results.runs[~results.runs["repeated"]])
    runs = runs[runs["run"].isin(results.epochs["run"])]
    runs["curve"] = runs["hidden_sizes"] + (", " + runs["variant"]).where(runs["variant"] != "", "")
    runs["whole"] = runs["state"] == "complete"
    columns = ["run", "dataset", "topology", "hidden", "curve", "whole"]
    epochs = results.epochs.merge(runs[columns], on="run")
    n = runs[runs["whole"]].groupby(["dataset", "topology", "curve"]).size().tolist()
    broken = int((~runs["whole"]).sum())
    notes = (f"thin, with a cross: {broken} not complete" if broken else "", unequal(results, runs))
    epochs = epochs.sort_values(["hidden", "curve", "run", "epoch"])
    return Numbers(epochs, n, worth_naming(runs, "curve"), repetitions(runs), notes)


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset and topology."""
    epochs = numbers.epochs
    groups = {(str(a), str(b)): g for (a, b), g in epochs.groupby(["dataset", "topology"])}
    keys = sorted(groups, key=lambda key: (key[0], key[1] == "feedforward", key[1]))
    figure, axes = style.panels([", ".join(key) for key in keys], height=2.1, sharey=True)
    colours = style.colours(epochs["curve"], numbers.named)
    for i, (ax, key) in enumerate(zip(axes, keys, strict=True)):
        for curve in style.pale_first(groups[key]["curve"], numbers.named):
            group = groups[key][groups[key]["curve"] == curve]
            _plot_curve(ax, group, colours[curve], style.label(curve, numbers.named))
        style.epoch_axis(ax, groups[key].groupby("run")["epoch"].max())
        if i % 2 == 0:
            ax.set_ylabel("accuracy (%)")
        if i >= len(keys) - 2:
            ax.set_xlabel("epoch")
    axes[0].set_ylim(0, 103)
    n_curves = len(colours)
    style.legend(figure, "hidden neurons", columns=4, n_others=n_curves - len(numbers.named))
    counted = f"mean and range over {numbers.over}, {style.n_range(numbers.n)}" if numbers.n else ""
    marks = "dashed: training, solid: validation, marks: test at the epoch chosen"
    style.note(figure, counted, marks, style.best_only(numbers.named, n_curves), *numbers.notes)
    return figure


def _plot_curve(ax: Axes, group: pd.DataFrame, colour: str, label: str) -> None:
    ax.plot([], [], color=colour, marker="o", mec="white", label=label)
    for split, dashes in (("train", (0, (3, 1.5))), ("valid", "-")):
        mine = group[group["split"] == split]
        whole = mine[mine["whole"]].groupby("epoch")["accuracy"].agg(["mean", "min", "max"]) * 100
        ax.plot(
            whole.index, whole["mean"], color=colour, ls=dashes, lw=1 if split == "train" else 1.4
        )
        ax.fill_between(whole.index, whole["min"], whole["max"], color=colour, alpha=0.15, lw=0)
        for _, run in mine[~mine["whole"]].groupby("run"):
            ax.plot(run["epoch"], 100 * run["accuracy"], color=colour, ls=dashes, lw=0.6)
            ax.plot(run["epoch"].iloc[-1], 100 * run["accuracy"].iloc[-1], "x", color=colour)
    test = group[group["split"] == "test"]
    ax.plot(test["epoch"], 100 * test["accuracy"], "o", color=colour, mec="white", mew=0.7)


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
