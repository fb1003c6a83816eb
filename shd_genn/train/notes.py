"""Notes: what should be known because training or evaluation cannot go well, and the cure.

A note stops nothing and never appears where all is usual. Notes are printed on stderr, and kept in
``summary.json``. Each function returns the notes that apply.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from shd_genn.config import Config
from shd_genn.learning.methods import STDP, Conversion
from shd_genn.network import Network
from shd_genn.network.settings import VoltageReadout
from shd_genn.record.rows import EpochRow
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events, EventSource
from shd_genn.support.errors import ConfigError
from shd_genn.train.prepare import Experiment

Notes = tuple[str, ...]

LATE_PART = 0.1
"""So large a part of the spikes after the trial's end is noted; SHD has 1 % after 1000 ms."""
LOST_PART = 0.2
"""So large a part of the spikes that channel shifts move out of the range is noted."""
EMPTY_PART = 0.1
"""So large a part of samples without spikes is noted."""
EPOCHS_AT_CHANCE = 10
"""After so many epochs at the whole learning rate, accuracy at chance is noted."""
MANY_SPIKES = 2_000_000
"""Channels of so many spikes are enough to estimate what shifts lose."""


def show(notes: Iterable[str]) -> None:
    """Print notes on stderr."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr, flush=True)


def before_training(experiment: Experiment) -> Notes:
    """Where data and settings do not go together."""
    config, train = experiment.config, experiment.train
    trial_ms = config.n_steps * config.dt_ms
    notes = [
        *after_trial(train, trial_ms, "training"),
        *_shift(train, config.augment.shift_channels),
        *_empty(train),
        *_words(train),
    ]
    if experiment.test is not None:
        notes += after_trial(experiment.test.dataset, trial_ms, "test")
        notes += untrained_words(experiment.test.untrained)
    elif config.data.test:
        notes.append(
            f"dataset {train.name} has no test.h5, so no test accuracy will be reported; put "
            "recordings of other speakers or sessions into test.h5 beside train.h5"
        )
    return tuple(notes)


def spikes_after(events: EventSource, trial_ms: float) -> float:
    """The part of the spikes that comes after the trial's end, 0 to 1."""
    late = sum(np.count_nonzero(block.times_ms >= trial_ms) for block in events.blocks())
    return float(late / max(int(events.counts.sum()), 1))


def after_trial(dataset: SpikeDataset, trial_ms: float, what: str) -> Notes:
    """Whether many spikes come after the trial's end, and are not used.

    Args:
        dataset: The samples.
        trial_ms: Length of a trial in ms.
        what: Which samples these are, e.g. ``training``.
    """
    part = spikes_after(dataset.events, trial_ms)
    if part < LATE_PART:
        return ()
    ends = np.concatenate(
        [b.times_ms[b.offsets[1:][b.counts > 0] - 1] for b in dataset.events.blocks()]
    )
    typical = float(np.median(ends))
    text = (
        f"{part:.0%} of the {what} spikes come after the trial's end at {trial_ms:g} ms and are "
        f"not used; half of the samples last {_seconds(typical)} or longer"
    )
    if typical > 50 * trial_ms:
        return (
            f"{text}. Times must be in seconds, as in SHD: divide them by 1000 if they are in ms, "
            "by 1e6 if they are in µs",
        )
    return (f"{text}. Raise trial_ms to {math.ceil(float(np.percentile(ends, 95)) / 100) * 100}",)


def _seconds(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 10_000 else f"{ms / 1000:.3g} s"


def _shift(dataset: SpikeDataset, shift_channels: float) -> Notes:
    """Whether random shifts lose many spikes."""
    if not shift_channels:
        return ()
    n = dataset.n_channels
    every = max(1, int(dataset.events.counts.sum()) // MANY_SPIKES)
    counts = sum(
        (np.bincount(b.channels[::every], minlength=n) for b in dataset.events.blocks()),
        start=np.zeros(n, np.int64),
    )
    if not counts.sum():
        return ()
    cumulated = np.concatenate([[0], np.cumsum(counts)])
    shifts = np.abs(np.trunc(np.linspace(-shift_channels, shift_channels, 401))).astype(int)
    inside = np.maximum(n - shifts, 0)  # a shift up keeps the lowest, one down the highest channels
    kept = (cumulated[inside] + (cumulated[n] - cumulated[n - inside])) / 2
    lost = 1 - float(kept.mean()) / cumulated[n]
    if lost < LOST_PART:
        return ()
    better = round(40 * n / 700)
    if better >= shift_channels:  # the spikes are nearer to the edges than those of the papers
        better = int(shift_channels) // 2
    return (
        f"shift_channels = {shift_channels:g} moves {lost:.0%} of the training spikes out of the "
        f"{n} channels, where they are lost; use shift_channels = {better} (the papers use 40 of "
        "700 channels)",
    )


def _empty(dataset: SpikeDataset) -> Notes:
    empty = int(np.sum(dataset.events.counts == 0))
    if empty < EMPTY_PART * len(dataset):
        return ()
    return (f"{empty} of {len(dataset)} training samples have no spikes; check the recordings",)


def _words(train: SpikeDataset) -> Notes:
    counts = np.bincount(train.labels, minlength=train.n_classes)
    present = [word for word, n in zip(train.class_names, counts, strict=True) if n]
    absent = [word for word, n in zip(train.class_names, counts, strict=True) if not n]
    notes = []
    if len(present) == 1:
        notes.append(
            f"the training samples have only one word, {present[0]}, so that every answer is "
            "right; add recordings of other words"
        )
    if absent:
        notes.append(
            f"there are no training samples of {listed(absent)}, so that the network cannot "
            "learn them; add recordings"
        )
    return tuple(notes)


def untrained_words(untrained: Mapping[str, int]) -> Notes:
    """Whether samples are left out because their words were never trained."""
    if not untrained:
        return ()
    return (
        f"{sum(untrained.values())} samples of {listed(list(untrained))} are left out of the "
        "evaluation, because the network was not trained on these words; add them to train.h5",
    )


def of_network(network: Network, config: Config) -> Notes:
    """Whether a network has more inputs or outputs than the dataset needs.

    Raises:
        ConfigError: if it has fewer.
    """
    notes = []
    of_bins = isinstance(config.train.method, Conversion)  # its inputs are spikes in bins
    for what, units, has, needs, name in (
        ("inputs", "channels", network.input.size, config.model.n_inputs, "n_inputs"),
        ("outputs", "words", network.output.size, config.model.n_classes, "n_classes"),
    ):
        assert needs is not None
        if of_bins and what == "inputs":
            continue
        if has < needs:
            raise ConfigError(
                f"the model has {has} {what}, but the dataset has {needs} {units}; "
                f"make the population as large as config.model.{name}"
            )
        if has > needs:
            notes.append(
                f"the model has {has} {what} for {needs} {units}, so that {has - needs} have no "
                f"use; make the population as large as config.model.{name}"
            )
    return tuple(notes)


def after_epoch(rows: Sequence[EpochRow], n_hidden: int, experiment: Experiment) -> Notes:
    """What shows only during training.

    Args:
        rows: The rows of ``metrics.csv`` so far.
        n_hidden: Hidden neurons of the network.
        experiment: Settings and dataset.
    """
    training = [row for row in rows if row.split == "train"]
    return (*_silent(training, n_hidden, experiment), *_chance(training, experiment))


def _silent(training: Sequence[EpochRow], n_hidden: int, experiment: Experiment) -> Notes:
    method = experiment.config.train.method
    if isinstance(method, STDP) and method.control == "counts":
        return ()  # it has no hidden neurons
    silent = [row.silent_neurons >= n_hidden > 0 for row in training]
    if not silent[-1] or any(silent[:-1]):
        return ()
    text = f"no hidden neuron spiked in epoch {len(silent)}, so that nothing can be learned"
    model, train = experiment.config.model, experiment.config.train
    if len(silent) > 1:
        return (f"{text} any more; lower learning_rate ({train.learning_rate:g})",)
    return (
        f"{text}; raise w_in_mean ({model.w_in_mean:g}) or w_in_sd ({model.w_in_sd:g}), or lower "
        f"learning_rate ({train.learning_rate:g})",
    )


def _chance(training: Sequence[EpochRow], experiment: Experiment) -> Notes:
    config = experiment.config.train
    # the ease-in grows from ease_in to 1 by a factor a batch
    batches = -math.log(config.ease_in) / math.log(config.ease_in_growth)
    per_epoch = max(1, training[-1].samples // config.batch_size)
    if len(training) != EPOCHS_AT_CHANCE + math.ceil(batches / per_epoch):
        return ()
    labels = experiment.train.labels
    chance = float(np.bincount(labels).max()) / len(labels)
    best = max(row.accuracy for row in training)
    if chance == 1 or best > chance + 3 * math.sqrt(chance * (1 - chance) / training[-1].samples):
        return ()
    readout = experiment.config.model.readout
    cure = f"try another learning_rate (now {config.learning_rate:g})"
    if isinstance(readout, VoltageReadout):
        cure += f" or softmax_temperature = 0.1 (now {readout.softmax_temperature:g})"
    return (
        f"after {len(training)} epochs the training accuracy, {best:.1%}, is not above chance, "
        f"{chance:.1%}; {cure}",
    )


def cut_off(events: Events, duration_ms: float, trial_ms: float) -> Notes:
    """Whether a recording goes on after the trial's end.

    Args:
        events: Its spikes.
        duration_ms: Its length in ms.
        trial_ms: Length of a trial in ms.
    """
    part = spikes_after(events, trial_ms)
    if part < 0.01:
        return ()
    return (
        f"the recording lasts {duration_ms / 1000:.2f} s, but the network hears only its first "
        f"{trial_ms / 1000:.2f} s: {part:.0%} of the spikes come later; cut one word out of it",
    )


def listed(words: Sequence[str]) -> str:
    """Words in a sentence, at most eight."""
    if len(words) <= 8:
        return ", ".join(words)
    return f"{', '.join(words[:7])} and {len(words) - 7} others"
