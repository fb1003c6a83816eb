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
from analysis.tools.configurations import repetitions, unequal, with_names, worth_naming
from analysis.tools.load import Results, each
from shd_genn.support.errors import DataError


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        points: dataset, line, hidden, configuration, epoch, seconds, accuracy, n, measured_on.
        named: The configurations that have a colour and a name; the others are pale.
        notes: Notes below the figure.
    """

    points: pd.DataFrame
    named: list[str]
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
    columns = ["run", "dataset", "line", "hidden", "configuration"]
    table = table.reset_index().merge(runs[columns], on="run")
    keys = ["dataset", "line", "hidden", "configuration", "measured_on", "epoch"]
    points = table.groupby(keys, as_index=False).agg(
        seconds=("seconds", "mean"), accuracy=("accuracy", "mean"), n=("run", "nunique")
    )
    machines = runs[["device", "n_threads", "cores"]].drop_duplicates()
    used = [(row.device, row.n_threads or row.cores) for row in each(machines)]
    threads = [f"{device}, {n} thread{'s' if n != 1 else ''}" for device, n in used]
    over = f"mean over {repetitions(runs)} at each epoch"
    named = worth_naming(runs, "configuration")
    return Numbers(points, named, (over, "; ".join(threads), unequal(results, runs)))


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset, a line for each configuration."""
    points = numbers.points.sort_values(["hidden", "line", "epoch"], ascending=[True, False, True])
    names = sorted(points["dataset"].unique())
    figure, axes = style.panels(names, height=2.8, sharey=True)
    names_of_line = points.groupby("line")["configuration"].unique()
    lines = [str(line) for line, own in names_of_line.items() if set(own) & set(numbers.named)]
    colours = style.colours(points["line"], lines)
    dashes = dict(
        zip(points["hidden"].unique(), ("-", (0, (4, 1.5)), (0, (1, 1)), "-."), strict=False)
    )
    for ax, dataset in zip(axes, names, strict=True):
        part = points[points["dataset"] == dataset]
        for configuration in style.pale_first(part["configuration"], numbers.named):
            group = part[part["configuration"] == configuration]
            line, hidden = group[["line", "hidden"]].iloc[0]
            colour = colours[line] if configuration in numbers.named else style.PALE
            ax.plot(
                group["seconds"],
                100 * group["accuracy"],
                color=colour,
                ls=dashes.get(hidden, "-"),
                label=style.label(configuration, numbers.named),
            )
            last = group.iloc[-1]
            ax.plot(last["seconds"], 100 * last["accuracy"], "o", color=colour, ms=3)
        ax.set(xscale="log", xlabel="training time (s)")
        style.log_axis(ax.xaxis)
    axes[0].set_ylim(0, 103)
    measured_on = " or ".join(sorted(points["measured_on"].unique(), reverse=True))
    for ax in axes[::2]:
        ax.set_ylabel(f"{measured_on} accuracy (%)")
    n_curves = points["configuration"].nunique()
    style.legend(figure, n_others=n_curves - len(numbers.named))
    best = style.best_only(numbers.named, n_curves)
    style.note(figure, best, *numbers.notes, style.n_range(points["n"]))
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
