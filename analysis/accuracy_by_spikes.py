"""Accuracy against spikes and synaptic operations.

Each mark is a run. A synaptic operation is what one spike does to one target neuron: a spike of a
population costs as many as the neurons that it is connected to.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import unequal, with_names, worth_naming
from analysis.tools.load import Results, each
from shd_genn.support.errors import DataError


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        points: One row a run: dataset, line, hidden, test_accuracy, hidden_spikes (a
            trial, all hidden neurons together), operations (synaptic, a trial).
        named: The lines that have a colour and a name; the others are pale.
        notes: Notes below the figure.
    """

    points: pd.DataFrame
    named: list[str]
    notes: tuple[str, ...]


def load(results: Results, options: script.Options) -> Numbers:
    """Spikes and synaptic operations of a mean test trial of each run.

    Raises:
        DataError: if no run was tested, or none has predictions and hidden spikes.
    """
    runs = with_names(results, results.tested())
    predictions = results.predictions(runs)
    spikes = predictions.groupby("run").mean(numeric_only=True)
    rows = []
    for row in each(runs):
        if row.run not in spikes.index:
            continue
        mine = spikes.loc[row.run].dropna()
        counts = {c.removeprefix("spikes_"): mine[c] for c in mine.index if c.startswith("spikes_")}
        operations = row.test_synaptic_operations
        cost = {"hidden_spikes": sum(counts.values()), "operations": operations}
        if min(cost.values()) > 0:  # a logarithmic axis has no place for zero
            rows.append({"run": row.run, **cost})
    if not rows:
        raise DataError(
            "no run has both predictions.csv and hidden spikes; give the folder of one that has"
        )
    points = runs.merge(pd.DataFrame(rows), on="run")
    silent = len(runs) - len(points)
    without = f"without hidden spikes or usable files, not shown: {silent}" if silent else ""
    notes = (unequal(results, runs), results.left_out(), without)
    return Numbers(points, worth_naming(points, "line"), notes)


def plot(numbers: Numbers) -> Figure:
    """A row for each dataset: hidden spikes left, synaptic operations right."""
    points = numbers.points
    datasets = sorted(points["dataset"].unique())
    figure = style.figure(2.2 * len(datasets) + 0.7)
    axes = figure.subplots(len(datasets), 2, squeeze=False, sharex="col", sharey=True)
    colours = style.colours(points["line"], numbers.named)
    markers = style.markers(sorted(points["hidden"].unique()))
    for row, dataset in zip(axes, datasets, strict=True):
        part = points[points["dataset"] == dataset]
        for ax, column in zip(row, ("hidden_spikes", "operations"), strict=True):
            groups = dict(iter(part.groupby(["line", "hidden"])))
            for line, hidden in sorted(groups, key=lambda key: key[0] in numbers.named):
                group = groups[line, hidden]
                ax.scatter(
                    group[column],
                    100 * group["test_accuracy"],
                    color=colours[line],
                    marker=markers[hidden],
                    s=22,
                    alpha=0.85,
                    lw=0,
                )
            ax.set(xscale="log", title=dataset)
            style.log_axis(ax.xaxis)
        row[0].set_ylabel("test accuracy (%)")
    axes[0, 0].set_ylim(0, 103)
    axes[-1, 0].set_xlabel("hidden spikes per trial")
    axes[-1, 1].set_xlabel("synaptic operations per trial")
    for line in numbers.named:
        axes[0, 0].plot([], [], "s", color=colours[line], label=line)
    for hidden, marker in markers.items():
        axes[0, 0].plot([], [], marker, color=style.GREY, label=f"{hidden} neurons")
    style.legend(figure, columns=5, n_others=len(colours) - len(numbers.named))
    marks = "each mark is a run, means over its test trials"
    style.note(figure, marks, style.best_only(numbers.named, len(colours)), *numbers.notes)
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
