"""What a word costs to run, as NeuroBench counts it.

Accuracy against memory, against the energy of the additions, and against membrane updates; as a
LaTeX table (-o FILE.tex) with all numbers, and with the energy that was measured where the machine
tells it. The energy of additions is that of 32 bits at 45 nm (Horowitz 2014), without memory
traffic, which usually takes most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import unequal, with_names, worth_naming
from analysis.tools.load import Results, each
from analysis.tools.tables import latex
from shd_genn.network.operations import OPERATION_PJ
from shd_genn.support.errors import DataError

COUNTED = ("dense_operations", "connection_sparsity", "footprint_bytes")
"""Numbers of a run's test without which its costs are not known."""
PANELS = {
    "kilobytes": "parameters (kB)",
    "nanojoules": "energy of the additions of a word (nJ)",
    "updates": "membrane updates of a word",
}
"""What accuracy is drawn against, and its label."""


@dataclass(frozen=True)
class Numbers:
    """What figure and table show.

    Attributes:
        rows: One row a run: run, dataset, line and hidden (of the configuration), accuracy (0 to
            1), operations and dense (of a word),
            updates (NaN where they were not counted), activation and connection (sparsities, 0 to
            1), kilobytes, nanojoules (estimated, of a word), measured (J of a test sample on the
            machine that tested it; NaN where it was not counted).
        named: Values of ``line`` that the legend names.
        notes: Notes below the figure.
    """

    rows: pd.DataFrame
    named: list[str]
    notes: tuple[str, ...]


def load(results: Results, options: script.Options) -> Numbers:
    """The costs of all runs that were tested.

    Raises:
        DataError: if no run has them.
    """
    runs = with_names(results, results.tested())
    columns = [f"test_{name}" for name in COUNTED]
    if not set(columns) <= set(runs) or runs[columns].isna().any(axis=1).all():
        raise DataError("no run has the costs of its test; train one anew")
    known = runs[runs[columns].notna().all(axis=1)]
    operations = known["test_synaptic_operations"]
    rows = pd.DataFrame(
        {
            "run": known["run"],
            "dataset": known["dataset"],
            "line": known["line"],
            "hidden": known["hidden"],
            "accuracy": known["test_accuracy"],
            "operations": operations,
            "dense": known["test_dense_operations"],
            "updates": _column(known, "test_membrane_updates"),
            "activation": _column(known, "test_activation_sparsity"),
            "connection": known["test_connection_sparsity"],
            "kilobytes": known["test_footprint_bytes"] / 1000,
            "nanojoules": operations * OPERATION_PJ["float32"] / 1000,
            "measured": [_measured(results, run, n) for run, n in _samples(known)],
        }
    )
    notes = (unequal(results, known), results.left_out())
    return Numbers(rows.reset_index(drop=True), worth_naming(rows, "line"), notes)


def _column(runs: pd.DataFrame, name: str) -> pd.Series[float]:
    """Numbers that not all runs have."""
    missing = pd.Series(np.nan, runs.index)
    return runs.get(name, missing).astype(float)


def _samples(runs: pd.DataFrame) -> list[tuple[str, float]]:
    return list(zip(runs["run"], runs["test_samples"].astype(float), strict=True))


def _measured(results: Results, run: str, samples: float) -> float:
    """Energy of a test sample in J, of processor, memory and GPU together."""
    epochs = results.epochs
    test = epochs[(epochs["run"] == run) & (epochs["split"] == "test")]
    parts = test[[c for c in ("cpu_joules", "dram_joules", "gpu_joules") if c in test]]
    joules = parts.astype(float).sum(axis=1, min_count=1)
    return float(joules.iloc[-1]) / samples if len(joules) else float("nan")


def plot(numbers: Numbers) -> Figure:
    """A row for each dataset, a panel for each of `PANELS`."""
    datasets = sorted(numbers.rows["dataset"].unique())
    figure = style.figure(2.2 * len(datasets) + 0.7)
    axes = figure.subplots(len(datasets), len(PANELS), squeeze=False, sharex="col", sharey=True)
    colours = style.colours(numbers.rows["line"], numbers.named)
    markers = style.markers(sorted(numbers.rows["hidden"].unique()))
    for row, dataset in zip(axes, datasets, strict=True):
        part = numbers.rows[numbers.rows["dataset"] == dataset]
        for ax, cost in zip(row, PANELS, strict=True):
            for run in each(part.dropna(subset=[cost])):
                ax.plot(
                    getattr(run, cost),
                    100 * run.accuracy,
                    markers[run.hidden],
                    color=colours[str(run.line)],
                    ms=5,
                )
            ax.set(xscale="log", ylim=(0, 104))
            style.log_axis(ax.xaxis, narrow=True)
        row[0].set(ylabel="test accuracy (%)", title=style.wrapped(dataset, 24))
    for ax, label in zip(axes[-1], PANELS.values(), strict=True):
        ax.set_xlabel(style.wrapped(label, 24))
    for line in numbers.named:
        axes[0, 0].plot([], [], "s", color=colours[line], label=line)
    for hidden, marker in markers.items():
        axes[0, 0].plot([], [], marker, color=style.GREY, label=f"{hidden} neurons")
    style.legend(figure, columns=5, n_others=len(colours) - len(numbers.named))
    limits = "additions of 32 bits at 45 nm, without memory traffic"
    best = style.best_only(numbers.named, len(colours))
    style.note(figure, limits, best, *numbers.notes)
    return figure


def table(numbers: Numbers) -> str:
    """The same in LaTeX, for the package booktabs."""
    rows = numbers.rows

    def text(column: str, form: str, factor: float = 1.0) -> list[str]:
        return ["" if np.isnan(x) else form.format(x * factor) for x in rows[column].astype(float)]

    columns = pd.DataFrame(
        {
            "configuration": rows["run"],
            "accuracy (%)": text("accuracy", "{:.1f}", 100),
            "additions (1000)": text("operations", "{:.1f}", 1e-3),
            "dense (1000)": text("dense", "{:.0f}", 1e-3),
            "updates (1000)": text("updates", "{:.1f}", 1e-3),
            "silent (%)": text("activation", "{:.1f}", 100),
            "zeros (%)": text("connection", "{:.1f}", 100),
            "kB": text("kilobytes", "{:.1f}"),
            "nJ, estimated": text("nanojoules", "{:.3g}"),
            "J, measured": text("measured", "{:.3g}"),
        }
    )
    caption = (
        "What a word costs, as NeuroBench counts it: synaptic operations, the same if every input "
        "counted in every step, membrane updates, part of the neurons and steps without a spike, "
        "part of the weights that are 0, memory of the parameters; energy of the additions (45 nm, "
        "without memory traffic), and what the testing machine took for a sample"
    )
    return latex(columns, caption, "tab:costs")


if __name__ == "__main__":
    script.draw(script.Options, load, plot, table)
