"""Spikes of the whole cochlea: like SHD's, reproducible, and with the statistics of 40 fibres."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from shd_genn.encode.audio import read_audio
from shd_genn.encode.cochlea import RATE, Cochlea, transform_length
from shd_genn.errors import ConfigError, DataError

HEIDELBERG = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "heidelberg"
genuine = pytest.mark.skipif(
    not HEIDELBERG.is_dir(), reason="needs the Heidelberg recordings in ../shared/data"
)


@pytest.fixture(scope="module")
def vowel():
    """0.4 s of something like a vowel."""
    t = np.arange(round(0.4 * RATE)) / RATE
    return sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 12)) * 0.1


@pytest.fixture(scope="module")
def spikes(vowel):
    return Cochlea().encode(vowel, seed=3)


def test_form(spikes, vowel):
    times_ms, channels = spikes
    assert (times_ms.dtype, channels.dtype) == (np.float32, np.uint16)
    assert times_ms[0] == 0 and (np.diff(times_ms) >= 0).all()
    assert times_ms[-1] <= len(vowel) / RATE * 1000
    assert channels.max() < 700
    together = np.diff(times_ms) == 0
    assert (np.diff(channels.astype(int))[together] > 0).all()
    # stamped at whole steps of 1/24000 s
    steps = times_ms.astype(np.float64) * 24
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)


def test_no_channel_spikes_in_its_refractory_period(spikes):
    times_ms, channels = spikes
    for channel in np.unique(channels):
        assert (np.diff(times_ms[channels == channel]) > 1.0).all()


def test_seed_decides(spikes, vowel):
    again, other = Cochlea().encode(vowel, seed=3), Cochlea().encode(vowel, seed=4)
    for got, expected in zip(again, spikes, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert len(other[0]) != len(spikes[0]) or (other[0] != spikes[0]).any()


def test_workers_do_not_change_a_spike(vowel):
    sources = [lambda k=k: np.roll(vowel, 100 * k) for k in range(5)]
    one = list(Cochlea().encode_many(sources, range(5), n_workers=1))
    two = list(Cochlea().encode_many(sources, range(5), n_workers=2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_level_does_not_matter(vowel, spikes):
    quiet = Cochlea().encode(vowel * 2.0**-6, seed=3)
    np.testing.assert_array_equal(quiet[0], spikes[0])


def test_a_tone_excites_its_place():
    t = np.arange(round(0.4 * RATE)) / RATE
    for frequency, place in ((500, 506), (1000, 414), (2000, 322), (4000, 230)):
        _, channels = Cochlea().encode(np.sin(2 * np.pi * frequency * t), seed=0)
        counts = np.convolve(np.bincount(channels, minlength=700), np.ones(21), "same")
        # the note's map is that of the resonance; the travelling wave peaks a little before it
        assert abs(int(counts.argmax()) - place) < 60


def fibres_one_by_one(p: float, n_steps: int, dead_steps: int, rng) -> np.ndarray:
    """Spikes per step of 40 fibres, each with a coin and a dead time of its own."""
    last = np.full(40, -(10**9))
    counts = np.zeros(n_steps, int)
    for step in range(n_steps):
        fired = (rng.random(40) < p) & (step - last >= dead_steps)
        last[fired] = step
        counts[step] = fired.sum()
    return counts


def test_binomial_fibres_drive_the_bushy_cell_like_single_ones():
    """Constant velocity: the kernel's spike rate against a bushy cell fed by fibres one by one."""
    cochlea = Cochlea()
    n_steps, n_places = 12_000, 64
    level = np.full((n_places, n_steps), 100.0, np.float32)
    p = float(cochlea.hair_cell_probability(level)[0, -1])
    steps, _ = cochlea.fire(level, n_steps, 0, seed=1)
    settled = n_steps // 2
    rate = np.sum(steps >= settled) / n_places
    rng, spikes = np.random.default_rng(0), []
    for _ in range(12):
        counts = fibres_one_by_one(p, settled, 24, rng)
        spikes.append(bushy_spikes(counts, cochlea))
    # twelve places: the mean is known to its standard error, and must fit within four of them
    error = np.std(spikes, ddof=1) / np.sqrt(len(spikes))
    assert 5 < rate and abs(rate - np.mean(spikes)) < 4 * error + 0.5


def bushy_spikes(counts: np.ndarray, cochlea: Cochlea) -> int:
    """Section 5 of the model's description, step by step in float64."""
    dt, cell = 1 / 24_000, cochlea.bushy_cell
    decay_mem = np.exp(-dt * 1000 / cell.tau_mem_ms)
    decay_syn = np.exp(-dt * 1000 / cell.tau_syn_ms)
    v = current = 0.0
    wait = spikes = 0
    for count in counts:
        current = current * decay_syn + count
        if v >= 1:
            wait, v = 24, 0.0
        if wait <= 0:
            v = min(1.0, v * decay_mem + cell.weight / cell.n_fibres * dt * current)
            spikes += v >= 1
        wait -= 1
    return spikes


@genuine
def test_spikes_are_like_those_of_genuine_samples():
    """Counts and channels of two Heidelberg recordings lie in the range of 12 SHD samples."""
    with h5py.File(HEIDELBERG / "shd_12_samples.h5") as file:
        samples = [
            (np.asarray(t, np.float64), np.asarray(u))
            for t, u in zip(file["spikes/times"][:], file["spikes/units"][:], strict=True)
        ]
    bands = np.array([histogram(units) for _, units in samples])
    counts = [len(units) for _, units in samples]
    rates = [len(units) / times.max() for times, units in samples]
    for path in sorted(HEIDELBERG.glob("*.flac")):
        times_ms, channels = Cochlea().encode(read_audio(path, RATE), seed=0)
        assert min(counts) <= len(channels) <= max(counts)
        assert min(rates) <= len(channels) / times_ms.max() * 1000 <= max(rates)
        mine = histogram(channels)
        assert (mine >= bands.min(axis=0)).all() and (mine <= bands.max(axis=0)).all()


def histogram(units: np.ndarray) -> np.ndarray:
    return np.histogram(units, bins=7, range=(0, 700))[0]


@genuine
def test_times_pass_through_float16_as_in_shd():
    with h5py.File(HEIDELBERG / "shd_12_samples.h5") as file:
        genuine_times = np.concatenate(file["spikes/times"][:])
    steps = np.arange(24_000 * 2)
    ours = (steps / 24_000).astype(np.float16)
    assert np.isin(genuine_times, ours).all()


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(9600), "must not be silent"),
        (np.full(9600, np.nan), "must be finite"),
        (np.ones(2000), r"must last at least 60 ms, but got 41\.7 ms"),
    ],
)
def test_recordings_that_cannot_be_used(audio, message):
    with pytest.raises(DataError, match=message):
        Cochlea().encode(audio, seed=0)


def test_settings_that_cannot_be():
    with pytest.raises(ConfigError, match="0 < rms < inf must hold, but got 0"):
        Cochlea(rms=0.0)
    with pytest.raises(ConfigError, match="0 <= ramp_ms"):
        Cochlea(ramp_ms=-1.0)


@pytest.mark.parametrize("n_samples", [2880, 24_000, 48_000, 48_598, 200_000, 1_000_000])
def test_transforms_hold_the_recording_and_are_few(n_samples):
    n = transform_length(n_samples)
    assert 2 * (n - 1) >= n_samples
    assert len({transform_length(k) for k in range(2880, 48_000, 7)}) == 3
