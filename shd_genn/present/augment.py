"""Augmentation: functions that make changed copies of training samples.

They do not change their arguments. Their results are sorted by time within each sample, have
channels within the range, and no negative times. Sources: `genn_eventprop` (the code of Nowotny,
Turner & Knight 2025) and Cramer et al. (2020).
"""

from __future__ import annotations

import itertools
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
    """Draw pairs of samples to blend: the class of a random sample, then two samples of the class.

    Args:
        labels: Classes, (n_samples,).
        n_blends: Number of pairs.
        rng: Random generator; samples are drawn with replacement.

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

    Both samples of a pair are moved to the average of their mean channels and mean times, by whole
    channels and whole ms (rounded towards 0, as in `genn_eventprop`). Spikes that leave the range
    are dropped. Crop spikes after the trial before: otherwise they count in the means, or move into
    the trial.

    Args:
        one: First samples of the pairs.
        other: Second samples of the pairs.
        keep: Probability that a spike is kept.
        n_channels: Number of channels.
        rng: Random generator.

    Returns:
        A new sample for each pair.
    """
    means = [(_means(e, e.channels), _means(e, e.times_ms), e.counts > 0) for e in (one, other)]
    both = means[0][2] & means[1][2]  # an empty sample has no mean to align to
    parts = []
    for events, mine, its in ((one, means[0], means[1]), (other, means[1], means[0])):
        shift, delay = (
            np.trunc(np.where(both, (it - me) / 2, 0))
            for me, it in zip(mine[:2], its[:2], strict=True)
        )
        channels = events.channels + np.repeat(shift.astype(np.int32), events.counts)
        times_ms = events.times_ms + np.repeat(delay.astype(np.float32), events.counts)
        kept = (channels.view(np.uint32) < n_channels) & (times_ms >= 0)
        kept &= rng.random(len(kept)) < keep
        moved = Events(times_ms, channels.astype(np.uint16), events.offsets)
        parts.append(_only(moved, kept))
    return Events.join([_merged(*pair) for pair in zip(*map(_each, parts), strict=True)])


def crop(events: Events, end_ms: float) -> Events:
    """Drop spikes at or after a time.

    Args:
        events: The samples.
        end_ms: The time in ms.
    """
    return _only(events, events.times_ms < end_ms)


def dilate(events: Events, largest: float, rng: np.random.Generator) -> Events:
    """Stretch each sample's time by a factor between 1/largest and largest, log-uniform.

    Args:
        events: The samples.
        largest: Largest factor, at least 1.
        rng: Random generator.
    """
    bound = math.log(largest)
    factors = np.exp(rng.uniform(-bound, bound, len(events))).astype(np.float32)
    return Events(
        events.times_ms * np.repeat(factors, events.counts), events.channels, events.offsets
    )


def shift_channels(
    events: Events, max_shift: float, n_channels: int, rng: np.random.Generator
) -> Events:
    """Shift each sample by a random number of channels; spikes that leave the range are dropped.

    The shift is U(-max_shift, max_shift), rounded towards 0 (Nowotny, Turner & Knight 2025).

    Args:
        events: The samples.
        max_shift: Largest shift in channels.
        n_channels: Number of channels.
        rng: Random generator.
    """
    shifts = np.trunc(rng.uniform(-max_shift, max_shift, len(events))).astype(np.int32)
    return _moved(events, np.repeat(shifts, events.counts), n_channels)


def jitter_channels(events: Events, sd: float, n_channels: int, rng: np.random.Generator) -> Events:
    """Shift each spike by a normally distributed number of channels, rounded.

    Spikes that leave the range are dropped. Source: Cramer et al. (2020); ``ID_jitter`` of
    `genn_eventprop`.

    Args:
        events: The samples.
        sd: Standard deviation in channels.
        n_channels: Number of channels.
        rng: Random generator.
    """
    shifts = np.rint(rng.normal(0, sd, len(events.channels))).astype(np.int32)
    return _moved(events, shifts, n_channels)


def drop_spikes(events: Events, probability: float, rng: np.random.Generator) -> Events:
    """Drop each spike with a probability.

    Args:
        events: The samples.
        probability: Probability that a spike is dropped, 0 to 1.
        rng: Random generator.
    """
    return _only(events, rng.random(len(events.times_ms)) >= probability)


def thin(events: Events, n_spikes: int, rng: np.random.Generator) -> Events:
    """Drop random spikes of each sample, so that ``n_spikes`` remain on average.

    Each spike of a sample with n spikes is kept with probability n_spikes / n; a sample with fewer
    spikes does not change. Source: ``NORMALISE_SPIKE_NUMBER`` of `genn_eventprop`.

    Args:
        events: The samples.
        n_spikes: Mean number of spikes that remain.
        rng: Random generator.
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


def _means(events: Events, values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Mean of a value over the spikes of each sample; 0 for an empty sample."""
    sums, ends = np.zeros(len(events)), events.offsets.tolist()
    for i in np.flatnonzero(events.counts):
        # one after the other, which NumPy's sum is not: a run has the same bits as ever
        sums[i] = np.cumsum(values[ends[i] : ends[i + 1]], dtype=np.float64)[-1]
    means: NDArray[np.float64] = sums / np.maximum(events.counts, 1)
    return means


def _moved(events: Events, shifts: NDArray[np.int32], n_channels: int) -> Events:
    """Shift each spike by a number of channels; drop spikes that leave the range."""
    channels = events.channels + shifts
    kept = channels.view(np.uint32) < n_channels  # channels below 0 are large numbers there
    # channels of dropped spikes may overflow, which does no harm
    return _only(Events(events.times_ms, channels.astype(np.uint16), events.offsets), kept)


def _only(events: Events, kept: NDArray[np.bool_]) -> Events:
    """The spikes that are kept, in the same samples."""
    ends = events.offsets.tolist()
    counts = [np.count_nonzero(kept[a:b]) for a, b in itertools.pairwise(ends)]
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    # with a mask that is true nearly everywhere NumPy is faster than with indices, else far slower
    some = kept if offsets[-1] > 0.95 * len(kept) else np.flatnonzero(kept)
    return Events(events.times_ms[some], events.channels[some], offsets)
