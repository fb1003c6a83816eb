"""Changes to training samples, and the presentation that training and test share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig
from shd_genn.present import augment
from shd_genn.present.augment import shift_channels
from shd_genn.present.batches import augmented
from shd_genn.present.delay_line import DelayLine
from shd_genn.present.presentation import binarise
from shd_genn.present.settings import AugmentConfig, PresentConfig
from shd_genn.spikes.events import Events

N_CHANNELS = 700
seeds = st.integers(0, 2**32)


@st.composite
def samples(draw, n=None):
    """Samples of random spikes, some of them empty."""
    sizes = {"min_size": 0, "max_size": 8} if n is None else {"min_size": n, "max_size": n}
    counts = draw(st.lists(st.integers(0, 40), **sizes))
    rng = np.random.default_rng(draw(seeds))
    return Events.of([(rng.uniform(0, 1000, n), rng.integers(0, N_CHANNELS, n)) for n in counts])


def arrays(events):
    return [events.times_ms.copy(), events.channels.copy(), events.offsets.copy()]


def same(one, other):
    for a, b in zip(arrays(one), arrays(other), strict=True):
        np.testing.assert_array_equal(a, b)


def check_whole(events, n_samples, n_channels=N_CHANNELS):
    """Of the right kind, in range, sorted."""
    assert [a.dtype for a in arrays(events)] == [np.float32, np.uint16, np.int64]
    assert len(events) == n_samples and events.offsets[0] == 0
    assert events.offsets[-1] == len(events.times_ms) == len(events.channels)
    assert (events.channels < n_channels).all() and (events.times_ms >= 0).all()
    for i in range(len(events)):
        assert (np.diff(events.sample(i)[0]) >= 0).all()


AUGMENTATIONS = {
    "shift": lambda e, rng: augment.shift_channels(e, 40.0, N_CHANNELS, rng),
    "jitter": lambda e, rng: augment.jitter_channels(e, 20.0, N_CHANNELS, rng),
    "dilate": lambda e, rng: augment.dilate(e, 1.25, rng),
    "drop": lambda e, rng: augment.drop_spikes(e, 0.3, rng),
    "thin": lambda e, rng: augment.thin(e, 5, rng),
    "blend": lambda e, rng: augment.blend(e, e.take(np.arange(len(e))[::-1]), 0.5, N_CHANNELS, rng),
    "all": lambda e, rng: augmented(
        e, AugmentConfig(1.0, 0.5, 1.2, 40.0, 5.0, 0.1, True), N_CHANNELS, 7, rng
    ),
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
@given(events=samples(), seed=seeds)
@settings(max_examples=50)
def test_samples_stay_whole_the_input_unchanged_and_seeds_reproduce(name, events, seed):
    before = Events(*arrays(events))
    changed = AUGMENTATIONS[name](events, np.random.default_rng(seed))
    same(events, before)
    check_whole(changed, len(events))
    same(changed, AUGMENTATIONS[name](events, np.random.default_rng(seed)))


@given(events=samples(), max_shift=st.floats(0, 2000), seed=seeds)
def test_each_sample_is_shifted_as_a_whole(events, max_shift, seed):
    shifted = shift_channels(events, max_shift, N_CHANNELS, np.random.default_rng(seed))
    shifts = np.random.default_rng(seed).uniform(-max_shift, max_shift, len(events))
    for i, shift in enumerate(shifts):
        times, channels = events.sample(i)
        wanted = channels.astype(int) + int(shift)  # int() goes towards 0, as in genn_eventprop
        kept = (wanted >= 0) & (wanted < N_CHANNELS)
        np.testing.assert_array_equal(shifted.sample(i)[0], times[kept])
        np.testing.assert_array_equal(shifted.sample(i)[1], wanted[kept])


def test_no_shift_changes_nothing():
    events = Events.of([(np.arange(700.0), np.arange(700))])
    shifted = shift_channels(events, 0.0, 700, np.random.default_rng(0))
    np.testing.assert_array_equal(shifted.channels, events.channels)


def test_the_shifts_are_evenly_spread():
    n, largest = 20_000, 40.0
    events = Events.of([(np.zeros(1), np.array([350]))] * n)
    shifted = shift_channels(events, largest, N_CHANNELS, np.random.default_rng(3))
    values, counts = np.unique(shifted.channels.astype(int) - 350, return_counts=True)
    # towards 0: 40 itself is never reached, and 0 comes of (-1, 1), twice as often as the others
    assert values.tolist() == list(range(-39, 40))
    expected = np.where(values == 0, 2.0, 1.0) * n / 80
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared == pytest.approx(78, abs=5 * np.sqrt(2 * 78))  # 78 degrees of freedom


def one_sample(n, channel=350):
    """Evenly spread over a second on one channel."""
    return Events.of([(np.linspace(0, 999, n), np.full(n, channel))])


def test_jitter_is_normal_and_of_single_spikes():
    n, sd = 40_000, 10.0
    jittered = augment.jitter_channels(one_sample(n), sd, N_CHANNELS, np.random.default_rng(1))
    moved = jittered.channels.astype(int) - 350
    assert len(moved) == n
    # rounding adds a variance of 1/12; five standard errors of mean and variance
    assert moved.mean() == pytest.approx(0, abs=5 * sd / np.sqrt(n))
    assert moved.var() == pytest.approx(sd**2 + 1 / 12, rel=5 * np.sqrt(2 / n))


def test_dilation_is_log_uniform_and_of_whole_samples():
    n, largest = 20_000, 1.25
    events = Events.of([(np.array([100.0, 200.0]), np.array([1, 2]))] * n)
    times = augment.dilate(events, largest, np.random.default_rng(2)).times_ms.reshape(n, 2)
    np.testing.assert_allclose(times[:, 1], 2 * times[:, 0], rtol=1e-6)  # float32
    logs = np.log(times[:, 0] / 100) / np.log(largest)
    assert logs.min() > -1 - 1e-5 and logs.max() < 1 + 1e-5
    assert logs.mean() == pytest.approx(0, abs=5 * np.sqrt(1 / 3 / n))
    assert logs.var() == pytest.approx(1 / 3, rel=5 * np.sqrt(0.8 / n))  # kurtosis 1.8


@given(probability=st.floats(0, 0.99), seed=seeds)
@settings(max_examples=20)
def test_drop_out_keeps_the_rest_as_it_is(probability, seed):
    n = 4000
    events = one_sample(n)
    kept = augment.drop_spikes(events, probability, np.random.default_rng(seed))
    assert set(kept.times_ms) <= set(events.times_ms)
    spread = np.sqrt(n * probability * (1 - probability))
    assert len(kept.times_ms) == pytest.approx(n * (1 - probability), abs=6 * spread + 1e-9)


@given(seed=seeds)
@settings(max_examples=20)
def test_thinning_makes_spike_numbers_alike(seed):
    events = Events.join([one_sample(n).sample(0) for n in (500, 2000, 8000, 100)])
    counts = augment.thin(events, 500, np.random.default_rng(seed)).counts
    assert counts[0] == 500 and counts[3] == 100  # no more than there are
    assert np.abs(counts[1:3] - 500).max() < 6 * np.sqrt(500)


@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=30), seed=seeds)
@settings(max_examples=50)
def test_pairs_to_blend_are_of_one_class(labels, seed):
    labels = np.array(labels)
    pairs = augment.blend_pairs(labels, 40, np.random.default_rng(seed))
    assert pairs.shape == (40, 2) and pairs.min() >= 0 and pairs.max() < len(labels)
    np.testing.assert_array_equal(labels[pairs[:, 0]], labels[pairs[:, 1]])


def test_pairs_to_blend_are_drawn_evenly():
    labels, n = np.array([0, 1, 1, 1, 2]), 50_000
    pairs = augment.blend_pairs(labels, n, np.random.default_rng(0))
    counts = np.bincount(pairs.ravel(), minlength=5)  # of each sample: as often as any other
    assert np.abs(counts - 2 * n / 5).max() < 6 * np.sqrt(2 * n)
    apart = pairs[labels[pairs[:, 0]] == 1]
    assert (apart[:, 0] != apart[:, 1]).mean() == pytest.approx(2 / 3, abs=0.02)  # replaced


def test_a_blend_meets_in_the_middle_and_keeps_half_of_either():
    n = 4000
    one = Events.of([(np.linspace(100, 300, n), np.full(n, 300))])
    other = Events.of([(np.linspace(200, 400, n), np.full(n, 310))])
    whole = augment.blend(one, other, 1.0, N_CHANNELS, np.random.default_rng(0))
    assert set(whole.channels) == {305} and len(whole.channels) == 2 * n
    assert whole.times_ms.mean() == pytest.approx(250, abs=0.01)
    half = augment.blend(one, other, 0.5, N_CHANNELS, np.random.default_rng(0))
    assert len(half.channels) == pytest.approx(n, abs=6 * np.sqrt(2 * n / 4))


def test_a_blend_with_an_empty_sample_is_not_moved():
    one, empty = one_sample(10), Events.of([(np.empty(0), np.empty(0, int))])
    blended = augment.blend(one, empty, 1.0, N_CHANNELS, np.random.default_rng(0))
    same(blended, one)


@given(events=samples(), n_copies=st.integers(1, 10), step_ms=st.floats(0.5, 300))
@settings(max_examples=50)
def test_delay_line_is_copies_that_come_later(events, n_copies, step_ms):
    before = Events(*arrays(events))
    delayed = DelayLine(n_copies, step_ms, N_CHANNELS, 1000.0)(events)
    same(events, before)
    check_whole(delayed, len(events), N_CHANNELS * (1 + n_copies))
    for i in range(len(events)):
        times, channels = delayed.sample(i)
        for copy in range(1 + n_copies):
            mine = channels // N_CHANNELS == copy
            late = events.sample(i)[0] + np.float32(step_ms) * np.float32(copy)
            kept = late < 1000
            np.testing.assert_array_equal(times[mine], late[kept])
            np.testing.assert_array_equal(channels[mine] % N_CHANNELS, events.sample(i)[1][kept])


@given(events=samples(), dt_ms=st.sampled_from([0.1, 0.5, 1.0, 2.0, 5.0]))
@settings(max_examples=50)
def test_binarised_spikes_are_one_a_channel_and_step(events, dt_ms):
    before = Events(*arrays(events))
    merged = binarise(events, dt_ms, N_CHANNELS)
    same(events, before)
    check_whole(merged, len(events))
    for i in range(len(events)):
        times, channels = events.sample(i)
        steps = np.floor(times / np.float32(dt_ms)).astype(int)
        got = np.rint(merged.sample(i)[0] / dt_ms).astype(int)
        assert len(got) == len(set(zip(steps, channels, strict=True)))
        assert set(zip(got, merged.sample(i)[1], strict=True)) == set(
            zip(steps, channels, strict=True)
        )


def test_presentation_follows_the_settings():
    config = Config(
        data=DataConfig(trial_ms=50.0),
        present=PresentConfig(delay_copies=2, delay_step_ms=30.0, binarise=True),
        dt_ms=2.0,
    )
    presentation = config.presentation(3)
    assert presentation.n_inputs == 9
    shown = presentation(Events.of([(np.array([4.5, 5.0, 25.0]), np.array([1, 1, 2]))]))
    assert shown.times_ms.tolist() == [4, 24, 34]  # 54 and all of the last copy come too late
    assert shown.channels.tolist() == [1, 2, 4]
