"""Accuracy against training time.

Time is the sum over epochs of what training and validation took, without loading the data. Curves
are means over the seeds of complete runs at each epoch, of time and of accuracy. Where there is no
validation set, it is training accuracy, as the axis says.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import repetitions, unequal, with_names
from analysis.tools.load import Results, each
from shd_genn.support.errors import DataError


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        points: dataset, topology, hidden_sizes, line, epoch, seconds, accuracy, n, measured_on.
        notes: Notes below the figure.
    """

    points: pd.DataFrame
    notes: tuple[str, ...]


def load(results: Results, options: script.Options) -> Numbers:
    """Mean time and accuracy at each epoch.

    Raises:
        DataError: if no run is complete.
    """
    runs = results.runs
    if results.epochs.empty or not (runs["state"] == "complete").any():
        raise DataError("no run is complete; give the folder of one that is")
    runs = with_names(results, runs[(runs["state"] == "complete") & ~runs["repeated"]])
    epochs = results.epochs[results.epochs["split"] != "test"].sort_values(["run", "epoch"])
    time = epochs.groupby(["run", "epoch"])["seconds"].sum().groupby(level="run").cumsum()
    by_split = epochs.pivot(index=["run", "epoch"], columns="split", values="accuracy")
    by_split = by_split.reindex(columns=["train", "valid"])
    measured_on = by_split["valid"].notna().map({True: "validation", False: "training"})
    accuracy = by_split["valid"].fillna(by_split["train"])
    table = pd.DataFrame({"seconds": time, "accuracy": accuracy, "measured_on": measured_on})
    columns = ["run", "dataset", "topology", "hidden", "configuration"]
    table = table.reset_index().merge(runs[columns], on="run")
    keys = ["dataset", "topology", "hidden", "configuration", "measured_on", "epoch"]
    points = table.groupby(keys, as_index=False).agg(
        seconds=("seconds", "mean"), accuracy=("accuracy", "mean"), n=("run", "nunique")
    )
    machines = runs[["device", "n_threads", "cores"]].drop_duplicates()
    threads = [f"{row.device}, {row.n_threads or row.cores} threads" for row in each(machines)]
    over = f"mean over {repetitions(runs)} at each epoch"
    return Numbers(points, (over, "; ".join(threads), unequal(results, runs)))


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset, a line for each configuration."""
    points = numbers.points.sort_values(
        ["hidden", "topology", "epoch"], ascending=[True, False, True]
    )
    names = sorted(points["dataset"].unique())
    figure, axes = style.panels(names, height=2.8, sharey=True)
    colours = style.colours(points["topology"])
    dashes = dict(
        zip(points["hidden"].unique(), ("-", (0, (4, 1.5)), (0, (1, 1)), "-."), strict=False)
    )
    for ax, dataset in zip(axes, names, strict=True):
        part = points[points["dataset"] == dataset]
        for configuration, group in part.groupby("configuration", sort=False):
            topology, hidden = group[["topology", "hidden"]].iloc[0]
            ax.plot(
                group["seconds"],
                100 * group["accuracy"],
                color=colours[topology],
                ls=dashes.get(hidden, "-"),
                label=configuration,
            )
            last = group.iloc[-1]
            ax.plot(last["seconds"], 100 * last["accuracy"], "o", color=colours[topology], ms=3)
        ax.set(xscale="log", xlabel="training time (s)")
        style.log_axis(ax.xaxis)
    axes[0].set_ylim(0, 100)
    measured_on = " or ".join(sorted(points["measured_on"].unique(), reverse=True))
    for ax in axes[::2]:
        ax.set_ylabel(f"{measured_on} accuracy (%)")
    style.legend(figure)
    style.note(figure, *numbers.notes, style.n_range(points["n"]))
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
