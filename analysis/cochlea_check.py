"""Our cochlea beside genuine SHD samples: spike counts, channels, rasters.

python analysis/cochlea_check.py RECORDINGS… --samples SHD.h5 -o FILE
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from matplotlib.figure import Figure

from shd_genn.cli import command
from shd_genn.datasets.hdf5 import read_spikes
from shd_genn.datasets.spikes import SpikeDataset
from shd_genn.encode.audio import read_audio
from shd_genn.encode.cochlea import RATE, Cochlea, Spikes
from shd_genn.files import written_aside

BANDS = 35
"""Bands of 20 channels."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


@dataclass(frozen=True)
class Options:
    """Compare recordings that went through our cochlea with genuine samples."""

    recordings: tyro.conf.Positional[tuple[Path, ...]]
    """Sound files."""
    samples: Path
    """A file in SHD's layout."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The picture: .png, .pdf or .svg."""


def load(recordings: tuple[Path, ...], samples: Path) -> tuple[dict[str, Spikes], SpikeDataset]:
    """Encode the recordings, and read the samples."""
    cochlea = Cochlea()
    encoded = {path.stem: cochlea.encode(read_audio(path, RATE), seed=0) for path in recordings}
    return encoded, read_spikes(samples, "genuine")


def plot(encoded: dict[str, Spikes], genuine: SpikeDataset) -> Figure:
    """Counts and histograms above, rasters below: one genuine sample, then ours."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.2])
    counts, bands = above.subplots(1, 2, width_ratios=[1, 2.6])
    letters = [chr(ord("A") + i) for i in range(len(encoded))]

    counts.plot(np.zeros(len(genuine)), genuine.events.counts, "o", color="0.5", alpha=0.7)
    for i, (_, channels) in enumerate(encoded.values(), 1):
        counts.plot(i, len(channels), "D", color=COLOURS[(i - 1) % len(COLOURS)], ms=8)
    counts.set_xticks(range(len(encoded) + 1), [f"genuine\n(n = {len(genuine)})", *letters])
    counts.set(ylabel="spikes per sample", xlim=(-0.6, len(encoded) + 0.6), ylim=(0, None))

    centres = (np.arange(BANDS) + 0.5) * genuine.n_channels / BANDS
    theirs = [histogram(genuine.events.sample(i)[1]) for i in range(len(genuine))]
    low, high = np.min(theirs, axis=0), np.max(theirs, axis=0)
    bands.fill_between(centres, low, high, color="0.85", label="range of the genuine samples")
    for colour, letter, (name, (_, channels)) in zip(
        cycle(COLOURS), letters, encoded.items(), strict=False
    ):
        bands.plot(centres, histogram(channels), color=colour, label=f"{letter}: {name}")
    bands.set(xlabel="channel (0: high, 699: low frequency)", ylabel="spikes per 20 channels")
    bands.set(yscale="symlog", ylim=(0, None), xlim=(0, genuine.n_channels))
    bands.legend(fontsize="small", frameon=False, loc="upper left")

    rasters = {"a genuine sample": genuine.events.sample(min(2, len(genuine) - 1))}
    rasters |= {f"{letter}: ours": s for letter, s in zip(letters, encoded.values(), strict=True)}
    panels = below.subplots(1, len(rasters), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (name, (times_ms, channels)) in zip(panels, rasters.items(), strict=True):
        ax.scatter(times_ms, channels, s=0.3, color="0.1", lw=0, rasterized=True)
        ax.set(title=name, xlabel="time (ms)", ylim=(genuine.n_channels, 0))
    panels[0].set(ylabel="channel", xlim=(0, max(times[-1] for times, _ in rasters.values())))
    return figure


def histogram(channels: np.ndarray) -> np.ndarray:
    """Spikes in each of `BANDS` bands."""
    return np.histogram(channels, bins=BANDS, range=(0, 700))[0]


def main() -> None:
    """Compare as the command line says."""
    options = tyro.cli(Options, prog="python analysis/cochlea_check.py")
    figure = plot(*load(options.recordings, options.samples))
    with written_aside(options.output) as aside:
        figure.savefig(aside, dpi=120)


if __name__ == "__main__":
    command(main)
