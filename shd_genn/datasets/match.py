"""One numbering of words and speakers for all files of a dataset: that of the training set."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.support.errors import ConfigError, DataError, refuse_unless

Parts = dict[str, SpikeDataset]
"""Training set, validation samples and test set by the name of their split."""


def match_parts(parts: Parts) -> Parts:
    """Number classes and speakers as in the training set.

    The words and their order come from the training set alone, so that a test set cannot change
    what is learned. Samples of other words are left out, and a note is printed.

    Args:
        parts: ``train``, and perhaps ``valid`` and ``test``.

    Raises:
        DataError: if the parts do not fit together.
    """
    train = parts["train"]
    _check_speakers(parts)
    _check_labels(train)
    speaker_names = list(train.speaker_names)
    for split, part in parts.items():
        refuse_unless(
            part.n_channels == train.n_channels,
            f"{split} must have the {train.n_channels} channels of train, but has "
            f"{part.n_channels}",
            "encode both in the same way",
            DataError,
        )
        refuse_unless(
            part.code == train.code,
            f"{split} must be encoded by {train.code} like train, but is encoded by {part.code}",
            "encode both with the same --code",
            DataError,
        )
        speaker_names += [name for name in part.speaker_names if name not in speaker_names]
    return {
        split: replace(
            part if part is train else with_words(train.class_names, part, split),
            speaker_names=tuple(speaker_names),
        )
        for split, part in _renumber_speakers(parts, tuple(speaker_names)).items()
    }


def with_words(words: tuple[str, ...], dataset: SpikeDataset, split: str) -> SpikeDataset:
    """The samples of the words that a network was trained on, numbered as in the network.

    Args:
        words: The words that the network was trained on, in the order of its outputs.
        dataset: The samples.
        split: The name of the samples in messages.

    Returns:
        The samples of these words; a note tells how many others were left out.

    Raises:
        ConfigError: if no sample is left.
    """
    if dataset.class_names == words:
        return dataset
    index = {word: i for i, word in enumerate(words)}
    table = np.array([index.get(word, -1) for word in dataset.class_names], np.int32)
    labels = table[dataset.labels]
    known = labels >= 0
    others = sorted({dataset.class_names[i] for i in dataset.labels[~known]})
    refuse_unless(
        bool(known.any()),
        f"{split} of dataset {dataset.name} has none of the words {_listed(words)} that the "
        f"network is trained on, but {_listed(tuple(others))}",
        "use recordings of the same words, and give their files the same names in extra/keys",
    )
    if others:
        print(
            f"note: {np.sum(~known)} of {len(dataset)} samples of {split} are left out, because "
            f"training has no sample of their words: {_listed(tuple(others))}",
            file=sys.stderr,
        )
    renumbered = replace(dataset, labels=labels, class_names=words)
    return renumbered.subset(np.flatnonzero(known)) if others else renumbered


def check_code(expected: str, dataset: SpikeDataset) -> None:
    """Refuse a dataset that was encoded by another code than a network's training set.

    Args:
        expected: The code of the training set.
        dataset: The samples.

    Raises:
        ConfigError: if the codes differ.
    """
    refuse_unless(
        dataset.code == expected,
        f"dataset {dataset.name} must be encoded by {expected} like the training set, but is "
        f"encoded by {dataset.code}",
        f"encode the recordings with --code {expected}",
        ConfigError,
    )


def _check_labels(train: SpikeDataset) -> None:
    """Refuse classes without name and samples, because their outputs would learn nothing."""
    unnamed = train.class_names == tuple(map(str, range(train.n_classes)))
    missing = np.setdiff1d(np.arange(train.n_classes), train.labels)
    refuse_unless(
        not (unnamed and len(missing)),
        f"the training set has labels up to {train.n_classes - 1}, but no sample of "
        f"{_listed(tuple(map(str, missing)))}",
        "number the classes without gaps, or name them in extra/keys",
        DataError,
    )


def _check_speakers(parts: Parts) -> None:
    """Refuse files of which some name speakers and others number them: they cannot be matched."""
    with_names = [split for split, part in parts.items() if part.speaker_names]
    with_numbers = [
        split
        for split, part in parts.items()
        if not part.speaker_names and np.any(part.speakers >= 0)
    ]
    refuse_unless(
        not (with_names and with_numbers),
        f"all files must name their speakers, or none, but {', '.join(with_names)} has names and "
        f"{', '.join(with_numbers)} only numbers",
        "add extra/meta_info/speaker_names to all",
        DataError,
    )


def _renumber_speakers(parts: Parts, names: tuple[str, ...]) -> Parts:
    """Number speakers in the same way in all parts; unknown speakers stay -1."""
    index = {name: i for i, name in enumerate(names)}

    def renumbered(part: SpikeDataset) -> NDArray[np.int32]:
        if not part.speaker_names or part.speaker_names == names:
            return part.speakers
        table = np.array([index[name] for name in part.speaker_names], np.int32)
        return np.where(part.speakers >= 0, table[part.speakers], part.speakers)

    return {split: replace(part, speakers=renumbered(part)) for split, part in parts.items()}


def _listed(words: tuple[str, ...], most: int = 10) -> str:
    """The first ``most`` words, separated by commas, and the number of further words."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
