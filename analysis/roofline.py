"""Each kernel against what the machine can do: the roofline.

Of tables of python -m shd_genn.bench roofline: operations per second against operations per byte. A
kernel can be no higher than the line of its own cache's bandwidth (a short slope above each point)
and the peak of the vector units.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.load import Results
from shd_genn.support.errors import DataError


def load(results: Results, options: script.Options) -> pd.DataFrame:
    """The rows, with ``intensity`` (flop/byte) and ``roof`` (Gflop/s).

    Of rows with equal settings the last counts.

    Raises:
        DataError: if there are none.
    """
    if results.roofline.empty:
        raise DataError("there is no table of python -m shd_genn.bench roofline; give one (.csv)")
    keys = ["topology", "hidden", "stage", "threads", "cpu"]
    counted = results.roofline.dropna(subset="share")  # of the others only the time is known
    rows = counted.drop_duplicates(keys, keep="last")
    rows = rows.assign(intensity=rows["gflop_s"] / rows["gb_s"])
    return rows.assign(
        roof=np.minimum(rows["intensity"] * rows["limit_gb_s"], rows["peak_gflop_s"])
    )


def plot(rows: pd.DataFrame) -> Figure:
    """A panel for each topology: colour by kernel, marker by hidden size."""
    figure, axes = style.panels(sorted(rows["topology"].unique(), reverse=True), sharey=True)
    colours = style.colours(dict.fromkeys(rows["stage"]))
    markers = style.markers([str(size) for size in sorted(rows["hidden"].unique())])
    for ax in axes:
        part = rows[rows["topology"] == str(ax.get_label())]
        for row in part.itertuples():
            _kernel(ax, row, colours[str(row.stage)], markers[str(row.hidden)])
        ax.axhline(part["peak_gflop_s"].max(), color="black", lw=1)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("operations per byte")
        for axis in (ax.xaxis, ax.yaxis):
            style.log_axis(axis)
    axes[0].set_ylabel("Gflop/s")
    for stage, colour in colours.items():
        axes[0].plot([], [], color=colour, lw=3, label=stage)
    for size, marker in markers.items():
        axes[0].plot([], [], ls="", marker=marker, color=style.GREY, label=f"{size} hidden")
    axes[0].plot([], [], color="black", lw=1, label="peak of vector units")
    style.legend(figure, columns=4)
    threads = ", ".join(str(n) for n in sorted(rows["threads"].unique()))
    style.note(
        figure,
        "slopes: measured bandwidth of the cache that a kernel's data fit in",
        f"threads: {threads}",
        ", ".join(sorted(rows["cpu"].unique())),
    )
    return figure


def _kernel(ax: Axes, row: object, colour: str, marker: str) -> None:
    x, y, roof = (float(getattr(row, name)) for name in ("intensity", "gflop_s", "roof"))
    around = np.array([x / 1.25, x * 1.25])
    limit, peak = (float(getattr(row, name)) for name in ("limit_gb_s", "peak_gflop_s"))
    ax.plot(around, np.minimum(around * limit, peak), color=colour, lw=1)
    ax.plot([x, x], [y, roof], color=colour, lw=0.6, ls=":")
    ax.plot(x, y, marker, color=colour, mec="white", mew=0.5)


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
