"""All configurations compared.

Test accuracy of each configuration; as a LaTeX table (-o FILE.tex) with activity and time, too. Big
marks are means over seeds, small ones the seeds. Bars are 95 % intervals: a bootstrap over seeds
and test samples; of a run without predictions Wilson's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import unequal, with_names
from analysis.tools.load import Results, each
from analysis.tools.stats import bootstrap, spread, wilson
from analysis.tools.tables import accuracy, latex
from shd_genn.support.errors import DataError


@dataclass(frozen=True)
class Numbers:
    """What figure and table show.

    Attributes:
        rows: dataset, configuration, topology, n, mean, sd, low, high (accuracies 0 to 1), spikes
            (per hidden neuron and trial), seconds (per epoch).
        seeds: dataset, configuration, test_accuracy: one row a run.
        notes: Notes below the figure.
    """

    rows: pd.DataFrame
    seeds: pd.DataFrame
    notes: tuple[str, ...]


def load(results: Results, options: script.Options) -> Numbers:
    """Means, spreads and intervals of all configurations.

    Raises:
        DataError: if no run was tested.
    """
    runs = with_names(results, results.tested())
    try:
        predictions = results.predictions(runs)
    except DataError:
        predictions = pd.DataFrame({"run": [], "sample": [], "correct": []})
    rows = []
    for (dataset, configuration), group in runs.groupby(["dataset", "configuration"]):
        mine = predictions[predictions["run"].isin(group["run"])]
        accuracies = spread(group["test_accuracy"])
        low, high = _interval(group, mine)
        rows.append(
            {
                "dataset": dataset,
                "configuration": configuration,
                "topology": group["topology"].iloc[0],
                **vars(accuracies),
                "low": low,
                "high": high,
                "spikes": group["test_hidden_spikes_mean"].mean(),
                "seconds": group["seconds_per_epoch"].mean(),
            }
        )
    table = pd.DataFrame(rows).sort_values(["dataset", "mean"], ascending=[True, False])
    seeds = runs[["dataset", "configuration", "test_accuracy"]]
    notes = (unequal(results, runs), results.left_out())
    return Numbers(table.reset_index(drop=True), seeds, notes)


def _interval(runs: pd.DataFrame, predictions: pd.DataFrame) -> tuple[float, float]:
    """95 % interval of a configuration's accuracy; nan where nothing is known of its samples."""
    if predictions["run"].nunique() == len(runs):
        return bootstrap(predictions.pivot(index="run", columns="sample", values="correct"))
    if len(runs) == 1:
        samples = int(runs["test_samples"].iloc[0])
        return wilson(round(runs["test_accuracy"].iloc[0] * samples), samples)
    return np.nan, np.nan


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset, a row for each configuration."""
    names = sorted(numbers.rows["dataset"].unique())
    labels = [
        style.wrapped(f"{row.configuration} (n\u00a0=\u00a0{row.n})", 44)
        for row in each(numbers.rows)
    ]
    places = {name: style.rows(_of(numbers.rows, name, labels)) for name in names}
    heights = [0.5 + 0.22 * height for _, height in places.values()]
    figure = style.figure(sum(heights) + 0.7)
    axes = figure.subplots(len(names), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    colours = style.colours(numbers.rows["topology"])
    for ax, dataset in zip(axes, names, strict=True):
        part = numbers.rows[numbers.rows["dataset"] == dataset]
        places_here, height = places[dataset]
        for at, row in zip(places_here, each(part), strict=True):
            colour = colours[str(row.topology)]
            ax.plot([100 * row.low, 100 * row.high], [at, at], color=colour, lw=1)
            ax.plot(100 * row.mean, at, "o", color=colour, ms=5)
            mine = numbers.seeds[
                (numbers.seeds["dataset"] == dataset)
                & (numbers.seeds["configuration"] == row.configuration)
            ]["test_accuracy"]
            ax.plot(100 * mine, [at + 0.22] * len(mine), ".", color=colour, ms=3, alpha=0.7)
        ax.set_yticks(places_here, _of(numbers.rows, dataset, labels))
        ax.set(title=style.wrapped(dataset, 36), xlim=(0, 103), ylim=(height - 0.4, -0.6))
    axes[-1].set_xlabel("test accuracy (%)")
    marks = (
        "big: mean over seeds, small: seeds, bars: 95 % interval (bootstrap over seeds and samples)"
    )
    style.note(figure, marks, *numbers.notes)
    return figure


def _of(rows: pd.DataFrame, dataset: str, labels: list[str]) -> list[str]:
    return [label for label, name in zip(labels, rows["dataset"], strict=True) if name == dataset]


def table(numbers: Numbers) -> str:
    """The same in LaTeX, for the packages booktabs and multirow."""
    rows = numbers.rows
    columns = pd.DataFrame(
        {
            "dataset": rows["dataset"],
            "configuration": rows["configuration"],
            "n": rows["n"].astype(str),
            "accuracy (%)": [accuracy(r.mean, r.sd) for r in each(rows)],
            "95 % interval": [f"{100 * r.low:.1f}–{100 * r.high:.1f}" for r in each(rows)],
            "spikes": rows["spikes"].map("{:.1f}".format),
            "s/epoch": rows["seconds"].map("{:.2f}".format),
        }
    )
    caption = "Test accuracy, mean ± standard deviation over n seeds"
    intervals = "95 % intervals from a bootstrap over seeds and test samples"
    spikes = "spikes per hidden neuron and trial"
    notes = "; ".join((caption, intervals, spikes, *(note for note in numbers.notes if note)))
    return latex(columns, notes, "tab:comparison")


if __name__ == "__main__":
    script.draw(script.Options, load, plot, table)
