"""Our cochlea beside genuine SHD samples.

Spike counts, channels and rasters of recordings (in place of runs) and of a file in SHD's layout
(--samples).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.tools import script, style
from analysis.tools.load import Results
from shd_genn.encode.audio import read_audio
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.encoder import Spikes
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support.errors import DataError

BANDS = 35
"""Bands of 20 channels."""


@dataclass(frozen=True)
class Options(script.Options):
    """Recordings (.wav, .flac) in place of runs, what they are compared to, where it goes."""

    samples: Path | None = None
    """A file in SHD's layout."""


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        encoded: Recording → the spikes that our cochlea makes of it.
        genuine: The samples that they are compared to.
    """

    encoded: dict[str, Spikes]
    genuine: SpikeDataset


def load(results: Results, options: Options) -> Numbers:
    """Encode the recordings, and read the samples.

    Raises:
        DataError: if there is no recording, or no file of samples.
    """
    if not results.sounds or options.samples is None:
        raise DataError(
            "there are no recordings or no --samples; give both, --samples in SHD's layout"
        )
    cochlea = Cochlea()
    encoded = {p.stem: cochlea.encode(read_audio(p, RATE), seed=0) for p in results.sounds}
    return Numbers(encoded, read_spikes(options.samples, "genuine"))


def plot(numbers: Numbers) -> Figure:
    """Counts and histograms above, rasters below: one genuine sample, then ours."""
    encoded, genuine = numbers.encoded, numbers.genuine
    figure = style.figure(5.2)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 1.2]).flat
    counts, bands = above.subplots(1, 2, width_ratios=[1, 1.8])
    letters = [chr(ord("A") + i) for i in range(len(encoded))]

    counts.plot(np.zeros(len(genuine)), genuine.events.counts, "o", color="0.5", alpha=0.7)
    for i, (_, channels) in enumerate(encoded.values(), 1):
        counts.plot(i, len(channels), "D", color=style.COLOURS[(i - 1) % len(style.COLOURS)])
    counts.set_xticks(range(len(encoded) + 1), [f"genuine\n(n = {len(genuine)})", *letters])
    counts.set(ylabel="spikes per sample", xlim=(-0.6, len(encoded) + 0.6), ylim=(0, None))

    centres = (np.arange(BANDS) + 0.5) * genuine.n_channels / BANDS
    theirs = [histogram(genuine.events.sample(i)[1]) for i in range(len(genuine))]
    low, high = np.min(theirs, axis=0), np.max(theirs, axis=0)
    bands.fill_between(centres, low, high, color="0.85", label="range of the genuine samples")
    for colour, letter, (name, (_, channels)) in zip(
        cycle(style.COLOURS), letters, encoded.items(), strict=False
    ):
        bands.plot(centres, histogram(channels), color=colour, label=f"{letter}: {name}")
    bands.set(xlabel="channel (0: high, 699: low frequency)", ylabel="spikes per 20 channels")
    bands.set(yscale="symlog", ylim=(0, None), xlim=(0, genuine.n_channels))
    style.legend(above, columns=2)

    rasters = {"a genuine sample": genuine.events.sample(min(2, len(genuine) - 1))}
    rasters |= {f"{letter}: ours": s for letter, s in zip(letters, encoded.values(), strict=True)}
    panels = below.subplots(1, len(rasters), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (name, (times_ms, channels)) in zip(panels, rasters.items(), strict=True):
        ax.scatter(times_ms, channels, s=0.3, color="0.1", lw=0, rasterized=True)
        ax.set(title=name, xlabel="time (ms)", ylim=(genuine.n_channels, 0))
    panels[0].set(ylabel="channel", xlim=(0, max(times[-1] for times, _ in rasters.values())))
    return figure


def histogram(channels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Spikes in each of `BANDS` bands."""
    return np.histogram(channels, bins=BANDS, range=(0, 700))[0]


if __name__ == "__main__":
    script.draw(Options, load, plot)
