"""Memory against hidden size.

Of run folders: the most that the process held in memory, dataset included, mean and range
over seeds. Of benchmark tables: what training adds to a process that already holds the
network; on a GPU, the memory that a loaded network holds there.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.by_size import BENCH, Numbers, finish, of_bench, of_runs, plot_by_size
from analysis.tools.load import Results
from shd_genn.support.errors import DataError


def load(results: Results, options: script.Options) -> Numbers:
    """Peak memory of runs, and growth in benchmarks, in MB.

    Raises:
        DataError: if there is neither a complete run nor a benchmark.
    """
    bench = results.bench
    if "gpu_memory_mb" in bench:  # where there is a GPU, it is its memory that is scarce
        on_gpu = bench["gpu_memory_mb"].fillna(bench["memory_growth_mb"])
        bench = bench.assign(memory_growth_mb=on_gpu)
    both = of_runs(results, "peak_memory_mb"), of_bench(bench, "memory_growth_mb")
    tables = [table for table in both if len(table)]
    if not tables:
        raise DataError("there is neither a complete run nor a benchmark table; give one of them")
    return Numbers(pd.concat(tables, ignore_index=True))


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset and for benchmarks, memory from zero."""
    figure = plot_by_size(numbers.points, "memory (MB)")
    for ax in figure.axes:
        part = numbers.points[numbers.points["panel"] == str(ax.get_label())]
        ax.set_ylim(0, 1.15 * part["high"].max())
    runs = numbers.points[numbers.points["panel"] != BENCH]
    peak = (
        "runs: peak of the process with its dataset, mean and range over seeds, "
        if len(runs)
        else ""
    )
    peak += style.n_range(runs["n"]) if len(runs) else ""
    bench = "benchmark: what training adds" if len(runs) < len(numbers.points) else ""
    finish(figure, numbers, peak, bench)
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
