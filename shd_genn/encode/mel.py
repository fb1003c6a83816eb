"""Rate and latency codes of a mel spectrogram, to compare with the cochlea.

Both codes use the intensity of each channel over time, a number from 0 to 1. It is the power of the
channel's mel band in dB: 1 is the recording's strongest value, and 0 is `range_db` below it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy  # loads its parts when they are first used
from numpy.typing import NDArray

from shd_genn.encode.cochlea import RATE
from shd_genn.encode.encoder import Spikes, finite
from shd_genn.support.errors import DataError, refuse_unless, require


@dataclass(frozen=True)
class MelSpectrogram:
    """Intensity in mel bands over time.

    Bands are triangles, evenly spaced on the mel scale 2595 log10(1 + f/700 Hz) (O'Shaughnessy
    1987). Each reaches to the centres of its neighbours. The defaults have as many channels as SHD,
    so that the same networks can be used.

    Attributes:
        n_channels: Number of bands; channel 0 is the highest, as in the cochlea.
        low_hz: Lower edge of the lowest band.
        high_hz: Upper edge of the highest band.
        window_ms: Length of the Hann window.
        hop_ms: Time from one window to the next.
        range_db: Power at this distance below the strongest, or further, has intensity 0.
    """

    n_channels: int = 700
    low_hz: float = 50.0
    high_hz: float = 8000.0
    window_ms: float = 25.0
    hop_ms: float = 5.0
    range_db: float = 50.0

    def __post_init__(self) -> None:
        require(
            1 <= self.n_channels <= 65_535,
            "1 <= n_channels <= 65535",
            self.n_channels,
            "SHD has 700",
        )
        require(
            0 <= self.low_hz < self.high_hz <= RATE / 2,
            f"0 <= low_hz < high_hz <= {RATE // 2}",
            f"low_hz {self.low_hz}, high_hz {self.high_hz}",
            "speech lies between 50 and 8000 Hz",
        )
        for name in ("window_ms", "hop_ms", "range_db"):
            value = getattr(self, name)
            require(0 < value < math.inf, f"0 < {name} < inf", value, "use a positive number")
        require(
            self.window_ms * RATE >= 2000,
            "2 samples <= window_ms",
            self.window_ms,
            "25 ms is usual",
        )
        require(
            self.hop_ms * RATE >= 1000, "1 sample <= hop_ms", self.hop_ms, "5 to 10 ms is usual"
        )

    @cached_property
    def edges_hz(self) -> NDArray[np.float64]:
        """(n_channels + 2,): lower edge, centres from low to high, upper edge."""
        low, high = (2595 * math.log10(1 + f / 700) for f in (self.low_hz, self.high_hz))
        mels = np.linspace(low, high, self.n_channels + 2)
        return np.asarray(700 * (10 ** (mels / 2595) - 1), np.float64)

    @cached_property
    def bands(self) -> tuple[int, scipy.sparse.csr_array]:
        """Length of the transform, long enough for the narrowest band, and (bins, n_channels)."""
        narrowest = float(np.diff(self.edges_hz).min())
        shortest = max(round(self.window_ms / 1000 * RATE), math.ceil(2 * RATE / narrowest))
        n = scipy.fft.next_fast_len(shortest, real=True)
        frequencies = np.fft.rfftfreq(n, 1 / RATE)
        low, centre, high = self.edges_hz[:-2], self.edges_hz[1:-1], self.edges_hz[2:]
        rising = (frequencies - low[:, np.newaxis]) / (centre - low)[:, np.newaxis]
        falling = (high[:, np.newaxis] - frequencies) / (high - centre)[:, np.newaxis]
        weights = np.maximum(np.minimum(rising, falling), 0)
        # each band has the same total weight, so that white noise has the same power in all bands
        weights /= weights.sum(axis=1, keepdims=True)
        return n, scipy.sparse.csr_array(weights[::-1].T)

    def power(self, audio: NDArray[np.floating]) -> NDArray[np.float64]:
        """Power in each band: (n_frames, n_channels); the last frame is filled up with silence."""
        window, hop = (round(ms / 1000 * RATE) for ms in (self.window_ms, self.hop_ms))
        n_frames = max(1, math.ceil((len(audio) - window) / hop) + 1)
        padded = np.zeros((n_frames - 1) * hop + window)
        padded[: len(audio)] = audio[: len(padded)]
        frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
        n, bands = self.bands
        power = np.empty((n_frames, self.n_channels))
        shape = scipy.signal.get_window("hann", window)
        for first in range(0, n_frames, 16):  # a few transforms at a time fit the cache
            spectra = np.abs(scipy.fft.rfft(frames[first : first + 16] * shape, n)) ** 2
            power[first : first + 16] = spectra @ bands
        return power

    def intensity(self, power: NDArray[np.float64]) -> NDArray[np.float64]:
        """Intensity from 0 to 1, of the shape of ``power``; see the module's docstring."""
        strongest = power.max()
        tiny = np.finfo(np.float64).tiny
        below_db = 10 * np.log10(np.maximum(power, tiny) / max(strongest, tiny))
        return np.asarray(np.clip(1 + below_db / self.range_db, 0, 1), np.float64)


@dataclass(frozen=True)
class _SpectrogramCode:
    """Base of the codes of a mel spectrogram; they do not change the recording's level."""

    spectrogram: MelSpectrogram = field(default_factory=MelSpectrogram)
    shortest_s = 0.0
    longest_s = 600.0  # 700 bands of 10 minutes are about 700 MB

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.spectrogram.n_channels

    def condition(self, audio: NDArray[np.floating]) -> NDArray[np.float64]:
        """Check a recording and return it unchanged; see `Encoder`."""
        sound = finite(audio)
        refuse_unless(
            bool(np.any(audio)),
            "a recording must not be silent, but all its samples are 0",
            "leave it out",
            DataError,
        )
        return sound


@dataclass(frozen=True)
class RateCode(_SpectrogramCode):
    """Poisson spikes whose rate grows with the intensity (rate code).

    Attributes:
        spectrogram: The mel spectrogram.
        highest_rate_hz: Rate of a channel with intensity 1, in Hz.
    """

    highest_rate_hz: float = 200.0
    code = "rate"

    def __post_init__(self) -> None:
        rate = self.highest_rate_hz
        require(
            0 < rate < math.inf, "0 < highest_rate_hz < inf", rate, "200 is about SHD's density"
        )

    def encode(self, audio: NDArray[np.floating], seed: int) -> Spikes:
        """Spikes of one recording; see `Encoder`."""
        rng = np.random.default_rng([seed, *b"rate"])
        spectrogram = self.spectrogram
        intensity = spectrogram.intensity(spectrogram.power(self.condition(audio)))
        expected = intensity * (self.highest_rate_hz * spectrogram.hop_ms / 1000)
        frames, channels = np.nonzero(counts := rng.poisson(expected))
        repeated = counts[frames, channels]
        frames, channels = np.repeat(frames, repeated), np.repeat(channels, repeated)
        return _sorted((frames + rng.random(len(frames))) * spectrogram.hop_ms, channels)


@dataclass(frozen=True)
class LatencyCode(_SpectrogramCode):
    """One spike for each channel and frame; stronger channels spike earlier.

    This is a time-to-first-spike code. A channel with intensity x spikes (1 - x)·frame_ms after the
    beginning of the frame. It does not spike if x = 0. If the frame is longer than the recording,
    each channel spikes at most once.

    Attributes:
        spectrogram: The mel spectrogram; its power is averaged over each frame.
        frame_ms: Length of a frame in ms.
    """

    frame_ms: float = 20.0
    code = "latency"

    def __post_init__(self) -> None:
        require(
            self.spectrogram.hop_ms <= self.frame_ms < math.inf,
            "hop_ms <= frame_ms < inf",
            self.frame_ms,
            "20 is about SHD's density of spikes",
        )

    def encode(self, audio: NDArray[np.floating], seed: int) -> Spikes:
        """Spikes of one recording; the seed has no effect. See `Encoder`."""
        power = self.spectrogram.power(self.condition(audio))
        starts_ms = np.arange(len(power)) * self.spectrogram.hop_ms
        frame_of = np.floor(starts_ms / self.frame_ms).astype(np.int64)
        firsts = np.flatnonzero(np.diff(frame_of, prepend=-1))
        sums = np.add.reduceat(power, firsts, axis=0)
        lengths = np.diff(np.append(firsts, len(power)))
        intensity = self.spectrogram.intensity(sums / lengths[:, np.newaxis])
        frames, channels = np.nonzero(intensity)
        late = 1 - intensity[frames, channels]
        return _sorted((frames + late) * self.frame_ms, channels)


def _sorted(times_ms: NDArray[np.float64], channels: NDArray[np.int64]) -> Spikes:
    """Sort spikes by time, then channel, and shift the first spike to 0, as in SHD."""
    times_ms = times_ms - times_ms.min(initial=times_ms[0] if len(times_ms) else 0)
    order = np.lexsort((channels, times_ms))
    return times_ms[order].astype(np.float32), channels[order].astype(np.uint16)
