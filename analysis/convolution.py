"""What the spikes allow: a convolutional network on the same spikes, with the same augmentation.

It sees spikes counted in bins of some ms and channels. It tells whether a spiking network's errors
are its own, or lie in the spikes and in the number of speakers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray
from torch import nn

from shd_genn.datasets.load import load_split
from shd_genn.datasets.split import speaker_name, split_speaker
from shd_genn.present.batches import Batching, batches
from shd_genn.present.settings import AugmentConfig
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.support.cli import command, parse


@dataclass(frozen=True)
class Options:
    """The dataset, how its spikes are counted, and how the network learns."""

    dataset: tyro.conf.Positional[str]
    """shd, ssc, or a folder that holds train.h5 and test.h5 in SHD's layout."""
    validation_speaker: str | None = None
    """Training speakers, separated by commas, who are left out and tested in place of the test
    set."""
    trial_ms: Annotated[float, Gt(0)] = 1000.0
    """Length of a trial in ms; later spikes are left out."""
    bin_ms: Annotated[float, Gt(0)] = 20.0
    """Length of a bin in ms."""
    bin_channels: Annotated[int, Gt(0)] = 5
    """Channels of a bin."""
    shift_channels: Annotated[float, Ge(0)] = 40.0
    """Largest random shift of a training sample, in channels."""
    dilation: Annotated[float, Ge(1)] = 1.25
    """Largest random factor of a training sample's time."""
    shift_ms: Annotated[float, Ge(0)] = 0.0
    """Largest random delay of a training sample, in ms."""
    mask: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Longest part of a training sample's channels, and of its time, that is silenced."""
    widths: tuple[int, ...] = (24, 48, 96, 128)
    """Feature maps of each convolution; each halves channels and time."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.4
    """Probability that a feature is left out before the classifier."""
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.1
    """Part of the target that is spread over all words."""
    epochs: Annotated[int, Gt(0)] = 40
    """Passes through the training set."""
    batch_size: Annotated[int, Gt(0)] = 32
    """Samples in a batch."""
    learning_rate: Annotated[float, Gt(0)] = 3e-3
    """Largest step of AdamW; it rises and falls over the epochs (one cycle)."""
    seed: int = 0
    """Seed of weights, batches and augmentation."""
    n_threads: Annotated[int, Gt(0)] = 1
    """Threads of torch."""
    average_decay: Annotated[float, Ge(0), Lt(1)] = 0.998
    """The tested weights are their exponential moving average over batches, with this decay."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A .npz file for the probabilities of all tested samples."""


def divided(options: Options) -> tuple[SpikeDataset, SpikeDataset]:
    """The samples to learn from, and those to test on."""
    train = load_split(options.dataset, "train")
    if options.validation_speaker is None:
        return train, load_split(options.dataset, "test")
    return split_speaker(train, options.validation_speaker)


def binned(events: Events, n_channels: int, options: Options) -> torch.Tensor:
    """log(1 + spikes) of each bin, (samples, 1, channels, times), float32."""
    n_bins = -(-n_channels // options.bin_channels)
    n_times = int(np.ceil(options.trial_ms / options.bin_ms))
    times = (events.times_ms / np.float32(options.bin_ms)).astype(np.int64)
    inside = times < n_times
    samples = np.repeat(np.arange(len(events)), events.counts)
    place = (samples * n_bins + events.channels // options.bin_channels) * n_times + times
    counts = np.bincount(place[inside], minlength=len(events) * n_bins * n_times)
    shape = (len(events), 1, n_bins, n_times)
    return torch.from_numpy(np.log1p(counts).astype(np.float32).reshape(shape))


def convolutional(options: Options, n_channels: int, n_classes: int) -> nn.Module:
    """Convolutions that halve channels and time, the mean over time, and a classifier.

    It turns counts, (samples, 1, channels, times), into one number for each word, (samples, words).
    """
    n_bands = -(-n_channels // options.bin_channels)
    layers: list[nn.Module] = [nn.BatchNorm2d(1)]
    for before, after in zip((1, *options.widths), options.widths, strict=False):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(after), nn.ReLU()]
        n_bands = (n_bands + 1) // 2
    layers += [nn.AdaptiveAvgPool2d((n_bands, 1)), nn.Flatten(), nn.Dropout(options.dropout)]
    return nn.Sequential(*layers, nn.Linear(options.widths[-1] * n_bands, n_classes))


def augmented_batches(
    train: SpikeDataset, options: Options, epoch: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The training batches of an epoch, as a spiking network receives them, in bins."""
    augment = AugmentConfig(dilation=options.dilation, shift_channels=options.shift_channels)
    batching = Batching(augment, options.batch_size, options.trial_ms, options.seed)
    rng = np.random.default_rng([options.seed, epoch])
    for events, labels in batches(batching, train, epoch):
        delays = rng.uniform(-options.shift_ms, options.shift_ms, len(events))
        moved = events.times_ms + np.repeat(delays, events.counts).astype(np.float32)
        moved = np.where(moved < 0, np.float32(2 * options.trial_ms), moved)
        counts = binned(Events(moved, events.channels, events.offsets), train.n_channels, options)
        for axis in (1, 2):
            for sample in counts if options.mask else ():
                size = sample.shape[axis]
                width = int(rng.uniform(0, options.mask) * size)
                sample.narrow(axis, int(rng.integers(0, size - width + 1)), width).zero_()
        yield counts, torch.from_numpy(labels.astype(np.int64))


def probabilities(
    network: nn.Module, samples: SpikeDataset, options: Options
) -> NDArray[np.float32]:
    """Probabilities of all words, (samples, words)."""
    network.eval()
    parts = []
    with torch.no_grad():
        for begin in range(0, len(samples), 100):
            events = samples.events.take(np.arange(begin, min(begin + 100, len(samples))))
            logits = network(binned(events, samples.n_channels, options))
            parts.append(torch.softmax(logits, 1).numpy())
    network.train()
    return np.concatenate(parts)


def learn(train: SpikeDataset, tested: SpikeDataset, options: Options) -> NDArray[np.float32]:
    """Train a network, and return what it answers to the tested samples after the last epoch."""
    torch.manual_seed(options.seed)
    network = convolutional(options, train.n_channels, train.n_classes)
    average = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(options.average_decay),
        use_buffers=True,
    )
    optimiser = torch.optim.AdamW(network.parameters(), options.learning_rate, weight_decay=0.05)
    n_batches = -(-len(train) // options.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.learning_rate, epochs=options.epochs, steps_per_epoch=n_batches
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
    for epoch in range(1, options.epochs + 1):
        right = 0
        for counts, labels in augmented_batches(train, options, epoch):
            logits = network(counts)
            optimiser.zero_grad()
            loss_of(logits, labels).backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            right += int((logits.argmax(1) == labels).sum())
        line = f"epoch {epoch}: training {right / len(train):.1%}"
        if options.validation_speaker and epoch % 5 == 0:  # the test set is seen once, at the end
            answers = probabilities(average, tested, options)
            line += f", left-out speakers {np.mean(answers.argmax(1) == tested.labels):.1%}"
        print(line, flush=True)
    return probabilities(average, tested, options)


def main() -> None:
    """Train and test as the command line says; print the accuracy of each speaker."""
    options = parse(Options, prog="python analysis/convolution.py", description=__doc__)
    torch.set_num_threads(options.n_threads)
    train, tested = divided(options)
    answers = learn(train, tested, options)
    right = answers.argmax(1) == tested.labels
    for index in np.unique(tested.speakers):
        mine = tested.speakers == index
        print(f"{speaker_name(tested, int(index))}: {right[mine].mean():.1%} of {mine.sum()}")
    print(f"all: {right.mean():.1%} of {len(right)}")
    if options.output is not None:
        np.savez(options.output, probabilities=answers, labels=tested.labels)


if __name__ == "__main__":
    command(main)
