"""Changes to training samples: pure functions of (events, …, rng).

What is given stays as it is; what comes back is sorted by time within each sample, its channels
are in range and its times not negative. Sources: `genn_eventprop` (the code of Nowotny, Turner &
Knight 2025) and Cramer et al. (2020).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from shd_genn.spikes.events import Events

Sample = tuple[NDArray[np.float32], NDArray[np.uint16]]
"""Times in ms and channels of one sample's spikes."""


def blend_pairs(
    labels: NDArray[np.integer], n_blends: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose which samples are blended: the class of a random sample, then two samples of it.

    Args:
        labels: (n_samples,): classes.
        n_blends: Number of pairs.
        rng: Draws them, with replacement.

    Returns:
        int64, (n_blends, 2): indices of samples of one class.
    """
    by_class = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    first = np.cumsum(sizes) - sizes
    chosen = labels[rng.integers(0, len(labels), n_blends)]
    within = np.floor(rng.random((n_blends, 2)) * sizes[chosen, np.newaxis]).astype(np.int64)
    pairs: NDArray[np.int64] = by_class[first[chosen, np.newaxis] + within]
    return pairs


def blend(
    one: Events, other: Events, keep: float, n_channels: int, rng: np.random.Generator
) -> Events:
    """Blend samples in pairs: align their means, and keep each spike of both with a probability.

    Both are moved by whole channels and whole ms (towards 0, as in `genn_eventprop`) to the mean
    of their mean channels and mean times; what leaves the range is dropped. What no trial would
    show should be cropped before, lest it counts in the means or moves into the trial.

    Args:
        one: Samples.
        other: As many.
        keep: Probability that a spike is kept.
        n_channels: Channels there are.
        rng: Draws one number a spike.

    Returns:
        As many new samples.
    """
    means = [(_means(e, e.channels), _means(e, e.times_ms), e.counts > 0) for e in (one, other)]
    both = means[0][2] & means[1][2]  # an empty sample has no mean to align to
    parts = []
    for events, mine, its in ((one, means[0], means[1]), (other, means[1], means[0])):
        shift, delay = (
            np.trunc(np.where(both, (it - me) / 2, 0))
            for me, it in zip(mine[:2], its[:2], strict=True)
        )
        channels = events.channels + np.repeat(shift.astype(np.int64), events.counts)
        times_ms = events.times_ms + np.repeat(delay.astype(np.float32), events.counts)
        kept = (channels >= 0) & (channels < n_channels) & (times_ms >= 0)
        kept &= rng.random(len(kept)) < keep
        moved = Events(times_ms, channels.astype(np.uint16), events.offsets)
        parts.append(_only(moved, kept))
    return Events.join([_merged(*pair) for pair in zip(*map(_each, parts), strict=True)])


def crop(events: Events, end_ms: float) -> Events:
    """Leave out what comes at a time or later.

    Args:
        events: The samples.
        end_ms: The time in ms.
    """
    return _only(events, events.times_ms < end_ms)


def dilate(events: Events, largest: float, rng: np.random.Generator) -> Events:
    """Stretch each sample's time by a factor between 1/largest and largest, log-uniform.

    Args:
        events: The samples.
        largest: 1 or more.
        rng: Draws one number a sample.
    """
    bound = math.log(largest)
    factors = np.exp(rng.uniform(-bound, bound, len(events))).astype(np.float32)
    return Events(
        events.times_ms * np.repeat(factors, events.counts), events.channels, events.offsets
    )


def shift_channels(
    events: Events, max_shift: float, n_channels: int, rng: np.random.Generator
) -> Events:
    """Shift each sample by a random number of channels; what leaves the range is dropped.

    Nowotny, Turner & Knight (2025): the whole number, towards 0, of U(-max_shift, max_shift).

    Args:
        events: The samples.
        max_shift: Channels.
        n_channels: Channels there are.
        rng: Draws one number a sample.
    """
    shifts = np.trunc(rng.uniform(-max_shift, max_shift, len(events))).astype(np.int32)
    return _moved(events, np.repeat(shifts, events.counts), n_channels)


def jitter_channels(events: Events, sd: float, n_channels: int, rng: np.random.Generator) -> Events:
    """Shift each spike by a normally distributed number of channels, rounded.

    Cramer et al. (2020); ``ID_jitter`` of `genn_eventprop`. What leaves the range is dropped.

    Args:
        events: The samples.
        sd: Standard deviation in channels.
        n_channels: Channels there are.
        rng: Draws one number a spike.
    """
    shifts = np.rint(rng.normal(0, sd, len(events.channels))).astype(np.int32)
    return _moved(events, shifts, n_channels)


def drop_spikes(events: Events, probability: float, rng: np.random.Generator) -> Events:
    """Leave out each spike with a probability.

    Args:
        events: The samples.
        probability: 0 to 1.
        rng: Draws one number a spike.
    """
    return _only(events, rng.random(len(events.times_ms)) >= probability)


def thin(events: Events, n_spikes: int, rng: np.random.Generator) -> Events:
    """Thin each sample at random to so many spikes on average; one with fewer stays whole.

    ``NORMALISE_SPIKE_NUMBER`` of `genn_eventprop`: each spike of a sample of n is kept with
    probability n_spikes / n.

    Args:
        events: The samples.
        n_spikes: Spikes that are to remain of each.
        rng: Draws one number a spike.
    """
    keep = np.repeat(n_spikes / np.maximum(events.counts, 1), events.counts)
    return _only(events, rng.random(len(keep)) < keep)


def _each(events: Events) -> Iterator[Sample]:
    return (events.sample(i) for i in range(len(events)))


def _merged(one: Sample, other: Sample) -> Sample:
    """The spikes of both, sorted by time."""
    times_ms, channels = np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])
    order = np.argsort(times_ms, kind="stable")  # merges the two, which are sorted already
    return times_ms[order], channels[order]


def _samples(events: Events) -> NDArray[np.int64]:
    """The sample of each event."""
    return np.repeat(np.arange(len(events)), events.counts)


def _means(events: Events, values: NDArray[np.generic]) -> NDArray[np.float64]:
    """The mean of a value of events over each sample; 0 for an empty one."""
    sums = np.bincount(_samples(events), weights=values, minlength=len(events))
    means: NDArray[np.float64] = sums / np.maximum(events.counts, 1)
    return means


def _moved(events: Events, shifts: NDArray[np.int32], n_channels: int) -> Events:
    """Add a number of channels to each event; drop what leaves the range."""
    channels = events.channels + shifts
    kept = (channels >= 0) & (channels < n_channels)
    # those that are not kept may wrap round
    return _only(Events(events.times_ms, channels.astype(np.uint16), events.offsets), kept)


def _only(events: Events, kept: NDArray[np.bool_]) -> Events:
    """The events that are kept, of the same samples."""
    kept_before = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(kept, out=kept_before[1:])
    return Events(events.times_ms[kept], events.channels[kept], kept_before[events.offsets])
