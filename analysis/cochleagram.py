"""Cochleagram beside the waveform.

Recordings, and the rate at which each channel of the cochlea spikes for them, in bins of 10 ms by
10 channels; low channels are high tones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.tools import script, style
from analysis.tools.load import Results
from shd_genn.encode.audio import read_audio
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.support.errors import DataError

BIN_MS, BIN_CHANNELS = 10.0, 10


@dataclass(frozen=True)
class Options(script.Options):
    """Recordings (.wav, .flac) in place of runs, and where the figure goes to."""

    seed: int = 0
    """Of the cochlea's nerve fibres."""


@dataclass(frozen=True)
class Sound:
    """A recording.

    Attributes:
        name: Its file's name.
        audio: (n_samples,), 48 kHz.
        rates: (bands, bins): spikes per second of a channel.
        channels: Number of channels.
    """

    name: str
    audio: NDArray[np.float64]
    rates: NDArray[np.float64]
    channels: int


def load(results: Results, options: Options) -> list[Sound]:
    """Encode the recordings.

    Raises:
        DataError: if there are none, or one cannot be read.
    """
    if not results.sounds:
        raise DataError("there is no recording; give one (.wav or .flac)")
    cochlea = Cochlea()
    n_channels = cochlea.membrane.n_places
    sounds = []
    for path in results.sounds:
        audio = read_audio(path, RATE)
        times_ms, channels = cochlea.encode(audio, options.seed)
        end_ms = BIN_MS * np.ceil(len(audio) / RATE * 1000 / BIN_MS)
        bins = [np.arange(0, n_channels + 1, BIN_CHANNELS), np.arange(0, end_ms + 1, BIN_MS)]
        counts, *_ = np.histogram2d(channels, times_ms, bins=bins)
        rates = counts / (BIN_CHANNELS * BIN_MS / 1000)
        sounds.append(Sound(path.name, audio, rates, n_channels))
    return sounds


def plot(sounds: list[Sound]) -> Figure:
    """Two recordings beside each other, each a waveform and a cochleagram."""
    columns = min(2, len(sounds))
    rows = -(-len(sounds) // columns)
    figure = style.figure(2.9 * rows + 0.4)
    ratios = [0.7, 1.8] * rows
    axes = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=ratios)
    highest = max(float(sound.rates.max()) for sound in sounds)
    for i, sound in enumerate(sounds):
        above, below = axes[2 * (i // columns) : 2 * (i // columns) + 2, i % columns]
        times = np.arange(len(sound.audio)) / RATE * 1000
        above.plot(times, sound.audio, color="0.3", lw=0.4, rasterized=True)
        loudest = max(float(np.abs(sound.audio).max()), 1e-6)
        above.set(title=sound.name, ylim=(-1.1 * loudest, 1.1 * loudest))
        end_ms = BIN_MS * sound.rates.shape[1]
        image = below.imshow(
            sound.rates,
            extent=(0, end_ms, sound.channels, 0),
            aspect="auto",
            cmap="magma_r",
            vmin=0,
            vmax=highest,
            interpolation="nearest",
        )
        above.sharex(below)
        above.tick_params(labelbottom=False)
        below.grid(False)
        below.set_xlabel("time (ms)")
        if i % columns == 0:
            above.set_ylabel("sound\n(full scale)")
            below.set_ylabel("channel (0: high tones)")
    for ax in axes.flat[2 * rows * columns :]:
        ax.remove()
    if len(sounds) % columns:
        for ax in axes[-2:, -1]:
            ax.remove()
    figure.colorbar(
        image,
        ax=axes[1::2].ravel().tolist()
        if len(sounds) % columns == 0
        else [ax for ax in axes[1::2].ravel() if ax.figure is not None],
        label="spikes per second and channel",
        shrink=0.9,
    )
    return figure


if __name__ == "__main__":
    script.draw(Options, load, plot)
