"""A labelled spike dataset in memory, and its division into training, validation and test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shd_genn.spikes.events import Events, EventSource

Presentation = Callable[[Events], Events]
"""From recorded spikes to those that the input neurons emit; see `shd_genn.present`."""


@dataclass(frozen=True)
class SpikeDataset:
    """Labelled spike trains.

    Attributes:
        name: Its name in every result, e.g. ``shd`` or ``spoken-digits``.
        events: The spikes, times in ms; those of a large file stay there.
        labels: int32, (n_samples,): class of each sample, 0 .. n_classes - 1.
        speakers: int32, (n_samples,): index of who spoke; -1 where it is not known.
        n_channels: Number of input channels (700 for the cochlea).
        class_names: The word of each class.
        speaker_names: The name of each speaker index; empty where none are known.
        code: How sound became spikes: ``cochlea`` (as SHD), ``rate``, ``latency``,
            ``filterbank``.
        variants: Other versions of the samples, which training draws from besides the samples
            themselves; each has as many samples in the same order.
        presentation: How its spikes are presented to a network; None: as they are recorded.
    """

    name: str
    events: EventSource
    labels: NDArray[np.int32]
    speakers: NDArray[np.int32]
    n_channels: int
    class_names: tuple[str, ...]
    speaker_names: tuple[str, ...] = ()
    code: str = "cochlea"
    variants: tuple[EventSource, ...] = ()
    presentation: Presentation | None = None

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def presented(self, indices: NDArray[np.integer]) -> Events:
        """The spikes that the input neurons emit for the given samples."""
        events = self.events.take(indices)
        return events if self.presentation is None else self.presentation(events)

    def subset(self, indices: NDArray[np.integer]) -> SpikeDataset:
        """A dataset of the given samples, in the given order."""
        return replace(
            self,
            events=self.events.select(indices),
            labels=self.labels[indices],
            speakers=self.speakers[indices],
            variants=tuple(events.select(indices) for events in self.variants),
        )

    def drawn(self, indices: NDArray[np.integer], versions: NDArray[np.integer]) -> Events:
        """The spikes of the given samples, each in the given version; 0 is the sample itself."""
        if not self.variants:
            return self.events.take(indices)
        all_versions = (self.events, *self.variants)
        return Events.join(
            [all_versions[version].sample(i) for i, version in zip(indices, versions, strict=True)]
        )


@dataclass(frozen=True)
class Splits:
    """Training, validation and test samples of a run.

    Attributes:
        train: The weights are learned from these samples.
        valid: Settings and epochs are chosen by these samples; None if there are none.
        test: The chosen epoch is tested on these samples, once, at the end; None if there are none.
    """

    train: SpikeDataset
    valid: SpikeDataset | None
    test: SpikeDataset | None

    def presented_by(self, presentation: Presentation) -> Splits:
        """The same samples, presented in the given way."""

        def presented(part: SpikeDataset | None) -> SpikeDataset | None:
            return None if part is None else replace(part, presentation=presentation)

        return Splits(
            replace(self.train, presentation=presentation),
            presented(self.valid),
            presented(self.test),
        )
