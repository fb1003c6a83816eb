"""Silent neurons over the epochs.

Hidden neurons that never spike in an epoch's training trials: such a neuron has no gradient to come
back by. Curves are means over seeds, bands their range.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import repetitions, unequal, with_names, worth_naming
from analysis.tools.load import Results
from shd_genn.support.errors import DataError


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        curves: dataset, line, hidden, epoch, mean, min, max (parts of all hidden neurons), n.
        named: The lines that have a panel; each dataset's others share one.
        notes: Notes below the figure.
    """

    curves: pd.DataFrame
    named: list[str]
    notes: tuple[str, ...]


def load(results: Results, options: script.Options) -> Numbers:
    """The part of the neurons that is silent in each epoch.

    Raises:
        DataError: if no run has a whole epoch yet.
    """
    if results.epochs.empty or "silent_neurons" not in results.epochs:
        raise DataError("no run has finished an epoch; give the folder of one that has")
    runs = with_names(results, results.runs[~results.runs["repeated"]])
    epochs = results.epochs[results.epochs["split"] == "train"]
    epochs = epochs.merge(runs[["run", "dataset", "line", "hidden"]], on="run")
    epochs["silent"] = epochs["silent_neurons"] / epochs["hidden"]  # as the network has them
    groups = epochs.groupby(["dataset", "line", "hidden", "epoch"], as_index=False)
    curves = groups["silent"].agg(["mean", "min", "max", "count"]).rename(columns={"count": "n"})
    notes = (f"mean and range over {repetitions(runs)}", unequal(results, runs))
    return Numbers(curves, worth_naming(runs[runs["run"].isin(epochs["run"])], "line"), notes)


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset and line, a curve for each hidden size.

    Where there are too many lines, those that are not named share a panel of each dataset.
    """
    curves = numbers.curves
    named = curves["line"].isin(numbers.named)
    groups = {(str(a), str(b)): g for (a, b), g in curves[named].groupby(["dataset", "line"])}
    keys = sorted(groups, key=lambda key: (key[0], key[1].startswith("feedforward"), key[1]))
    for dataset, group in curves[~named].groupby("dataset"):
        keys.append((str(dataset), f"the {group['line'].nunique()} others"))
        groups[keys[-1]] = group
    names = [", ".join(key) for key in keys]
    figure, axes = style.panels(names, height=1.55, sharey=True)
    colours = style.colours(str(size) for size in sorted(curves["hidden"].unique()))
    for i, (ax, key) in enumerate(zip(axes, keys, strict=True)):
        for (_, hidden), group in groups[key].groupby(["line", "hidden"]):
            colour = colours[str(hidden)]
            ax.plot(group["epoch"], 100 * group["mean"], color=colour, label=str(hidden))
            low, high = 100 * group["min"], 100 * group["max"]
            ax.fill_between(group["epoch"], low, high, color=colour, alpha=0.15, lw=0)
        style.epoch_axis(ax, groups[key].groupby(["line", "hidden"])["epoch"].max())
        if i % 2 == 0:
            ax.set_ylabel("silent (%)")
        if i >= len(keys) - 2:
            ax.set_xlabel("epoch")
    axes[0].set_ylim(-3, max(10.0, 105 * curves["max"].max()))
    style.legend(figure, "hidden neurons", columns=5)
    best = ["panels of their own: the best by validation"] if not named.all() else []
    meaning = "neurons without a spike in the epoch's training"
    style.note(figure, meaning, *numbers.notes, style.n_range(curves["n"]), *best)
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
