"""Accuracy against the length of a step: does a network survive the move to another grid of time?

Of runs whose export was reported: python -m shd_genn.export RUN --report --dt-ms 0.5 2 4 exact
writes the file export/steps.csv in the run's folder. Filled marks and solid lines are fine-tuned;
a ring is the step that the network was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.exported import tables
from analysis.tools.load import Results
from shd_genn.export.report import STEPS_COLUMNS


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        points: One row a run, step and delay: run, and the columns of ``steps.csv``.
        notes: Notes below the figure.
    """

    points: pd.DataFrame
    notes: tuple[str, ...]


def load(results: Results, options: script.Options) -> Numbers:
    """The steps of all runs that have been reported.

    Raises:
        DataError: if there is none.
    """
    points = tables(results, "steps.csv", STEPS_COLUMNS, "--report --dt-ms 0.5 2 4 exact")
    points["exact"] = points["step"] == "exact"
    points["step_ms"] = pd.to_numeric(points["step"], errors="coerce")
    return Numbers(points, (results.left_out(),))


def plot(numbers: Numbers) -> Figure:
    """Exact times left, steps in ms right."""
    points = numbers.points
    figure = style.figure(3.0)
    exact, steps = figure.subplots(1, 2, sharey=True, width_ratios=[1, 4])
    colours = style.colours(points["run"])
    for (run, tuned), group in points.groupby(["run", "fine_tuned"]):
        _draw(exact, steps, group, colours[str(run)], "-" if tuned else ":")
    exact.set_xticks([0], ["exact"])
    exact.set(xlim=(-1, 1), xlabel="no steps", ylabel="test accuracy (%)")
    steps.set(xscale="log", xlabel="length of a step (ms)")
    style.log_axis(steps.xaxis)
    ticks = sorted(points["step_ms"].dropna().unique())
    steps.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    for run, colour in colours.items():
        steps.plot([], [], "o-", color=colour, label=run)
    style.legend(figure, columns=4)
    samples = ", ".join(
        f"{n} of {name}" for name, n in points.groupby("dataset")["samples"].max().items()
    )
    key = "filled, solid: fine-tuned; ring: the step of the training"
    style.note(figure, f"test samples: {samples}; {key}", *numbers.notes)
    return figure


def _draw(exact: Axes, steps: Axes, group: pd.DataFrame, colour: str, line: str) -> None:
    """A network; of several delays the mean."""
    face = colour if line == "-" else "none"
    for ax, part, x in (
        (exact, group[group["exact"]].assign(at=0), "at"),
        (steps, group[~group["exact"]], "step_ms"),
    ):
        mean = part.groupby(x)["accuracy"].mean()
        ax.plot(mean.index, 100 * mean, "o" + line, color=colour, mfc=face, ms=5, lw=0.9)
    trained = group[group["step_ms"] == group["trained_step_ms"]]
    steps.plot(
        trained["step_ms"], 100 * trained["accuracy"], "o", color=colour, mfc="none", ms=10, mew=0.7
    )


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
