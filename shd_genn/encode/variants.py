"""Versions of a recording as other people, microphones and rooms might have made it.

The WORLD vocoder (Morise, Yokomori & Ozawa 2016; the package ``pyworld``) splits speech into pitch,
spectral envelope and aperiodicity, and joins them again. In between, the envelope is stretched (the
vocal tract's length), the pitch is multiplied, and time is stretched, each by a factor of its own.
Then come a room's reverberation (noise that decays exponentially, Moorer 1979), noise, and a level.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

import numpy as np
import scipy  # loads its parts when they are first used
from annotated_types import Ge
from numpy.typing import NDArray

from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.encoder import Encoder, Spikes
from shd_genn.support.errors import ConfigError
from shd_genn.support.settings import Cure, Settings

Audio = NDArray[np.float64]
Factor = Annotated[float, Ge(1), Cure("1 means no change; 1.15 is usual")]
Decibels = Annotated[float, Ge(0), Cure("0 means no change")]
LOW_RATE = RATE // 2
"""Sampling rate in Hz at which the vocoder works."""
FRAME_MS = 10.0
"""Step of the vocoder's analysis."""
SAME_APERIODICITY = 3
"""Frames that share one analysis of their aperiodicity, which takes longest and changes slowly."""
PITCH_SPEED = 4
"""A quarter of the samples is enough for a first estimate of the pitch, which is refined later."""
SILENCE = 1e-4
"""Part of a version's energy that a silent end may have; it is cut where it makes a version longer
than its recording."""
PADDING = 1024
"""Samples of silence after a sound, so that its end does not ring into its beginning."""
DIRECT_DB = (5.0, 15.0)
"""How much stronger than its reverberation a sound is: drawn from here, in dB."""


@dataclass(frozen=True)
class Variation(Settings):
    """How much versions may differ from the recording. A factor f is drawn from 1/f to f."""

    vocal_tract: Factor = 1.15
    """Largest factor of all formant frequencies: the length of the vocal tract."""
    pitch: Factor = 1.2
    """Largest factor of the pitch."""
    tempo: Factor = 1.15
    """Largest factor of the speed of speech."""
    level_db: Decibels = 3.0
    """Cochlea: largest change of the level to which recordings are scaled, in dB."""
    lowest_snr_db: Annotated[float, Ge(0), Cure("20 dB is clearly heard")] = 25.0
    """Speech is at least this much stronger than the noise that is added, in dB."""
    highest_snr_db: Annotated[float, Ge(0), Cure("60 dB is hardly heard")] = 60.0
    """Speech is at most this much stronger than the noise that is added, in dB."""
    reverberation_s: Annotated[float, Ge(0), Cure("0 means no room")] = 0.3
    """Longest time in s in which a room's reverberation falls by 60 dB."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.highest_snr_db < self.lowest_snr_db:
            raise ConfigError(
                f"lowest_snr_db <= highest_snr_db must hold, but got {self.lowest_snr_db:g} and "
                f"{self.highest_snr_db:g}; swap or correct them"
            )


@dataclass(frozen=True)
class Drawn:
    """What one version is changed by; the units are those of `Variation`."""

    vocal_tract: float
    pitch: float
    tempo: float
    level_db: float
    snr_db: float
    reverberation_s: float
    direct_db: float

    @staticmethod
    def of(variation: Variation, rng: np.random.Generator) -> Drawn:
        """Draw a version: factors evenly on a logarithmic scale, all else evenly."""
        largest = (variation.vocal_tract, variation.pitch, variation.tempo)
        vocal_tract, pitch, tempo = (
            math.exp(rng.uniform(-1, 1) * math.log(factor)) for factor in largest
        )
        return Drawn(
            vocal_tract=vocal_tract,
            pitch=pitch,
            tempo=tempo,
            level_db=rng.uniform(-1, 1) * variation.level_db,
            snr_db=rng.uniform(variation.lowest_snr_db, variation.highest_snr_db),
            reverberation_s=rng.uniform(0, variation.reverberation_s),
            direct_db=rng.uniform(*DIRECT_DB),
        )


@dataclass(frozen=True)
class Varied:
    """An encoder of versions: each recording is changed before another encoder encodes it.

    The same seed and number give the same version, and the same spikes.

    Attributes:
        encoder: What encodes.
        variation: How much versions may differ.
        number: Which version it is, from 1.
    """

    encoder: Encoder
    variation: Variation
    number: int

    def __post_init__(self) -> None:
        _world()

    @property
    def code(self) -> str:
        """That of the encoder."""
        return self.encoder.code

    @property
    def n_channels(self) -> int:
        """That of the encoder."""
        return self.encoder.n_channels

    @property
    def shortest_s(self) -> float:
        """Of a recording whose fastest version the encoder still takes."""
        return self.encoder.shortest_s * self.variation.tempo

    @property
    def longest_s(self) -> float:
        """Of a recording whose slowest version the encoder still takes."""
        return self.encoder.longest_s / self.variation.tempo

    def condition(self, audio: NDArray[np.floating]) -> Audio:
        """As the encoder."""
        return self.encoder.condition(audio)

    def encode(self, audio: NDArray[np.floating], seed: int) -> Spikes:
        """Change a recording, and encode it."""
        sound, drawn = self.version(audio, seed)
        encoder = self.encoder
        if isinstance(encoder, Cochlea):
            encoder = replace(encoder, rms=encoder.rms * 10 ** (drawn.level_db / 20))
        return encoder.encode(sound, seed)

    def version(self, audio: NDArray[np.floating], seed: int) -> tuple[Audio, Drawn]:
        """The changed recording at 48 kHz, and what it was changed by.

        Args:
            audio: Mono at 48 kHz, (n_samples,).
            seed: Of the recording.
        """
        self.encoder.condition(audio)  # refuses what is no speech
        rng = np.random.default_rng([seed, self.number, *b"variant"])
        drawn = Drawn.of(self.variation, rng)
        sound = revoiced(np.asarray(audio, np.float64), drawn)
        sound = _without_silent_end(sound, len(audio))
        power = np.mean(np.square(sound))
        sound = reverberant(sound, drawn, rng)
        noise = rng.normal(0, math.sqrt(power * 10 ** (-drawn.snr_db / 10)), len(sound))
        return sound + noise, drawn


def revoiced(audio: Audio, drawn: Drawn) -> Audio:
    """Speech with another vocal tract, pitch and tempo; silence stays as it is.

    The vocoder gets what lies below 12 kHz, which takes it half the time. What is above is noise of
    the breath: only its tempo changes.
    """
    world = _world()
    low, high = _halves(audio, drawn.tempo)
    pitch, times = world.dio(low, LOW_RATE, frame_period=FRAME_MS, speed=PITCH_SPEED)
    pitch = world.stonemask(low, pitch, times, LOW_RATE)
    envelope = world.cheaptrick(low, pitch, times, LOW_RATE)
    few = slice(None, None, SAME_APERIODICITY)
    aperiodicity = world.d4c(low, pitch[few].copy(), times[few].copy(), LOW_RATE)
    aperiodicity = np.repeat(aperiodicity, SAME_APERIODICITY, axis=0)[: len(pitch)]
    envelope, aperiodicity = (
        _stretched(spectrum, drawn.vocal_tract) for spectrum in (envelope, aperiodicity)
    )
    sound: Audio = world.synthesize(
        pitch * drawn.pitch, envelope, aperiodicity, LOW_RATE, FRAME_MS / drawn.tempo
    )
    return _resampled(sound, len(high)) + high


def _without_silent_end(sound: Audio, n: int) -> Audio:
    """The first ``n`` samples, if there is silence after them; else all."""
    energy = np.square(sound)
    return sound[:n] if energy[n:].sum() <= SILENCE * energy.sum() else sound


def _halves(audio: Audio, tempo: float) -> tuple[Audio, Audio]:
    """What lies below 12 kHz, at 24 kHz; and what lies above, at 48 kHz and with another tempo."""
    padded = scipy.fft.next_fast_len(len(audio) + PADDING, real=True)
    spectrum = scipy.fft.rfft(audio, padded)
    n_low = padded * LOW_RATE // RATE
    low: Audio = scipy.fft.irfft(spectrum[: n_low // 2 + 1], n_low) * (n_low / padded)
    spectrum[: n_low // 2 + 1] = 0
    n_high = round(padded / tempo)
    spectrum = np.pad(spectrum, (0, max(0, n_high // 2 + 1 - len(spectrum))))
    high: Audio = scipy.fft.irfft(spectrum[: n_high // 2 + 1], n_high) * (n_high / padded)
    return low[: len(audio) * LOW_RATE // RATE].copy(), high[: round(len(audio) / tempo)].copy()


def _resampled(audio: Audio, n: int) -> Audio:
    """A sound at 24 kHz as ``n`` samples at 48 kHz."""
    padded = scipy.fft.next_fast_len(max(len(audio), n // 2) + PADDING, real=True)
    doubled: Audio = scipy.fft.irfft(scipy.fft.rfft(audio, padded), 2 * padded)[:n]
    return doubled * 2


def _stretched(spectrum: Audio, factor: float) -> Audio:
    """Every frame, (frames, frequencies), with what was at f moved to f times the factor."""
    n = spectrum.shape[1]
    source = np.minimum(np.arange(n) / factor, n - 1)
    low = source.astype(int)
    high, part = np.minimum(low + 1, n - 1), source - low
    stretched = spectrum[:, low] * (1 - part) + spectrum[:, high] * part
    return np.ascontiguousarray(stretched)


def reverberant(audio: Audio, drawn: Drawn, rng: np.random.Generator) -> Audio:
    """Speech in a room; of the same length."""
    n = round(drawn.reverberation_s * RATE)
    if n < 2:
        return audio
    tail = rng.normal(size=n) * 10 ** (-3 * np.arange(n) / n)
    tail *= 10 ** (-drawn.direct_db / 20) / math.sqrt(np.sum(np.square(tail)))
    tail[0] = 1.0  # the sound itself
    heard: Audio = scipy.signal.fftconvolve(audio, tail)[: len(audio)]
    return heard


def _world() -> Any:
    """The vocoder.

    Raises:
        ConfigError: if it is not installed.
    """
    try:
        return importlib.import_module("pyworld")
    except ImportError as error:
        raise ConfigError(
            "variants of recordings need the package pyworld, which is not installed; run "
            "pip install 'shd_genn[variants]'"
        ) from error


def described(drawn: Drawn) -> str:
    """What a version was changed by, in one line."""
    return ", ".join(f"{f.name} {getattr(drawn, f.name):.3g}" for f in fields(drawn))
