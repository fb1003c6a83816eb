"""The training batches of an epoch: shuffled and augmented while the engine trains."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shd_genn.present import augment
from shd_genn.present.settings import AugmentConfig
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events

Batch = tuple[Events, NDArray[np.int32]]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Batching:
    """How training batches are made.

    Attributes:
        augment: Settings of the augmentation.
        batch_size: Samples in a batch; the last batch of an epoch may have fewer.
        trial_ms: Length of a trial in ms; blends are made of spikes before its end.
        seed: The run's seed.
    """

    augment: AugmentConfig
    batch_size: int
    trial_ms: float
    seed: int


def count_batches(batching: Batching, dataset: SpikeDataset) -> int:
    """Number of batches in an epoch."""
    n_samples = len(dataset) + _count_blends(batching, dataset)
    return -(-n_samples // batching.batch_size)


def batches(batching: Batching, dataset: SpikeDataset, epoch: int) -> Iterator[Batch]:
    """The training batches of an epoch: shuffled, augmented, and turned into the network's input.

    They depend only on the seed and the epoch, so that a resumed run has the same batches.
    """
    rng = np.random.default_rng([batching.seed, epoch, *b"batches"])
    pairs = augment.blend_pairs(dataset.labels, _count_blends(batching, dataset), rng)
    order = rng.permutation(len(dataset) + len(pairs))
    # of their own, so that a run without versions draws the same batches as ever
    of_versions = np.random.default_rng([batching.seed, epoch, *b"versions"])
    versions = of_versions.integers(0, 1 + len(dataset.variants), len(dataset))
    counts = dataset.events.counts
    fewest = int(counts[counts > 0].min(initial=counts.max(initial=0)))
    for begin in range(0, len(order), batching.batch_size):
        chosen = order[begin : begin + batching.batch_size]
        recorded = chosen[chosen < len(dataset)]
        blended = pairs[chosen[chosen >= len(dataset)] - len(dataset)]
        events = dataset.drawn(recorded, versions[recorded])
        if len(blended):
            one, other = (
                augment.crop(dataset.drawn(pair, versions[pair]), batching.trial_ms)
                for pair in blended.T
            )
            keep = batching.augment.blend_keep
            new = augment.blend(one, other, keep, dataset.n_channels, rng)
            events = events.followed_by(new)
        events = augmented(events, batching.augment, dataset.n_channels, fewest, rng)
        if dataset.presentation is not None:
            events = dataset.presentation(events)
        yield events, dataset.labels[np.concatenate([recorded, blended[:, 0]])]


def augmented(
    events: Events,
    config: AugmentConfig,
    n_channels: int,
    fewest_spikes: int,
    rng: np.random.Generator,
) -> Events:
    """Apply all augmentations except blends, in the order of the settings.

    Args:
        events: The samples.
        config: Settings of the augmentation.
        n_channels: Number of channels.
        fewest_spikes: Number of spikes to which ``normalise_spikes`` thins samples.
        rng: Random generator.
    """
    if config.dilation > 1:
        events = augment.dilate(events, config.dilation, rng)
    if config.shift_channels:
        events = augment.shift_channels(events, config.shift_channels, n_channels, rng)
    if config.jitter_channels:
        events = augment.jitter_channels(events, config.jitter_channels, n_channels, rng)
    if config.dropout:
        events = augment.drop_spikes(events, config.dropout, rng)
    if config.normalise_spikes:
        events = augment.thin(events, fewest_spikes, rng)
    return events


def _count_blends(batching: Batching, dataset: SpikeDataset) -> int:
    return round(batching.augment.blend * len(dataset))


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; a second thread makes the next item while the caller uses the last one."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
