"""Spikes of the whole cochlea: like SHD's, reproducible, and with the statistics of 40 fibres."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from shd_genn.encode.audio import read_audio
from shd_genn.encode.cochlea import RATE, BushyCell, Cochlea, HairCell
from shd_genn.encode.encoder import encode_many
from shd_genn.encode.transform import transform_length
from shd_genn.support.errors import ConfigError, DataError

HEIDELBERG = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "heidelberg"
genuine = pytest.mark.skipif(
    not HEIDELBERG.is_dir(), reason="needs the Heidelberg recordings in ../shared/data"
)


def vowel_at(rate: int) -> np.ndarray:
    """0.4 s of something like a vowel: 11 harmonics of 120 Hz."""
    t = np.arange(round(0.4 * rate)) / rate
    return sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 12)) * 0.1


@pytest.fixture(scope="module")
def vowel():
    return vowel_at(RATE)


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
    one = list(encode_many(Cochlea(), sources, range(5), n_workers=1))
    two = list(encode_many(Cochlea(), sources, range(5), n_workers=2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_level_does_not_matter(vowel, spikes):
    quiet = Cochlea().encode(vowel * 2.0**-6, seed=3)
    np.testing.assert_array_equal(quiet[0], spikes[0])


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100])
def test_a_recording_at_another_rate_gives_the_same_spikes(tmp_path, spikes, rate):
    soundfile.write(tmp_path / "a.wav", vowel_at(rate), rate, subtype="FLOAT")
    mine = spike_set(Cochlea().encode(read_audio(tmp_path / "a.wav", RATE), seed=3))
    # resampling is exact but for a filter's ripple, which moves a spike here and there
    assert len(mine & spike_set(spikes)) > 0.99 * len(spikes[0])
    assert abs(len(mine) - len(spikes[0])) < 0.01 * len(spikes[0])


def spike_set(spikes) -> set[tuple[int, int]]:
    times_ms, channels = spikes
    return set(zip(np.round(times_ms * 24).astype(int).tolist(), channels.tolist(), strict=True))


def test_a_tone_excites_its_place():
    t = np.arange(round(0.4 * RATE)) / RATE
    for frequency, place in ((500, 506), (1000, 414), (2000, 322), (4000, 230)):
        _, channels = Cochlea().encode(np.sin(2 * np.pi * frequency * t), seed=0)
        counts = np.convolve(np.bincount(channels, minlength=700), np.ones(21), "same")
        # the note's map is that of the resonance; the travelling wave peaks a little before it
        assert abs(int(counts.argmax()) - place) < 60


N_PLACES, N_STEPS, SETTLED = 64, 25_200, 1_200
"""64 places for a second, after 50 ms in which the fibres forget that all were ready at first."""


@pytest.fixture(scope="module")
def steady():
    """A membrane at rest, whose fibres, if not in dead time, fire with 0.02 a step.

    At this probability the dead time halves the variance: a trick that forgot it would show.
    """
    cochlea = Cochlea(hair_cell=HairCell(firing=370_000.0))
    velocity = np.zeros((N_PLACES, N_STEPS), np.float32)
    p = cochlea.hair_cell_probability(velocity[:1])
    assert np.ptp(p) < 1e-9 and 0.015 < p.mean() < 0.025
    return cochlea, velocity, float(p.mean())


@pytest.fixture(scope="module")
def kernel_counts(steady):
    """Fibre spikes of each place and step: bushy cells made into detectors of m fibres at once."""
    cochlea, velocity, _ = steady
    counts = np.zeros((N_PLACES, N_STEPS), np.int64)
    for m in range(1, 41):
        weight = 40 * 24_000 / (m - 0.5)  # m spikes in one step reach the threshold, m - 1 do not
        cell = BushyCell(tau_mem_ms=1e-3, tau_syn_ms=1e-3, refractory_ms=0.0, weight=weight)
        steps, places = replace(cochlea, bushy_cell=cell).fire(velocity, N_STEPS, 0, seed=1)
        counts[places, steps] += 1
        if len(steps) == 0:
            break
    return counts


@pytest.fixture(scope="module")
def single_fibres(steady):
    """The same with every fibre's coin and dead time of its own."""
    rng, p = np.random.default_rng(0), steady[2]
    last = np.full((N_PLACES, 40), -24)
    counts = np.zeros((N_PLACES, N_STEPS), np.int64)
    for step in range(N_STEPS):
        fired = (rng.random((N_PLACES, 40), np.float32) < p) & (step - last >= 24)
        last[fired] = step
        counts[:, step] = fired.sum(axis=1)
    return counts


def windows(counts: np.ndarray) -> np.ndarray:
    """Spikes in windows of 20 ms."""
    return counts[:, SETTLED:].reshape(-1, 480).sum(axis=1)


def test_fibres_fire_as_often_and_as_regularly_as_theory_says(kernel_counts, steady):
    """Renewal theory of an interval of 23 steps and a geometric number of further ones."""
    p, got = steady[2], windows(kernel_counts)
    rate = 40 * 480 / (23 + 1 / p)
    fano = (1 - p) / (1 + 23 * p) ** 2
    # four standard errors; the theory of the variance is that of long windows: 3 % for this one
    assert abs(got.mean() - rate) < 4 * np.sqrt(fano * rate / len(got))
    assert abs(got.var() / (fano * rate) - 1) < 4 * np.sqrt(2 / len(got)) + 0.03


def test_binomial_fibres_have_the_statistics_of_single_ones(kernel_counts, single_fibres):
    got, expected = windows(kernel_counts), windows(single_fibres)
    n = len(got)
    assert abs(got.mean() - expected.mean()) < 4 * np.sqrt(2 * expected.var() / n)
    # a variance's standard error is sqrt(2/n) of it: 3 % here; the dead time makes 50 %
    assert abs(got.var() / expected.var() - 1) < 4 * np.sqrt(2 * 2 / n)
    # within a step, too: how often 0, 1, 2… of the 40 fire at once, out of 1.5 million
    got, expected = (c[:, SETTLED:].ravel() for c in (kernel_counts, single_fibres))
    for k in range(4):
        a, b = np.sum(got == k), np.sum(expected == k)
        assert b > 1000 and abs(a - b) < 4 * np.sqrt(a + b)


def test_fibres_recover_from_the_dead_time_like_single_ones(kernel_counts, single_fibres):
    """Covariance of counts some steps apart: the dead time's 24 steps, and its echo."""
    got, expected = autocovariance(kernel_counts), autocovariance(single_fibres)
    error = single_fibres.var() / np.sqrt(single_fibres[:, SETTLED:].size)
    assert np.abs(got - expected).max() < 5 * np.sqrt(2) * error
    assert expected[22] < -5 * error < 5 * error < expected[23]  # lags of 23 and 24 steps


def autocovariance(counts: np.ndarray) -> np.ndarray:
    deviation = counts[:, SETTLED:] - counts[:, SETTLED:].mean()
    return np.array([np.mean(deviation[:, lag:] * deviation[:, :-lag]) for lag in range(1, 3 * 24)])


def test_bushy_cells_answer_to_fibres_step_by_step(kernel_counts, steady):
    """The kernel's spikes against section 5 of the description, given the very same fibres."""
    cochlea, velocity, _ = steady
    steps, places = cochlea.fire(velocity, N_STEPS, 0, seed=1)
    got = np.zeros((N_PLACES, N_STEPS), bool)
    got[places, steps] = True
    expected = bushy_spikes(kernel_counts, cochlea.bushy_cell)
    assert expected.sum() > 1000
    np.testing.assert_array_equal(got, expected)


def bushy_spikes(counts: np.ndarray, cell: BushyCell) -> np.ndarray:
    dt = 1 / 24_000
    decay_mem = np.exp(-dt * 1000 / cell.tau_mem_ms)
    decay_syn = np.exp(-dt * 1000 / cell.tau_syn_ms)
    v, current, wait = (np.zeros(len(counts)) for _ in range(3))
    spikes = np.zeros(counts.shape, bool)
    for step in range(counts.shape[1]):
        current = current * decay_syn + counts[:, step]
        wait = np.where(v >= 1, 24, wait)
        charged = np.minimum(v * decay_mem + cell.weight / cell.n_fibres * dt * current, 1)
        v = np.where(wait > 0, 0, charged)
        spikes[:, step] = v >= 1
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


@pytest.mark.parametrize(
    ("make", "setting", "message"),
    [
        (Cochlea, {"rms": 0.0}, "0 < rms < inf must hold, but got 0"),
        (Cochlea, {"ramp_ms": -1.0}, "0 <= ramp_ms must hold, but got -1"),
        (BushyCell, {"n_fibres": 0}, "1 <= n_fibres must hold, but got 0"),
        (BushyCell, {"dead_time_ms": 0.0}, "1/24 <= dead_time_ms must hold, but got 0"),
        (BushyCell, {"tau_mem_ms": 0.0}, "0 < tau_mem_ms must hold, but got 0"),
        (BushyCell, {"tau_syn_ms": -1.0}, "0 < tau_syn_ms must hold, but got -1"),
        (BushyCell, {"refractory_ms": -1.0}, "0 <= refractory_ms must hold, but got -1"),
    ],
)
def test_settings_that_cannot_be(make, setting, message):
    with pytest.raises(ConfigError, match=message):
        make(**setting)


@pytest.mark.parametrize("n_samples", [2880, 24_000, 48_000, 48_598, 200_000, 1_000_000])
def test_transforms_hold_the_recording_and_are_few(n_samples):
    n = transform_length(n_samples)
    assert 2 * (n - 1) >= n_samples
    assert len({transform_length(k) for k in range(2880, 48_000, 7)}) == 3
