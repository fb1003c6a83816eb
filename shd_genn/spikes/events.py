"""Spike trains of many samples as three flat arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shd_genn.support.errors import DataError, refuse_unless


class EventSource(Protocol):
    """The spikes of a number of samples, in memory (`Events`) or in a file (`StoredEvents`)."""

    def __len__(self) -> int:
        """The number of samples."""
        ...

    @property
    def counts(self) -> NDArray[np.int64]:
        """Spikes per sample, int64, (n_samples,)."""
        ...

    def sample(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """Times (ms) and channels of one sample."""
        ...

    def take(self, indices: NDArray[np.integer]) -> Events:
        """The given samples, in the given order, in memory."""
        ...

    def select(self, indices: NDArray[np.integer]) -> EventSource:
        """The given samples, in the given order; those of a file stay there."""
        ...

    def blocks(self) -> Iterator[Events]:
        """All samples in their order, some at a time, so that memory stays bounded."""
        ...


@dataclass(frozen=True)
class Events:
    """The spikes of a number of samples, one sample after the other.

    Attributes:
        times_ms: float32, (n_events,): spike times in ms from the start of their sample, sorted
            within each sample.
        channels: uint16, (n_events,): the neuron that spiked.
        offsets: int64, (n_samples + 1,): sample ``i`` owns events ``offsets[i]:offsets[i + 1]``.
    """

    times_ms: NDArray[np.float32]
    channels: NDArray[np.uint16]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check that the arrays belong together; kernels rely on it.

        Raises:
            DataError: if they do not.
        """
        ends = self.offsets
        fits = len(ends) > 0 and ends[0] == 0 and bool((ends[1:] >= ends[:-1]).all())
        refuse_unless(
            fits and ends[-1] == len(self.times_ms) == len(self.channels),
            f"offsets must ascend from 0 to the number of spikes, but end at "
            f"{ends[-1] if len(ends) else 'nothing'} with {len(self.times_ms)} times and "
            f"{len(self.channels)} channels",
            "make events with Events.of",
            DataError,
        )

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Spikes per sample, int64, (n_samples,)."""
        return np.diff(self.offsets)

    def sample(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """Times (ms) and channels of one sample, as views."""
        part = slice(self.offsets[index], self.offsets[index + 1])
        return self.times_ms[part], self.channels[part]

    def take(self, indices: NDArray[np.integer]) -> Events:
        """A copy that holds the given samples, in the given order."""
        return Events.join([self.sample(int(i)) for i in indices])

    def select(self, indices: NDArray[np.integer]) -> Events:
        """The same as `take`: these samples are in memory."""
        return self.take(indices)

    def blocks(self) -> Iterator[Events]:
        """All samples at once: they are in memory."""
        yield self

    def followed_by(self, others: Events) -> Events:
        """These samples, then the others."""
        return Events(
            np.concatenate([self.times_ms, others.times_ms]),
            np.concatenate([self.channels, others.channels]),
            np.concatenate([self.offsets, self.offsets[-1] + others.offsets[1:]]),
        )

    @staticmethod
    def join(samples: Sequence[tuple[NDArray[np.float32], NDArray[np.uint16]]]) -> Events:
        """Gather (times_ms, channels) pairs, one a sample, that are sorted already."""
        offsets = np.zeros(len(samples) + 1, np.int64)
        np.cumsum([len(times) for times, _ in samples], out=offsets[1:])
        return Events(
            np.concatenate([np.empty(0, np.float32), *(times for times, _ in samples)]),
            np.concatenate([np.empty(0, np.uint16), *(channels for _, channels in samples)]),
            offsets,
        )

    @staticmethod
    def of(samples: Sequence[tuple[NDArray[np.floating], NDArray[np.integer]]]) -> Events:
        """Gather (times_ms, channels) pairs, one a sample; each is sorted by time, then channel."""
        offsets = np.zeros(len(samples) + 1, np.int64)
        np.cumsum([len(times) for times, _ in samples], out=offsets[1:])
        times_ms = np.empty(offsets[-1], np.float32)
        channels = np.empty(offsets[-1], np.uint16)
        for start, stop, (times, ids) in zip(offsets[:-1], offsets[1:], samples, strict=True):
            order = np.lexsort((ids, times))
            times_ms[start:stop] = np.asarray(times)[order]
            channels[start:stop] = np.asarray(ids)[order]
        return Events(times_ms, channels, offsets)
