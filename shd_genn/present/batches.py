"""The training batches of an epoch: shuffled, augmented, and made while the engine trains."""

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
        augment: What is done to the samples.
        batch_size: Samples of a batch; what is left over at an epoch's end makes a smaller one.
        trial_ms: Length of a trial in ms; blends are made of what comes before its end.
        seed: The run's seed.
    """

    augment: AugmentConfig
    batch_size: int
    trial_ms: float
    seed: int


def count_batches(batching: Batching, dataset: SpikeDataset) -> int:
    """Batches of an epoch."""
    n_samples = len(dataset) + _count_blends(batching, dataset)
    return -(-n_samples // batching.batch_size)


def batches(batching: Batching, dataset: SpikeDataset, epoch: int) -> Iterator[Batch]:
    """The training batches of an epoch, shuffled, augmented, as they are presented.

    They depend on the seed and the epoch alone, so that a resumed run sees the same ones.
    """
    rng = np.random.default_rng([batching.seed, epoch, *b"batches"])
    pairs = augment.blend_pairs(dataset.labels, _count_blends(batching, dataset), rng)
    order = rng.permutation(len(dataset) + len(pairs))
    counts = dataset.events.counts
    fewest = int(counts[counts > 0].min(initial=counts.max(initial=0)))
    for begin in range(0, len(order), batching.batch_size):
        chosen = order[begin : begin + batching.batch_size]
        recorded = chosen[chosen < len(dataset)]
        blended = pairs[chosen[chosen >= len(dataset)] - len(dataset)]
        events = dataset.events.take(recorded)
        if len(blended):
            one, other = (
                augment.crop(dataset.events.take(pair), batching.trial_ms) for pair in blended.T
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
    """Apply what the settings name, in their order; blends are made before.

    Args:
        events: The samples.
        config: What is applied, and how strongly.
        n_channels: Channels there are.
        fewest_spikes: What ``normalise_spikes`` thins to.
        rng: Draws everything.
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
    """The same items, each made in another thread while the one before is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
