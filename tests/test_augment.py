"""Changes to training samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shd_genn.augment import shift_channels
from shd_genn.events import Events

N_CHANNELS = 700


@st.composite
def batches(draw):
    """Samples of random spikes, some of them empty."""
    counts = draw(st.lists(st.integers(0, 40), min_size=0, max_size=8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return Events.of([(rng.uniform(0, 1000, n), rng.integers(0, N_CHANNELS, n)) for n in counts])


def arrays(events):
    return [events.times_ms.copy(), events.channels.copy(), events.offsets.copy()]


@given(events=batches(), max_shift=st.floats(0, 2000), seed=st.integers(0, 2**32))
def test_each_sample_is_shifted_as_a_whole(events, max_shift, seed):
    before = arrays(events)
    shifted = shift_channels(events, max_shift, N_CHANNELS, np.random.default_rng(seed))
    for one, other in zip(before, arrays(events), strict=True):
        np.testing.assert_array_equal(one, other)  # the input stays as it is
    assert [a.dtype for a in arrays(shifted)] == [np.float32, np.uint16, np.int64]
    assert len(shifted) == len(events)
    assert shifted.offsets[0] == 0 and shifted.offsets[-1] == len(shifted.times_ms)

    shifts = np.random.default_rng(seed).uniform(-max_shift, max_shift, len(events))
    for i, shift in enumerate(shifts):
        times, channels = events.sample(i)
        wanted = channels.astype(int) + int(shift)  # int() goes towards 0, as in genn_eventprop
        kept = (wanted >= 0) & (wanted < N_CHANNELS)
        np.testing.assert_array_equal(shifted.sample(i)[0], times[kept])
        np.testing.assert_array_equal(shifted.sample(i)[1], wanted[kept])

    again = shift_channels(events, max_shift, N_CHANNELS, np.random.default_rng(seed))
    for one, other in zip(arrays(shifted), arrays(again), strict=True):
        np.testing.assert_array_equal(one, other)


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
