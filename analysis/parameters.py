"""Parameters before and after training.

Weights, and what else is trained: delays, and the parameters of any neuron, such as time constants,
thresholds and adaptation. The run with the best
validation accuracy is shown. Before: as drawn from its seed. After: at the epoch that it chose.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.tools import script, style
from analysis.tools.configurations import best, datasets
from analysis.tools.load import Results, parameters
from shd_genn.network import Network
from shd_genn.network.model_files import build_network
from shd_genn.network.neurons import SYNAPSES
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import DataError

EACH = "dataset"


@dataclass(frozen=True)
class Options(script.Options):
    """Which runs to read, which part of them to draw, and the file to write."""

    dataset: str | None = None
    """Which dataset's run; the first if not given."""
    trust_model: bool = False
    """Execute a run's model.py although it was not used on this machine before; read it first."""


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        network: The configuration.
        run: The run.
        epoch: The epoch that it chose.
        arrays: Name → (before, after), flat; ``SOURCE_TARGET`` for weights, ``NAME.tau_mem`` and
            the like for what else is trained.
        labels: The same names → what an array holds, with its unit.
    """

    network: str
    run: str
    epoch: int
    arrays: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
    labels: dict[str, str]


def load(results: Results, options: Options) -> Numbers:
    """Draw the initial parameters anew, and read the trained ones.

    Raises:
        DataError: if the run's checkpoint cannot be read.
    """
    dataset = options.dataset or datasets(results.tested())[0]
    runs = best(results, dataset)
    run = runs.sort_values("best_accuracy").iloc[-1]
    folder = RunFolder.open(Path(run["path"]))
    checkpoint = results.arrays(folder.path, "best")
    after = parameters(checkpoint)
    if not after:
        raise DataError(
            f"{folder.path} has no usable best.npz; restore the file, or train the network again"
        )
    config = folder.config
    network = build_network(config, folder.model_file(results.trust_model))
    initial = network.initial_parameters(config.train.seed)
    arrays = {
        name: (before.ravel(), after[name].ravel())
        for name, before in initial.items()
        if name in after
    }
    labels = {name: _label(network, name) for name in arrays}
    return Numbers(run["configuration"], run["run"], int(checkpoint["epoch"]), arrays, labels)


def _label(network: Network, name: str) -> str:
    """What an array holds, and its unit: of a parameter, as its neuron or synapse describes it."""
    owner, _, kind = name.rpartition(".")
    if not owner:
        return "weight"
    if kind == "delay":
        return "delay (steps)"
    of_neuron = [p.neuron.description.parameters for p in network.populations if p.name == owner]
    described = of_neuron + [s.description.parameters for s in SYNAPSES]
    units = [p.unit for parameters in described for p in parameters if p.name == kind]
    return f"{kind} ({units[0]})" if units and units[0] else kind


def plot(numbers: Numbers) -> Figure:
    """A panel for each array, two beside each other."""
    figure, axes = style.panels(list(numbers.arrays), height=1.9)
    before_after = ("before training", "0.45"), ("after training", style.COLOURS[0])
    for ax, (name, arrays) in zip(axes, numbers.arrays.items(), strict=True):
        low, high = _range(np.concatenate(arrays))
        n_bins = int(np.clip(np.sqrt(arrays[0].size), 15, 60))
        bins = np.linspace(low, high, n_bins + 1).tolist()
        for (label, colour), values in zip(before_after, arrays, strict=True):
            share = np.full(len(values), 100 / len(values))
            ax.hist(values, bins, weights=share, histtype="step", color=colour, label=label)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        inside = np.mean((arrays[1] >= low) & (arrays[1] <= high))
        label = numbers.labels[name]
        outside = f" ({100 * inside:.1f} % of them shown)" if label == "weight" else ""
        ax.set_xlabel(label + outside)
        ax.ticklabel_format(axis="x", useOffset=False)
        means = " → ".join(f"{values.mean():z.3f} ± {values.std():.3f}" for values in arrays)
        ax.set_title(f"{name}\n{means}")
    for ax in axes[::2]:
        ax.set_ylabel("share per bin (%)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    titles = "titles: mean ± sd over all values, before → after"
    style.note(figure, f"{numbers.network} ({numbers.run}), epoch {numbers.epoch}", titles)
    return figure


def _range(values: NDArray[np.float32]) -> tuple[float, float]:
    """The range that holds all but the outermost thousandth at each end."""
    low, high = np.quantile(values, [0.001, 0.999])
    pad = 0.05 * (high - low) or 0.5
    return float(low - pad), float(high + pad)


if __name__ == "__main__":
    script.draw(Options, load, plot)
