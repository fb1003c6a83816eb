"""Changes to a baseline, with paired tests.

The figure, or the LaTeX table (-o FILE.tex), shows what each change does to test accuracy. The
baseline is the configuration with the best validation accuracy, or that of --baseline. Runs of
the same seed are pairs; bars are means of their differences, dots the pairs. p values are of paired
t tests over seeds (three pairs or more), else of McNemar's exact test over the test samples of the
first pair, corrected by Holm's method for the number of comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import best_name, changes, datasets, with_names
from analysis.tools.load import Results, each
from analysis.tools.stats import compare, holm, spread
from analysis.tools.tables import accuracy, latex, p_value
from shd_genn.support.errors import ConfigError, DataError


@dataclass(frozen=True)
class Options(script.Options):
    """Which runs to read, what to compare them with, and the file to write."""

    baseline: str | None = None
    """A configuration, as comparison.py names it; by default the best by validation."""


@dataclass(frozen=True)
class Numbers:
    """What figure and table show.

    Attributes:
        rows: dataset, configuration, change, n (pairs), mean, sd (of the configuration, 0 to 1),
            difference (its mean, 0 to 1), test, p (Holm-corrected).
        pairs: dataset, configuration, seed, difference: one row a pair of runs.
        baselines: Dataset → the baseline's name and accuracy.
        notes: Notes below the figure.
    """

    rows: pd.DataFrame
    pairs: pd.DataFrame
    baselines: dict[str, str]
    notes: tuple[str, ...]


def load(results: Results, options: Options) -> Numbers:
    """Differences to the baseline of each dataset, and their tests.

    Raises:
        DataError: if no dataset has two configurations.
        ConfigError: if there is no configuration of the baseline's name.
    """
    tested_runs = with_names(results, results.tested())
    if options.baseline and options.baseline not in set(tested_runs["configuration"]):
        known = ", ".join(sorted(tested_runs["configuration"].unique()))
        raise ConfigError(
            f"baseline in {known} must hold, but got {options.baseline!r}; choose one of them"
        )
    rows, pairs, baselines = [], [], {}
    for dataset in datasets(tested_runs):
        runs = tested_runs[tested_runs["dataset"] == dataset]
        name = options.baseline or best_name(runs)
        baseline = runs[runs["configuration"] == name]
        if baseline.empty or runs["configuration"].nunique() < 2:
            continue
        baselines[dataset] = f"{name}: {spread(baseline['test_accuracy'])}"
        mine = []
        for configuration, group in runs[runs["configuration"] != name].groupby("configuration"):
            tested = compare(results, group, baseline)
            accuracies = spread(group["test_accuracy"])
            row = {"dataset": dataset, "configuration": configuration}
            row |= {"change": changes(results, group.iloc[0], baseline.iloc[0])}
            mine.append(row | vars(tested) | {"mean": accuracies.mean, "sd": accuracies.sd})
            both = group.merge(baseline, on="seed", suffixes=("", "_baseline"))
            both["difference"] = both["test_accuracy"] - both["test_accuracy_baseline"]
            pairs.append(both[["dataset", "configuration", "seed", "difference"]])
        for row, p in zip(mine, holm([row["p"] for row in mine]), strict=True):
            rows.append(row | {"p": p})
    if not rows:
        raise DataError(
            "there are no two configurations of one dataset to compare; give runs of two"
        )
    table = pd.DataFrame(rows).sort_values(["dataset", "difference"], ascending=[True, False])
    return Numbers(
        table.reset_index(drop=True),
        pd.concat(pairs, ignore_index=True),
        baselines,
        (results.left_out(),),
    )


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset, a row for each change."""
    names = list(numbers.baselines)
    labels = {
        change: style.wrapped(change.replace(" → ", "\u00a0→\u00a0"), 38)  # not torn apart
        for change in numbers.rows["change"]
    }
    titles = {
        name: style.wrapped(f"{name}, baseline {numbers.baselines[name]}", 44) for name in names
    }
    changed = {
        name: [labels[c] for c in numbers.rows.loc[numbers.rows["dataset"] == name, "change"]]
        for name in names
    }
    places = {name: style.rows(lines) for name, lines in changed.items()}
    heights = [0.5 + 0.25 * height for _, height in places.values()]
    n_lines = sum(title.count("\n") for title in titles.values())
    figure = style.figure(sum(heights) + 0.8 + 0.13 * n_lines)
    axes = figure.subplots(len(names), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for ax, dataset in zip(axes, names, strict=True):
        part = numbers.rows[numbers.rows["dataset"] == dataset]
        places_here, height = places[dataset]
        for at, row in zip(places_here, each(part), strict=True):
            colour = style.COLOURS[0] if row.difference >= 0 else style.COLOURS[1]
            ax.barh(at, 100 * row.difference, 0.55, color=colour, alpha=0.35)
            mine = numbers.pairs[
                (numbers.pairs["dataset"] == dataset)
                & (numbers.pairs["configuration"] == row.configuration)
            ]["difference"]
            ax.plot(100 * mine, [at] * len(mine), "o", color=colour, ms=3)
            ax.text(
                1.02,
                at,
                p_value(row.p) if row.n else "no pair",
                transform=ax.get_yaxis_transform(),
                va="center",
                fontsize=7,
            )
        ax.axvline(0, color="black", lw=0.8)
        ax.set_yticks(places_here, changed[dataset])
        ax.set_title(titles[dataset], loc="left")
        ax.set_ylim(height - 0.4, -0.6)
    axes[-1].set_xlabel("difference in test accuracy (percentage points)")
    tests = " / ".join(dict.fromkeys(_long(test) for test in numbers.rows["test"]))
    counted = f"bars: mean over pairs of runs of one seed, {style.n_range(numbers.rows['n'])}"
    style.note(figure, counted, "dots: pairs", f"p: {tests}, Holm's correction", *numbers.notes)
    return figure


def _long(test: str) -> str:
    names = {
        "paired t": "paired t test over seeds",
        "McNemar": "McNemar's exact test over the samples of the first pair",
    }
    return names.get(test, test)


def table(numbers: Numbers) -> str:
    """The same in LaTeX, for the package booktabs."""
    rows = numbers.rows
    columns = pd.DataFrame(
        {
            "dataset": rows["dataset"],
            "change": rows["change"],
            "test": rows["test"],
            "pairs": rows["n"].astype(str),
            "accuracy (%)": [accuracy(r.mean, r.sd) for r in each(rows)],
            "difference": [f"{100 * d:+.1f}".replace("-", "−") for d in rows["difference"]],
            "p": [p_value(p).removeprefix("p ").removeprefix("= ") for p in rows["p"]],
        }
    )
    baselines = "; ".join(f"{name}, {accuracies}" for name, accuracies in numbers.baselines.items())
    caption = f"Changes to the baseline ({baselines}), in percentage points of test accuracy"
    tests = "; ".join(dict.fromkeys(_long(test) for test in rows["test"]))
    return latex(columns, f"{caption}; {tests}, corrected by Holm's method", "tab:ablation")


if __name__ == "__main__":
    script.draw(Options, load, plot, table)
