"""Accuracy by speaker.

Test accuracy on speakers heard in training and on those never heard. Of each dataset the
configuration with the best validation accuracy is shown: mean over seeds, bars the standard
deviation; of a single run bars are Wilson's 95 % interval. Dashed lines: all trials of speakers
heard, or never heard.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import best, datasets
from analysis.tools.load import Results
from analysis.tools.stats import spread, wilson
from shd_genn.support.errors import DataError

KINDS = {True: ("heard in training", style.COLOURS[0]), False: ("never heard", style.COLOURS[1])}


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        speakers: title, speaker, seen, trials (of one run), n (runs), mean, low, high (0 to 1).
        kinds: title, seen, mean: all trials of such speakers.
    """

    speakers: pd.DataFrame
    kinds: pd.DataFrame


def load(results: Results, options: script.Options) -> Numbers:
    """Accuracy of each speaker.

    Raises:
        DataError: if no run was tested, or no dataset names its speakers.
    """
    rows, kinds = [], []
    for dataset in datasets(results.tested()):
        runs = best(results, dataset)
        predictions = results.predictions(runs)
        predictions = predictions[predictions["speaker"] != ""]
        title = f"{dataset}, {runs['configuration'].iloc[0]}"
        seen = predictions["seen_speaker"].astype(str) == "True"
        for (speaker, heard), group in predictions.groupby(["speaker", seen]):
            by_run = group.groupby("run")["correct"].mean()
            accuracies = spread(by_run)
            low, high = accuracies.mean - accuracies.sd, accuracies.mean + accuracies.sd
            if accuracies.n == 1:
                low, high = wilson(int(group["correct"].sum()), len(group))
            trials = len(group) // accuracies.n
            rows.append((title, speaker, heard, trials, accuracies.n, accuracies.mean, low, high))
        for heard, group in predictions.groupby(seen):
            kinds.append((title, heard, group["correct"].mean()))
    if not rows:
        raise DataError("no dataset has the names of its speakers; give runs of one that has")
    columns = ["title", "speaker", "seen", "trials", "n", "mean", "low", "high"]
    return Numbers(
        pd.DataFrame(rows, columns=columns), pd.DataFrame(kinds, columns=["title", "seen", "mean"])
    )


def plot(numbers: Numbers) -> Figure:
    """A panel for each dataset, a row for each speaker."""
    table = numbers.speakers
    titles = list(table["title"].unique())
    heights = [max(1.3, 0.5 + 0.2 * int((table["title"] == title).sum())) for title in titles]
    figure = style.figure(sum(heights) + 0.9)
    axes = figure.subplots(len(titles), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for ax, title in zip(axes, titles, strict=True):
        part = table[table["title"] == title].sort_values(
            ["seen", "mean"], ascending=[False, False]
        )
        at = np.arange(len(part))
        for seen, (label, colour) in KINDS.items():
            mine = (part["seen"] == seen).to_numpy()
            if not mine.any():
                continue
            group = part[mine]
            bars = [100 * (group["mean"] - group["low"]), 100 * (group["high"] - group["mean"])]
            ax.errorbar(
                100 * group["mean"],
                at[mine],
                xerr=bars,
                fmt="o",
                color=colour,
                capsize=2.5,
                label=label,
            )
            kinds = numbers.kinds
            all_trials = kinds[(kinds["title"] == title) & (kinds["seen"] == seen)]["mean"].iloc[0]
            ax.axvline(100 * all_trials, color=colour, ls="--", lw=0.8)
        names = part["speaker"] + " (" + part["trials"].astype(str) + ")"
        ax.set_yticks(at, names)
        ax.set(title=style.wrapped(title, 70), ylabel="speaker (test trials)", xlim=(0, 103))
        ax.set_ylim(len(part) - 0.4, -0.6)
    axes[-1].set_xlabel("test accuracy (%)")
    style.legend(figure, "speakers")
    interval = "sd over seeds" if table["n"].max() > 1 else "Wilson's 95 % interval"
    style.note(
        figure,
        f"mean over seeds, {style.n_range(table['n'])}",
        f"bars: {interval}",
        "dashed: all trials",
    )
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
