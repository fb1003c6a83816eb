"""Peak memory of training against the length of a trial.

What a training method keeps of a trial decides how its memory grows with the number of time steps:
spikes, voltages of all steps, or traces that do not grow. Each mark is the mean over runs of equal
method, length and size; bars are their range.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.load import Results
from shd_genn.support.errors import DataError


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        points: panel (dataset, hidden neurons and batch), method, steps, n, mean, low, high (the
            range over runs, in MiB).
    """

    points: pd.DataFrame


def load(results: Results, options: script.Options) -> Numbers:
    """Peak memory of all complete runs.

    Raises:
        DataError: if no complete run has its memory recorded.
    """
    if "peak_memory_mb" not in results.runs or results.runs["peak_memory_mb"].isna().all():
        raise DataError("there is no complete run that has its peak memory; give one")
    runs = results.runs[results.runs["peak_memory_mb"].notna() & ~results.runs["repeated"]].copy()
    runs["steps"] = (runs["trial_ms"] / runs["dt_ms"]).round().astype(int)
    runs["panel"] = [_panel(run) for run in runs.to_dict("records")]
    groups = runs.groupby(["panel", "method", "steps"])["peak_memory_mb"]
    points = groups.agg(["count", "mean", "min", "max"]).reset_index()
    return Numbers(points.rename(columns={"count": "n", "min": "low", "max": "high"}))


def _panel(run: Mapping[Hashable, Any]) -> str:
    """What must be equal for memory to be compared, besides method and length."""
    return f"{run['dataset']}, {run['hidden']} hidden, batch {run['batch_size']}"


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset and size; a line for each method."""
    points = numbers.points
    panels = sorted(points["panel"].unique())
    figure, axes = style.panels(panels, height=2.5)
    colours = style.colours(points["method"])
    for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        for method, part in points[points["panel"] == panel].groupby("method"):
            spread = [part["mean"] - part["low"], part["high"] - part["mean"]]
            colour = colours[str(method)]
            ax.errorbar(part["steps"], part["mean"], spread, color=colour, marker="o", capsize=2.5)
        ax.set_xlabel("time steps of a trial")
        ax.set_xlim(left=0)
        ax.set_ylim(0, 1.08 * points.loc[points["panel"] == panel, "high"].max())
        if i % 2 == 0:
            ax.set_ylabel("peak memory (MiB)")
    for method, colour in colours.items():
        axes[0].plot([], [], color=colour, marker="o", label=method)
    style.legend(figure, columns=4)
    style.note(figure, f"mean and range over runs, {style.n_range(points['n'])}")
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
