"""Confusion matrix.

How often each word of the test set was taken for which: rows are spoken words and add up to 100 %.
Of each dataset the configuration with the best validation accuracy is shown, the trials of all its
seeds together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import best, datasets
from analysis.tools.load import Results


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        matrices: Title → trials by spoken word (rows) and predicted word (columns).
        n: Runs of each.
    """

    matrices: dict[str, pd.DataFrame]
    n: list[int]


def load(results: Results, options: script.Options) -> Numbers:
    """Count trials by spoken and predicted word.

    Raises:
        DataError: if no run was tested, or none kept its predictions.
    """
    matrices, n = {}, []
    for dataset in datasets(results.tested()):
        runs = best(results, dataset)
        predictions = results.predictions(runs)
        pairs = zip(predictions["label"], predictions["word"], strict=True)
        known = dict(pairs) | dict(
            zip(predictions["predicted"], predictions["predicted_word"], strict=True)
        )
        words = [known[label] for label in sorted(known)]
        counts = pd.crosstab(predictions["word"], predictions["predicted_word"])
        counts = counts.reindex(index=words, columns=words, fill_value=0)
        matrices[f"{dataset}, {runs['configuration'].iloc[0]}"] = counts
        n.append(predictions["run"].nunique())
    return Numbers(matrices, n)


def plot(numbers: Numbers) -> Figure:
    """A matrix for each dataset, one below the other."""
    import seaborn as sns  # imported here because it takes half a second

    heights = [1.1 + 0.19 * len(matrix) for matrix in numbers.matrices.values()]
    figure = style.figure(sum(heights) + 0.4)
    axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (title, matrix) in zip(axes, numbers.matrices.items(), strict=True):
        trials = matrix.sum(axis=1)
        percent = 100 * matrix.div(trials.where(trials > 0), axis=0)
        percentages = percent.map(lambda p: f"{p:.0f}" if p >= 0.5 else "").to_numpy()
        sns.heatmap(
            percent.fillna(0),
            annot=percentages,
            fmt="",
            annot_kws={"fontsize": 6},
            cmap="Blues",
            vmin=0,
            vmax=100,
            linewidths=0.3,
            linecolor="#dddddd",
            cbar_kws={"label": "trials of the word (%)"},
            ax=ax,
        )
        accuracy = np.trace(matrix.to_numpy()) / matrix.to_numpy().sum()
        title = style.wrapped(f"{title}: {100 * accuracy:.1f} %", 60)
        ax.set(title=title, xlabel="predicted", ylabel="spoken")
        if max(len(str(word)) for word in matrix) > 2:
            for tick in ax.get_xticklabels():
                tick.set(rotation=60, ha="right", rotation_mode="anchor")
        ax.tick_params(axis="y", rotation=0)
    style.note(figure, f"test trials of all seeds together, {style.n_range(numbers.n)}")
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
