"""Samples as flat arrays: evidence that each keeps its own spikes, sorted, however it is taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shd_genn.spikes.events import Events

# few times and channels, so that there are ties
SPIKES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)
SAMPLES = st.lists(SPIKES, max_size=6)


def gather(samples):
    pairs = [np.array(spikes, int).reshape(-1, 2) for spikes in samples]
    return Events.of([(pair[:, 0] / 2, pair[:, 1]) for pair in pairs])


def spikes_of(events, index):
    times_ms, channels = events.sample(index)
    return [(int(2 * t), int(c)) for t, c in zip(times_ms, channels, strict=True)]


@given(samples=SAMPLES)
def test_each_sample_has_its_own_spikes_sorted_by_time_then_channel(samples):
    events = gather(samples)
    assert len(events) == len(samples)
    assert events.counts.tolist() == [len(spikes) for spikes in samples]
    assert [spikes_of(events, i) for i in range(len(events))] == [sorted(s) for s in samples]
    kinds = [a.dtype for a in (events.times_ms, events.channels, events.offsets)]
    assert kinds == [np.float32, np.uint16, np.int64]
    assert events.offsets[0] == 0 and events.offsets[-1] == len(events.times_ms)


@given(samples=SAMPLES, data=st.data())
def test_take_in_any_order_with_repeats(samples, data):
    events = gather(samples)
    numbers = st.integers(0, len(samples) - 1)
    indices = data.draw(st.lists(numbers, max_size=8)) if samples else []
    taken = events.take(np.array(indices, np.int64))
    assert [spikes_of(taken, i) for i in range(len(taken))] == [sorted(samples[i]) for i in indices]
    assert taken.offsets[0] == 0 and taken.offsets[-1] == len(taken.channels)
    kinds = [a.dtype for a in (taken.times_ms, taken.channels, taken.offsets)]
    assert kinds == [np.float32, np.uint16, np.int64]


def test_what_is_taken_is_a_copy():
    events = gather([[(1, 2)], [(3, 4)]])
    taken = events.take(np.array([1]))
    taken.times_ms[:], taken.channels[:] = 0, 0
    assert spikes_of(events, 1) == [(3, 4)]


def test_a_sample_is_a_view():
    events = gather([[(1, 2)], [(3, 4)]])
    for part in events.sample(1):
        assert np.shares_memory(part, events.times_ms) or np.shares_memory(part, events.channels)


def test_no_samples():
    events = Events.of([])
    assert len(events) == 0 and events.counts.tolist() == [] and events.offsets.tolist() == [0]


def test_the_arrays_given_stay_as_they_are():
    times_ms, channels = np.array([2.0, 1.0]), np.array([5, 6])
    Events.of([(times_ms, channels)])
    assert times_ms.tolist() == [2, 1] and channels.tolist() == [5, 6]


def test_as_many_times_as_channels():
    with pytest.raises(ValueError, match="same"):
        Events.of([(np.array([1.0, 2.0]), np.array([1]))])
