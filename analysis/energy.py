"""Time and energy of an epoch by device and batch size.

Of a benchmark table (python -m shd_genn.bench speed --batch-sizes 1 2 4 … -o): an epoch of SHD's
8156 samples, computed from the fastest batch (time) and the mean over batches (energy of the
processor, its memory and all GPUs, where the machine counts it). Of a configuration that was
measured more than once it is the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.load import Results
from shd_genn.bench.speed import SHD_SAMPLES
from shd_genn.support.errors import DataError

PARTS = ("cpu_mj", "dram_mj", "gpu_mj")


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        table: series, batch, seconds, kilojoules (nan where nothing is counted).
    """

    table: pd.DataFrame


def load(results: Results, options: script.Options) -> Numbers:
    """Time and energy of an epoch.

    Raises:
        DataError: if there is no benchmark table with batch sizes.
    """
    bench = results.bench
    if bench.empty or "batch" not in bench:
        raise DataError(
            "there is no benchmark table with batch sizes; write one with python -m shd_genn.bench "
            "speed --batch-sizes 1 8 32 -o bench.csv"
        )
    energy = bench.reindex(columns=list(PARTS)).astype(float)
    counted = energy.notna().any(axis=1)
    kilojoules = (energy.sum(axis=1) * SHD_SAMPLES / 1e6).where(counted)
    columns = ["backend", "device", "topology", "hidden", "threads"]
    series = [", ".join(map(str, row)) + " threads" for row in bench[columns].to_numpy()]
    table = pd.DataFrame(
        {
            "series": series,
            "batch": bench["batch"],
            "seconds": bench["shd_epoch_s"],
            "kilojoules": kilojoules,
        }
    )
    return Numbers(table.groupby(["series", "batch"], as_index=False).mean())


def plot(numbers: Numbers) -> Figure:
    """Bars on logarithmic axes: time, and energy where it was counted."""
    table = numbers.table
    panels = [("seconds", "s per epoch")]
    if table["kilojoules"].notna().any():
        panels.append(("kilojoules", "kJ per epoch"))
    figure = style.figure(2.3 * len(panels) + 0.6)
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for ax, (column, label) in zip(axes, panels, strict=True):
        _bars(ax, table, column)
        ax.set_ylabel(label)
    axes[-1].set_xlabel("samples of a batch")
    style.legend(figure, columns=1)
    missing = "" if len(panels) == 2 else "energy: not counted on this machine"
    style.note(figure, "time: fastest batch; energy: mean of batches, the whole machine", missing)
    return figure


def _bars(ax: Axes, table: pd.DataFrame, column: str) -> None:
    batches = sorted(table["batch"].unique())
    names = list(dict.fromkeys(table["series"]))
    colours, width = style.colours(names), 0.8 / len(names)
    for i, name in enumerate(names):
        mine = table[table["series"] == name].set_index("batch")[column].reindex(batches)
        x = np.arange(len(batches)) + (i - (len(names) - 1) / 2) * width
        ax.bar(x, mine, width, color=colours[name], label=name)
        for position, value in zip(x, mine, strict=True):
            if np.isfinite(value):
                ax.text(position, value, f"{value:.3g}", ha="center", va="bottom", fontsize=6.5)
    ax.set_xticks(range(len(batches)), [str(batch) for batch in batches])
    ax.set_yscale("log")
    low, high = table[column].min(), table[column].max()
    ax.set_ylim(low / 3, high * 2)
    style.log_axis(ax.yaxis)
    ax.grid(axis="x", visible=False)


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
