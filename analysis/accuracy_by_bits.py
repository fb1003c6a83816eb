"""Accuracy against the bits of a weight, and against the memory that they take.

Of runs whose export was reported: python -m shd_genn.export RUN --report --bits 32 8 4 writes the
file export/bits.csv in the run's folder. Filled marks and solid lines are fine-tuned.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.exported import tables
from analysis.tools.load import Results
from shd_genn.export.report import BITS_COLUMNS


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        points: One row a run and precision: run, and the columns of ``bits.csv``.
        notes: Notes below the figure.
    """

    points: pd.DataFrame
    notes: tuple[str, ...]


def load(results: Results, options: script.Options) -> Numbers:
    """The precisions of all runs that have been reported.

    Raises:
        DataError: if there is none.
    """
    points = tables(results, "bits.csv", BITS_COLUMNS, "--report --bits 32 8 4")
    return Numbers(points, (results.left_out(),))


def plot(numbers: Numbers) -> Figure:
    """Bits of a weight left, flash memory in the middle, synaptic operations right."""
    points = numbers.points.assign(kilobytes=numbers.points["flash_bytes"] / 1000)
    figure = style.figure(3.0)
    axes = figure.subplots(1, 3, sharey=True)
    colours = style.colours(points["run"])
    columns = ("bits", "kilobytes", "synaptic_operations")
    for ax, column in zip(axes, columns, strict=True):
        for run, group in points.dropna(subset=[column]).groupby("run"):
            colour = colours[str(run)]
            exact = group[group["bits"] == group["bits"].max()]
            for tuned, part in group.groupby("fine_tuned"):
                face = colour if tuned else "none"
                ax.plot(part[column], 100 * part["accuracy"], "o", color=colour, mfc=face, ms=5)
                line = pd.concat([part, exact]).drop_duplicates().sort_values("bits")
                style_of = "-" if tuned else ":"
                ax.plot(line[column], 100 * line["accuracy"], style_of, color=colour, lw=0.9)
        ax.set_xscale("log")
        style.log_axis(ax.xaxis)
    bits = sorted(points["bits"].unique())
    axes[0].set_xticks(bits, [str(b) for b in bits])
    axes[0].set(xlabel="bits of a weight", ylabel="test accuracy (%)")
    axes[1].set_xlabel("weights and constants (kB)")
    axes[2].set_xlabel("synaptic operations of a word")
    for run, colour in colours.items():
        axes[0].plot([], [], "o-", color=colour, label=run)
    style.legend(figure, columns=4)
    samples = ", ".join(
        f"{n} of {name}" for name, n in points.groupby("dataset")["samples"].max().items()
    )
    style.note(figure, f"test samples: {samples}; filled, solid: fine-tuned", *numbers.notes)
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
