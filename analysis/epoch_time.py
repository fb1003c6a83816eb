"""Time per epoch against hidden size.

Run folders give the median epoch of each run, as mean and range over seeds. Benchmark tables
(python -m shd_genn.bench speed -o) give an epoch of SHD's 8156 samples, computed from the fastest
batch. Crosses are GeNN's published times for such an epoch.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.by_size import BENCH, Numbers, finish, of_bench, of_runs, plot_by_size
from analysis.tools.load import Results
from analysis.tools.published import SHD_EPOCH_S
from shd_genn.support.errors import DataError


def load(results: Results, options: script.Options) -> Numbers:
    """Seconds per epoch.

    Raises:
        DataError: if there is neither a complete run nor a benchmark.
    """
    both = of_runs(results, "seconds_per_epoch"), of_bench(results.bench, "shd_epoch_s")
    tables = [table for table in both if len(table)]
    if not tables:
        raise DataError("there is neither a complete run nor a benchmark table; give one of them")
    return Numbers(pd.concat(tables, ignore_index=True))


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset and for benchmarks, both axes logarithmic."""
    figure = plot_by_size(numbers.points, "seconds per epoch")
    for ax in figure.axes:
        _log_from_data(ax)
        if str(ax.get_label()) == BENCH:
            sizes, seconds = list(SHD_EPOCH_S), list(SHD_EPOCH_S.values())
            name = "GeNN on a data-centre GPU, published"
            ax.plot(sizes, seconds, "x", color="black", label=name)
    runs = numbers.points[numbers.points["panel"] != BENCH]
    counted = f"runs: mean and range over seeds, {style.n_range(runs['n'])}" if len(runs) else ""
    bench = "benchmark: fastest batch" if len(runs) < len(numbers.points) else ""
    finish(figure, numbers, counted, bench)
    return figure


def _log_from_data(ax: Axes) -> None:
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(low / 1.2, high * 1.2)
    style.log_axis(ax.yaxis)


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
