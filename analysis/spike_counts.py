"""Spike counts by neuron and by word.

Left: how many of a hidden layer's neurons spike so often, mean over test trials. Right: spikes per
neuron in trials of each word; dot: median, thick bar: half of the trials, thin bar: nine tenths. Of
each dataset the configuration with the best validation accuracy is shown, all seeds together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import best, datasets
from analysis.tools.load import Results

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        titles: Dataset → what network is shown.
        neurons: dataset, layer, spikes: one row a neuron and run.
        words: dataset, layer, word, and the `QUANTILES` of spikes per neuron over trials.
        n: Runs of each dataset.
    """

    titles: dict[str, str]
    neurons: pd.DataFrame
    words: pd.DataFrame
    n: list[int]


def load(results: Results, options: script.Options) -> Numbers:
    """Spikes by neuron and by word.

    Raises:
        DataError: if no run was tested, or none kept its spikes.
    """
    titles, neurons, words, n = {}, [], [], []
    for dataset in datasets(results.tested()):
        runs = best(results, dataset)
        titles[dataset] = f"{dataset}, {runs['configuration'].iloc[0]}"
        by_neuron = results.neuron_spikes(runs)
        size = by_neuron.groupby("layer")["neuron"].max() + 1
        counts = results.spike_counts(runs)
        counts["per_neuron"] = counts["spikes"] / counts["layer"].map(size)
        order = results.predictions(runs).sort_values("label")["word"].unique()
        quantiles = counts.groupby(["layer", "word"])["per_neuron"].quantile(np.array(QUANTILES))
        table = quantiles.unstack().reindex(order, level="word").reset_index()
        neurons.append(by_neuron.assign(dataset=dataset))
        words.append(table.assign(dataset=dataset))
        n.append(len(runs))
    return Numbers(titles, pd.concat(neurons), pd.concat(words), n)


def plot(numbers: Numbers) -> Figure:
    """A row for each dataset: neurons left, words right."""
    n_words = [
        numbers.words[numbers.words["dataset"] == d]["word"].nunique() for d in numbers.titles
    ]
    n_lines = [style.wrapped(title, 80).count("\n") for title in numbers.titles.values()]
    heights = [0.9 + 0.15 * n + 0.13 * m for n, m in zip(n_words, n_lines, strict=True)]
    figure = style.figure(sum(heights) + 0.6)
    axes = figure.subplots(len(heights), 2, squeeze=False, height_ratios=heights)
    colours = style.colours(numbers.neurons["layer"])
    for (left, right), (dataset, title) in zip(axes, numbers.titles.items(), strict=True):
        neurons = numbers.neurons[numbers.neurons["dataset"] == dataset]
        _plot_neurons(left, neurons, colours)
        _plot_words(right, numbers.words[numbers.words["dataset"] == dataset], colours)
        left.set_title(style.wrapped(title, 80), loc="left")
    style.legend(figure)
    quantiles = "right: dot median, thick bar 50 %, thin bar 90 % of test trials"
    style.note(figure, f"seeds together, {style.n_range(numbers.n)}", quantiles)
    return figure


def _plot_neurons(ax: Axes, neurons: pd.DataFrame, colours: dict[str, str]) -> None:
    import seaborn as sns  # imported here because it takes half a second

    sns.histplot(
        neurons,
        x="spikes",
        hue="layer",
        palette=colours,
        stat="percent",
        common_norm=False,
        element="step",
        bins=30,
        legend=False,
        ax=ax,
    )
    for layer in neurons["layer"].unique():
        ax.plot([], [], "s", color=colours[layer], label=layer)
    ax.set(xlabel="mean spikes per trial", ylabel="neurons (%)", xlim=(0, None))


def _plot_words(ax: Axes, words: pd.DataFrame, colours: dict[str, str]) -> None:
    layers = words["layer"].unique()
    for k, (layer, table) in enumerate(words.groupby("layer", sort=False)):
        at = [i + 0.6 * ((k + 1) / (len(layers) + 1) - 0.5) for i in range(len(table))]
        colour = colours[str(layer)]
        ax.hlines(at, table[0.05], table[0.95], color=colour, lw=0.8)
        ax.hlines(at, table[0.25], table[0.75], color=colour, lw=3, alpha=0.6)
        ax.plot(table[0.5], at, "o", color=colour, ms=3, mec="white", mew=0.5)
    names = words["word"].unique()
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="spikes per neuron in a trial", ylabel="word", xlim=(0, None))
    ax.set_ylim(len(names) - 0.5, -0.5)


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
