"""The cochlea for streams: the spikes of whole recordings, whatever the pieces."""

from dataclasses import replace

import numpy as np
import pytest

from shd_genn.encode.basilar_membrane import BasilarMembrane
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.cochlea_stream import CochleaStream
from shd_genn.support.errors import ConfigError, DataError

COCHLEA = Cochlea(membrane=BasilarMembrane(n_places=24))


def sound(seconds, seed=0):
    """Bursts of noise, four a second."""
    n = round(seconds * RATE)
    loud = np.sin(4 * np.pi * np.arange(n) / RATE) ** 2
    return 0.05 * loud * np.random.default_rng(seed).normal(size=n)


def streamed(audio, pieces):
    """Steps, from the first spike on, and places, of a stream in pieces."""
    level = float(np.sqrt(np.mean(np.square(audio))))
    stream = CochleaStream(COCHLEA, level, seed=3)
    found = [stream.push(piece) for piece in np.array_split(audio, pieces)]
    found.append(stream.finish())
    steps, places = (np.concatenate(part) for part in zip(*found, strict=True))
    assert (np.diff(steps) >= 0).all()
    return steps - steps[0], places


@pytest.mark.parametrize("pieces", [1, 5, 203])
def test_a_stream_gives_the_spikes_of_the_whole_recording(pieces):
    audio = sound(5.3)
    times_ms, channels = COCHLEA.encode(audio, 3)
    steps, places = streamed(audio, pieces)
    assert np.array_equal((steps * (1000 / 24_000)).astype(np.float32), times_ms)
    assert np.array_equal(places, channels)


def test_a_short_recording_gives_other_spikes_of_the_same_number():
    """Filtered as a whole it has other frequencies, as if the fibres had other random numbers."""
    audio = sound(1.9)
    _, channels = COCHLEA.encode(audio, 3)
    _, places = streamed(audio, 7)
    assert len(channels) > 200
    assert len(places) == pytest.approx(len(channels), rel=0.15)
    counts = (np.bincount(c, minlength=24) for c in (channels, places))
    assert np.corrcoef(*counts)[0, 1] > 0.95


def test_spikes_come_before_the_sound_ends():
    stream = CochleaStream(COCHLEA, 0.05)
    assert len(stream.push(sound(1.7))[0]) == 0
    steps, _ = stream.push(sound(0.3))
    assert 0 < steps.min() and steps.max() < 36_000  # a block is 1.5 s


def test_what_is_no_stream_is_refused():
    with pytest.raises(ConfigError, match="0 < level"):
        CochleaStream(COCHLEA, 0.0)
    stream = CochleaStream(replace(COCHLEA, ramp_ms=0.0), 0.1)
    with pytest.raises(DataError, match="must be finite"):
        stream.push(np.array([np.nan]))
    stream.finish()
    with pytest.raises(ConfigError, match="has been finished"):
        stream.push(sound(0.1))
