"""What a network costs against its hidden size: of runs and of benchmark tables."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import style
from analysis.tools.configurations import with_names, worth_naming
from analysis.tools.load import Results

RANGE = {"count": "n", "min": "low", "max": "high"}
BENCH = "benchmark, samples like SHD's"


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        points: panel (dataset, or `BENCH`), topology, device (and backend, threads), hidden, n,
            mean, low, high (the range): seconds, and named: whether the topology has a colour and a
            name, or is pale.
    """

    points: pd.DataFrame


def of_runs(results: Results, column: str) -> pd.DataFrame:
    """Mean and range over seeds of a column of the runs: by dataset, topology, device and size."""
    if column not in results.runs:
        return pd.DataFrame()
    runs = with_names(
        results, results.runs[results.runs[column].notna() & ~results.runs["repeated"]]
    )
    threads = runs["n_threads"].where(runs["n_threads"] > 0, runs["cores"])
    runs["where"] = _device(runs["backend"], runs["device"], threads)
    named = worth_naming(runs, "line")
    runs = runs.rename(columns={"dataset": "panel"}).assign(topology=runs["line"])
    runs = runs.drop(columns="device").rename(columns={"where": "device"})
    groups = runs.groupby(["panel", "topology", "device", "hidden"])[column]
    points = groups.agg(["count", "mean", "min", "max"]).reset_index().rename(columns=RANGE)
    return points.assign(named=points["topology"].isin(named))


def of_bench(bench: pd.DataFrame, column: str) -> pd.DataFrame:
    """The same columns from benchmark tables; of rows with equal settings the lowest."""
    if column not in bench:
        return pd.DataFrame()
    bench = bench[bench[column].notna()]
    machine = bench["cpu"] if "cpu" in bench else pd.Series("CPU", bench.index)
    if "device" in bench:  # a GPU's name, or CPU
        machine = bench["device"].where(bench["device"] != "CPU", machine).fillna(machine)
    table = pd.DataFrame(
        {
            "panel": BENCH,
            "topology": bench["topology"] + _feature(bench),
            "device": _device(bench["backend"], machine, bench["threads"]),
            "hidden": bench["hidden"],
            "mean": bench[column],
        }
    )
    keys = ["panel", "topology", "device", "hidden"]
    best = table.groupby(keys)["mean"].min().reset_index()
    return best.assign(n=1, low=best["mean"], high=best["mean"], named=True)


def _feature(bench: pd.DataFrame) -> pd.Series:
    """What was measured besides a plain network, as it follows the topology's name."""
    if "feature" not in bench:
        return pd.Series("", bench.index)
    return (", " + bench["feature"].astype(str)).where(bench["feature"] != "plain", "")


def _device(backend: pd.Series, machine: pd.Series, threads: pd.Series) -> pd.Series:
    count = (
        threads.astype(int).astype(str) + " thread" + threads.map(lambda n: "s" if n > 1 else "")
    )
    return backend + ", " + machine.astype(str) + ", " + count


def plot_by_size(points: pd.DataFrame, ylabel: str) -> Figure:
    """Lines against hidden size: colour by topology, marker and dashes by device."""
    panels = sorted(points["panel"].unique(), key=lambda name: (name == BENCH, name))
    figure, axes = style.panels(panels, height=2.5)
    devices = sorted(points["device"].unique())
    named = set(points.loc[points["named"], "topology"])
    colours = style.colours(sorted(points["topology"].unique(), reverse=True), named)
    shapes = dict(zip(devices, style.MARKERS * len(devices), strict=False))
    dashes = dict(zip(devices, ("-", "--", ":", "-.") * len(devices), strict=False))
    for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        part = points[points["panel"] == panel]
        groups = dict(iter(part.groupby(["topology", "device"])))
        for topology, device in sorted(groups, key=lambda key: key[0] in named):
            group = groups[topology, device]
            ax.errorbar(
                group["hidden"],
                group["mean"],
                [group["mean"] - group["low"], group["high"] - group["mean"]],
                color=colours[topology],
                marker=shapes[device],
                ls=dashes[device],
                mec="white",
                mew=0.5,
                capsize=2.5,
            )
        style.size_axis(ax, part["hidden"])
        if i % 2 == 0:
            ax.set_ylabel(ylabel)
    for topology in (name for name in colours if name in named):
        axes[0].plot([], [], color=colours[topology], lw=3, label=topology)
    for device in devices:
        key = {"marker": shapes[device], "ls": dashes[device], "color": style.GREY}
        axes[0].plot([], [], **key, label=device)
    return figure


def finish(figure: Figure, numbers: Numbers, *notes: str) -> None:
    """Legend above, notes below."""
    named = set(numbers.points.loc[numbers.points["named"], "topology"])
    n_lines = numbers.points["topology"].nunique()
    style.legend(figure, columns=2, n_others=n_lines - len(named))
    style.note(figure, *notes, style.best_only(named, n_lines))
