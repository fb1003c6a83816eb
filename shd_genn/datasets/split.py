"""Takes validation samples from the training set, never from the test set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.support.errors import ConfigError


def split_random(
    train: SpikeDataset, fraction: float, seed: int
) -> tuple[SpikeDataset, SpikeDataset]:
    """Take a random part of each class; a class with a single sample keeps it for training.

    Args:
        train: The training set.
        fraction: Part that becomes validation samples, 0 to 1.
        seed: Seed of the random choice.

    Returns:
        The samples that remain for training, and the validation samples.

    Raises:
        ConfigError: if one of the two parts would be empty.
    """
    rng = np.random.default_rng([seed, *b"validation"])
    chosen = np.zeros(len(train), bool)
    for label in range(train.n_classes):
        mine = rng.permutation(np.flatnonzero(train.labels == label))
        if len(mine) > 1:  # at least one sample of each word goes to either part
            chosen[mine[: min(max(1, round(fraction * len(mine))), len(mine) - 1)]] = True
    return _divide(train, chosen, f"validation_fraction {fraction}")


def balanced(dataset: SpikeDataset, seed: int) -> SpikeDataset:
    """As many samples of each word as the rarest word has; words without samples do not count.

    Args:
        dataset: The samples.
        seed: Seed of the random choice.
    """
    rng = np.random.default_rng([seed, *b"balance"])
    counts = np.bincount(dataset.labels)
    fewest = int(counts[counts > 0].min())
    chosen = [
        rng.permutation(np.flatnonzero(dataset.labels == label))[:fewest]
        for label in np.flatnonzero(counts)
    ]
    return dataset.subset(np.sort(np.concatenate(chosen)))


def training_speakers(train: SpikeDataset) -> list[str]:
    """Names of the speakers of a training set, or their indices where there are no names.

    Raises:
        ConfigError: if speakers are not known.
    """
    present = np.unique(train.speakers[train.speakers >= 0])
    if len(present) == 0:
        raise ConfigError(
            f"dataset {train.name} must name speakers for validation=speaker, but names none; "
            "use validation=random"
        )
    return [speaker_name(train, int(i)) for i in present]


def split_speaker(train: SpikeDataset, speaker: str) -> tuple[SpikeDataset, SpikeDataset]:
    """Take all samples of one speaker, or of several.

    Args:
        train: The training set.
        speaker: Name or index; several are separated by commas.

    Returns:
        The samples that remain for training, and the validation samples.

    Raises:
        ConfigError: if speakers are not known, or one of these is not among them.
    """
    training_speakers(train)  # refuses where there are none
    present = np.unique(train.speakers[train.speakers >= 0])
    names = {speaker_name(train, int(i)): int(i) for i in present}
    names |= {str(i): i for i in names.values() if str(i) not in names}
    given = [speaker] if speaker in names else [name.strip() for name in speaker.split(",")]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ConfigError(
            f"validation_speaker must be a training speaker, but got {unknown[0]!r}; "
            f"choose one of {', '.join(names)}"
        )
    chosen = np.isin(train.speakers, [names[name] for name in given])
    return _divide(train, chosen, f"validation_speaker {speaker}")


def speaker_name(dataset: SpikeDataset, index: int) -> str:
    """A speaker's name, or the index where there are no names; "" for an unknown one."""
    if index < 0:
        return ""
    return dataset.speaker_names[index] if dataset.speaker_names else str(index)


def _divide(
    train: SpikeDataset, chosen: NDArray[np.bool_], setting: str
) -> tuple[SpikeDataset, SpikeDataset]:
    if chosen.all() or not chosen.any():
        raise ConfigError(
            f"both training and validation must have samples, but {setting} leaves "
            f"{np.sum(~chosen)} and {np.sum(chosen)} of {len(train)}; choose another split"
        )
    return train.subset(np.flatnonzero(~chosen)), train.subset(np.flatnonzero(chosen))
