"""Time and memory of training beside other libraries, against hidden size.

Of tables of python -m shd_genn.compare: milliseconds per sample of the fastest batch, forward,
backward and a step of Adam; memory that network and training take beyond library and input. What a
library could not do within its limits is named below.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import script, style
from analysis.load import Results, each
from shd_genn.compare.peers import LIBRARIES
from shd_genn.errors import DataError

SHOWN = {"train_ms": "ms per sample", "memory_growth_mb": "memory (MB)"}
DASHES = {"recurrent": "-", "feedforward": "--"}


def load(results: Results, options: script.Options) -> pd.DataFrame:
    """The rows of comparisons; of rows alike the last.

    Raises:
        DataError: if there are none.
    """
    if results.peers.empty:
        raise DataError("a table of python -m shd_genn.compare must be given, but none was")
    alike = ["peer", "topology", "hidden", "n_steps", "threads", "cpu"]
    return results.peers.drop_duplicates(alike, keep="last")


def plot(rows: pd.DataFrame) -> Figure:
    """A column for each number of steps; time above, memory below; a line a library."""
    steps = sorted(rows["n_steps"].unique(), reverse=True)
    measured = rows[rows["train_ms"].notna()]
    figure = style.figure(5.2)
    panels = figure.subplots(len(SHOWN), len(steps), squeeze=False, sharey="row", sharex=True)
    for line, (column, label) in enumerate(SHOWN.items()):
        for ax, n_steps in zip(panels[line], steps, strict=True):
            part = measured[measured["n_steps"] == n_steps]
            _lines(ax, part, column)
            style.size_axis(ax, rows["hidden"])
            if line == 0:
                ax.set_title(f"{n_steps} steps")
                ax.set_xlabel("")
        panels[line, 0].set_ylabel(label)
        panels[line, 0].set_yscale("log")
        style.log_axis(panels[line, 0].yaxis)
    style.legend(figure, columns=5)
    style.note(figure, *_notes(rows))
    return figure


def _lines(ax: Axes, part: pd.DataFrame, column: str) -> None:
    for i, name in enumerate(LIBRARIES):
        own = part[part["peer"] == name]
        for (topology, threads), group in own.groupby(["topology", "threads"]):
            group = group.sort_values("hidden")
            ax.plot(
                group["hidden"],
                group[column],
                color=style.COLOURS[i % len(style.COLOURS)],
                marker=style.MARKERS[(i + i // len(style.MARKERS)) % len(style.MARKERS)],
                ls=DASHES[str(topology)],
                lw=2.4 if name == "native" else 1.1,
                alpha=1.0 if threads == part["threads"].max() else 0.5,
                mec="white",
                mew=0.4,
                label=name,
            )


def _notes(rows: pd.DataFrame) -> list[str]:
    threads = sorted(rows["threads"].unique(), reverse=True)
    notes = [
        f"{', '.join(rows['cpu'].unique())}, {' and '.join(map(str, threads))} cores"
        + (" (fewer are paler)" if len(threads) > 1 else ""),
        "fastest batch",
    ]
    if rows["topology"].nunique() > 1:
        notes.append("recurrent solid, feed-forward dashed")
    else:
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
