"""Accuracy against hidden size.

Each point is the mean test accuracy over seeds, its bar the standard deviation. On SHD and SSC grey
marks are published values.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import unequal, with_names, worth_naming
from analysis.tools.load import Results
from analysis.tools.published import PUBLISHED
from analysis.tools.stats import spread


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        points: dataset, line, hidden, n, mean, sd (accuracies 0 to 1).
        named: The lines that have a colour and a name; the others are pale.
        notes: Notes below the figure.
    """

    points: pd.DataFrame
    named: list[str]
    notes: tuple[str, ...]


def load(results: Results, options: script.Options) -> Numbers:
    """Means and standard deviations over seeds.

    Raises:
        DataError: if no run was tested.
    """
    runs = with_names(results, results.tested())
    groups = runs.groupby(["dataset", "line", "hidden"])["test_accuracy"]
    rows = [(*key, *vars(spread(values)).values()) for key, values in groups]
    points = pd.DataFrame(rows, columns=["dataset", "line", "hidden", "n", "mean", "sd"])
    return Numbers(points, worth_naming(runs, "line"), (unequal(results, runs), results.left_out()))


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset, a line for each topology."""
    points = numbers.points
    names = sorted(points["dataset"].unique())
    figure, axes = style.panels(names, sharey=True)
    colours = style.colours(points["line"], numbers.named)
    markers = style.markers(points["line"])
    for ax, dataset in zip(axes, names, strict=True):
        part = points[points["dataset"] == dataset]
        for line in style.pale_first(sorted(part["line"]), numbers.named):
            group = part[part["line"] == line]
            ax.errorbar(
                group["hidden"],
                100 * group["mean"],
                100 * group["sd"].fillna(0),
                color=colours[line],
                marker=markers[line],
                capsize=2.5,
                label=style.label(line, numbers.named),
            )
        marks = PUBLISHED.get(dataset, ())
        for mark, shape in zip(marks, ("d", "<", ">"), strict=False):
            ax.errorbar(
                mark.hidden,
                100 * mark.accuracy,
                100 * mark.sd,
                fmt=shape,
                color=style.GREY,
                mfc="white",
                capsize=2.5,
                label=f"{mark.name} ({100 * mark.accuracy:.1f} %)",
            )
        style.size_axis(ax, [*part["hidden"], *(mark.hidden for mark in marks)])
    axes[0].set_ylim(0, 103)
    for ax in axes[::2]:
        ax.set_ylabel("test accuracy (%)")
    n_lines = len(colours)
    style.legend(figure, columns=2, n_others=n_lines - len(numbers.named))
    counted = f"mean ± sd over seeds, {style.n_range(points['n'])}"
    style.note(figure, counted, style.best_only(numbers.named, n_lines), *numbers.notes)
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
