"""Training methods compared.

Test accuracy of each training method against its work; as a LaTeX table (-o FILE.tex) with spikes,
synaptic operations of the forward pass and of training, updates, time and memory, too. Runs of a
method and neuron on a dataset are taken together: compare only runs that differ by these and seed.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.load import Results, each
from analysis.tools.stats import spread
from analysis.tools.tables import accuracy, latex
from shd_genn.config import Config
from shd_genn.config.flat import all_settings
from shd_genn.support.errors import DataError

COSTS = {
    "training_operations": "synaptic operations of training, per trial",
    "seconds_per_epoch": "training time per epoch (s)",
    "peak_memory_mb": "peak memory (MiB)",
}
"""What accuracy is drawn against, and its label."""

VARIANTS = {
    "neuron": "lif",
    "window": "trace",
    "control": "none",
    "conversion": "percentile",
    "feedback": "symmetric",
}
"""Options that make a row of their own where they are not as usual."""


@dataclass(frozen=True)
class Numbers:
    """What figure and table show.

    Attributes:
        rows: dataset, method, n, mean, sd (test accuracies, 0 to 1), spikes (per hidden neuron and
            trial), operations (of a forward pass), updates, and means of `COSTS`.
        seeds: dataset, method, test_accuracy and `COSTS`: one row a run.
        notes: Notes below the figure.
    """

    rows: pd.DataFrame
    seeds: pd.DataFrame
    notes: tuple[str, ...]


def load(results: Results, options: script.Options) -> Numbers:
    """Means over the runs of each method on each dataset.

    Raises:
        DataError: if no run was tested, or none has its work recorded.
    """
    runs = results.tested()
    if "training_operations" not in runs or runs["training_operations"].isna().all():
        raise DataError("no run has the operations of its training; train one anew")
    known = runs[runs["training_operations"].notna()].copy()
    known["method"] = [_label(run) for run in known.to_dict("records")]
    rows = [
        {
            "dataset": dataset,
            "method": method,
            **vars(spread(group["test_accuracy"])),
            "spikes": group["test_hidden_spikes_mean"].mean(),
            "operations": group["test_synaptic_operations"].mean(),
            **{cost: group[cost].mean() for cost in (*COSTS, "updates")},
        }
        for (dataset, method), group in known.groupby(["dataset", "method"])
    ]
    table = pd.DataFrame(rows).sort_values(["dataset", "mean"], ascending=[True, False])
    of_method = {n for n, setting in all_settings(Config).items() if setting.choice == "method"}
    given = [name for name in results.settings if name not in of_method | {"method", *VARIANTS}]
    others = [name for name in given if known[name].nunique(dropna=False) > 1]
    choice = {name: setting.choice for name, setting in all_settings(Config).items()}
    differ = [name for name in VARIANTS if name in known and known[name].nunique() > 1]
    others = [name for name in others if choice.get(name) not in (*others, *differ)]
    mixed = f"runs also differ in {', '.join(others)}" if others else ""
    seeds = known[["dataset", "method", "test_accuracy", *COSTS]]
    return Numbers(table.reset_index(drop=True), seeds, (mixed, results.left_out()))


def _label(run: Mapping[Hashable, Any]) -> str:
    """A run's method, with the choices that make it another row: ``eprop (alif)``."""
    choices = [
        str(run[name])
        for name, usual in VARIANTS.items()
        if isinstance(run.get(name), str) and run[name] != usual
    ]
    return f"{run['method']} ({', '.join(choices)})" if choices else str(run["method"])


def plot(numbers: Numbers) -> Figure:
    """A row for each dataset, a panel for each of `COSTS`."""
    datasets = sorted(numbers.rows["dataset"].unique())
    figure = style.figure(2.2 * len(datasets) + 0.7)
    axes = figure.subplots(len(datasets), len(COSTS), squeeze=False, sharex="col", sharey=True)
    colours = style.colours(numbers.rows["method"])
    for row, dataset in zip(axes, datasets, strict=True):
        for ax, cost in zip(row, COSTS, strict=True):
            for line in each(numbers.rows[numbers.rows["dataset"] == dataset]):
                colour = colours[str(line.method)]
                ax.plot(getattr(line, cost), 100 * line.mean, "o", color=colour, ms=5)
                mine = numbers.seeds[
                    (numbers.seeds["dataset"] == dataset) & (numbers.seeds["method"] == line.method)
                ]
                ax.plot(mine[cost], 100 * mine["test_accuracy"], ".", color=colour, ms=3)
            ax.set(xscale="log", ylim=(0, 104), xlim=_decade(numbers.seeds[cost]))
            style.log_axis(ax.xaxis, narrow=True)
        row[0].set(ylabel="test accuracy (%)", title=style.wrapped(dataset, 24))
    for ax, label in zip(axes[-1], COSTS.values(), strict=True):
        ax.set_xlabel(style.wrapped(label, 24))
    for method, colour in colours.items():
        axes[0, 0].plot([], [], "o", color=colour, label=method)
    style.legend(figure, columns=4)
    style.note(figure, "big: mean over runs, small: runs", *numbers.notes)
    return figure


def _decade(costs: pd.Series[float]) -> tuple[float, float]:
    """Limits of an axis that holds all costs, and a factor of ten at least."""
    low, high = float(costs.min()), float(costs.max())
    spare = max(1.3, (10 * low / high) ** 0.5)
    return low / spare, high * spare


def table(numbers: Numbers) -> str:
    """The same in LaTeX, for the package booktabs."""
    rows = numbers.rows
    columns = pd.DataFrame(
        {
            "dataset": rows["dataset"],
            "method": rows["method"],
            "n": rows["n"].astype(str),
            "accuracy (%)": [accuracy(r.mean, r.sd) for r in each(rows)],
            "spikes": rows["spikes"].map("{:.1f}".format),
            "forward (10⁶)": (rows["operations"] / 1e6).map("{:.2f}".format),
            "training (10⁶)": (rows["training_operations"] / 1e6).map("{:.2f}".format),
            "updates": rows["updates"].map("{:.0f}".format),
            "s/epoch": rows["seconds_per_epoch"].map("{:.3g}".format),
            "MiB": rows["peak_memory_mb"].map("{:.0f}".format),
        }
    )
    caption = (
        "Training methods: test accuracy (mean ± standard deviation over n runs), spikes per "
        "hidden neuron and trial, synaptic operations per trial of the forward pass and of "
        "training, and updates of the weights"
    )
    return latex(columns, caption, "tab:methods").replace("10⁶", "$10^6$")


if __name__ == "__main__":
    script.draw(script.Options, load, plot, table)
