"""Time and memory of training beside other libraries.

Of tables of python -m shd_genn.bench peers: milliseconds per sample of the fastest batch, forward,
backward and a step of Adam, and how many times the native engine's they are; memory that network
and training take beyond library and input. What a library could not do within its limits is listed
below.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.load import Results, each
from shd_genn.bench.peers.libraries import BASELINE, LIBRARIES
from shd_genn.support.errors import DataError

SHOWN = {"train_ms": "ms per sample", "memory_growth_mb": "memory (MB)"}


def load(results: Results, options: script.Options) -> pd.DataFrame:
    """The rows of comparisons; of rows with equal settings the last.

    Raises:
        DataError: if there are none.
    """
    if results.peers.empty:
        raise DataError("there is no table of python -m shd_genn.bench peers; give one (.csv)")
    if results.peers["train_ms"].isna().all():
        raise DataError(
            "no row of the table was measured; run python -m shd_genn.bench peers again"
        )
    keys = ["peer", "topology", "hidden", "n_steps", "threads", "spikes_wanted", "cpu"]
    return results.peers.drop_duplicates(keys, keep="last")


def plot(rows: pd.DataFrame) -> Figure:
    """A line a library, a colour a hidden size; for each number of steps time and memory."""
    steps = sorted(rows["n_steps"].unique(), reverse=True)
    names: list[str] = [name for name in LIBRARIES if name in set(rows["peer"])]
    figure = style.figure(0.9 + len(steps) * (0.5 + 0.19 * len(names)))
    panels = figure.subplots(len(steps), len(SHOWN), squeeze=False, sharey=True, sharex="col")
    for n_steps, axes in zip(steps, panels, strict=True):
        part = rows[rows["n_steps"] == n_steps]
        for ax, column in zip(axes, SHOWN, strict=True):
            _dots(ax, part, column, names, sorted(rows["hidden"].unique()))
            ax.set_title(f"{n_steps} steps")
    for ax, (column, label) in zip(panels[-1], SHOWN.items(), strict=True):
        ax.set_xscale("log")
        low, high = rows[column].min(), rows[column].max()
        ax.set_xlim(low / 1.6, high * (3 if column == "train_ms" else 1.6))  # room for words
        style.log_axis(ax.xaxis)
        ax.set_xlabel(label)
    panels[0, 0].set_yticks(range(len(names)), names)
    panels[0, 0].set_ylim(len(names) - 0.4, -0.6)
    style.legend(figure, columns=5)
    style.note(figure, *_notes(rows))
    return figure


def _dots(ax: Axes, part: pd.DataFrame, column: str, names: list[str], sizes: list[int]) -> None:
    most = part["threads"].max()
    for i, size in enumerate(sizes):
        colour = style.COLOURS[i % len(style.COLOURS)]
        for topology, marker in (("recurrent", "o"), ("feedforward", "D")):
            mine = part[(part["hidden"] == size) & (part["topology"] == topology)]
            if mine.empty:
                continue
            lines = mine["peer"].map(names.index)
            ax.scatter(
                mine[column],
                lines,
                22,
                marker=marker,
                facecolors=[colour if n == most else "white" for n in mine["threads"]],
                edgecolors=colour,
                label=f"{size} hidden" + (", feed-forward" if marker == "D" else ""),
                zorder=2,
            )
            if column == "train_ms":
                # the other topology's dot is often on the right
                _write_times(ax, mine, lines, left=marker == "D")


def _write_times(ax: Axes, mine: pd.DataFrame, lines: pd.Series, left: bool) -> None:
    for row, line in zip(each(mine), lines, strict=True):
        if row.peer != BASELINE and row.times_native > 0:
            ax.annotate(
                f"{_short(row.times_native)}×",
                (row.train_ms, line),
                (-4 if left else 4, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=5.5,
                color="#555555",
            )


def _short(times: float) -> str:
    if times >= 1000:
        return f"{_short(times / 1000)}k"
    return f"{times:.{0 if times >= 10 else 1}f}"


def _notes(rows: pd.DataFrame) -> list[str]:
    threads = sorted(rows["threads"].unique(), reverse=True)
    cores = f"{threads[0]} cores" + (f"; hollow: {min(threads)}" if len(threads) > 1 else "")
    notes = [f"{', '.join(rows['cpu'].unique())}, {cores}", "fastest batch, times native"]
    if rows["topology"].nunique() == 1:
        notes.append(f"{rows['topology'].iloc[0]} networks")
    spikes = rows["spikes_per_neuron"].dropna()
    if len(spikes):
        notes.append(f"{spikes.min():.1f} to {spikes.max():.1f} hidden spikes per neuron")
    notes += [
        f"{row.peer}, {row.n_steps} steps, {row.hidden} hidden: {row.result}"
        for row in each(rows[rows["train_ms"].isna()])
    ]
    return notes


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
