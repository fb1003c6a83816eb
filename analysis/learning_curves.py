"""Learning curves of runs, grouped by what tells them apart.

    python analysis/learning_curves.py RUNS… -o FILE

Each curve is the mean over seeds, the band its range. Training curves are dashed; the test
accuracy at the chosen epoch is a dot for each run.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import tyro
from matplotlib.figure import Figure

from shd_genn.cli import command
from shd_genn.errors import DataError
from shd_genn.files import written_aside
from shd_genn.record import RunFolder

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "0.3", "0.6")
"""Okabe and Ito's colours, which the colour-blind can tell apart; from the ninth group on again."""


@dataclass(frozen=True)
class Options:
    """Draw the learning curves of runs."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The picture: .png, .pdf or .svg."""


def load(runs: tuple[Path, ...]) -> pd.DataFrame:
    """All epochs of all runs, with the settings that tell runs apart.

    Raises:
        DataError: if a run has no whole epoch yet.
    """
    tables = []
    for path in runs:
        folder = RunFolder.open(path)
        if not (path / "metrics.csv").is_file():
            raise DataError(f"{path} must have finished an epoch, but has no metrics; leave it out")
        config = folder.config
        sizes = "-".join(map(str, config.model.hidden_sizes))
        shift = config.augment.shift_channels
        label = f"{Path(config.model.model).stem} {sizes}, rate {config.train.learning_rate:g}"
        label += f", shift ±{shift:g}" if shift else ""
        table = pd.read_csv(path / "metrics.csv")
        dataset = folder.read_json("environment")["dataset"]["name"]
        tables.append(table.assign(dataset=dataset, label=label, run=path.name))
    return pd.concat(tables, ignore_index=True)


def plot(epochs: pd.DataFrame) -> Figure:
    """One panel a dataset."""
    datasets = sorted(epochs["dataset"].unique())
    figure = Figure(figsize=(4.8 * len(datasets), 5.4), layout="constrained")
    panels = figure.subplots(1, len(datasets), squeeze=False, sharey=True)[0]
    for ax, dataset in zip(panels, datasets, strict=True):
        part = epochs[epochs["dataset"] == dataset]
        for colour, (label, group) in zip(cycle(COLOURS), part.groupby("label"), strict=False):
            train = group[group["split"] == "train"].groupby("epoch")["accuracy"]
            mean = 100 * train.mean()
            ax.plot(mean.index, mean, color=colour, ls="--", lw=1)
            ax.fill_between(
                mean.index, 100 * train.min(), 100 * train.max(), color=colour, alpha=0.15, lw=0
            )
            test = group[group["split"] == "test"]
            values = 100 * test["accuracy"].to_numpy()
            told = f"{label}: {values.mean():.1f} %" if len(values) else label
            if len(values) > 1:
                told += f" ± {np.std(values, ddof=1):.1f} (n = {len(values)})"
            ax.plot(test["epoch"], values, "o", color=colour, ms=5, mec="white", label=told)
        ax.set(title=dataset, xlabel="epoch", ylim=(0, 101))
        ax.grid(alpha=0.3, lw=0.5)
        ax.legend(
            loc="upper left",
            bbox_to_anchor=(0, -0.16),
            frameon=False,
            fontsize="small",
            title="test accuracy",
            title_fontsize="small",
            alignment="left",
        )
    panels[0].set_ylabel("accuracy (%): training dashed, test dots")
    return figure


def main() -> None:
    """Draw as the command line says."""
    options = tyro.cli(Options, prog="python analysis/learning_curves.py")
    figure = plot(load(options.runs))
    with written_aside(options.output) as aside:
        figure.savefig(aside, dpi=130)


if __name__ == "__main__":
    command(main)
