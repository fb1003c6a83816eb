"""From the name of a dataset to its training, validation and test samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from shd_genn.datasets import SPOKEN_DIGITS, official
from shd_genn.datasets.kept_files import Read
from shd_genn.datasets.match import match_parts
from shd_genn.datasets.settings import (
    AutoValidation,
    DataConfig,
    NoValidation,
    SpeakerValidation,
)
from shd_genn.datasets.split import balanced, split_random, split_speaker
from shd_genn.datasets.variants import with_variants
from shd_genn.spikes.dataset import SpikeDataset, Splits
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support.errors import ConfigError, DataError, refuse_unless
from shd_genn.support.paths import readable_name, user_path


def load_dataset(config: DataConfig, seed: int, read: Read = read_spikes) -> Splits:
    """Load a dataset, and take validation samples from its training set if it has no others.

    Args:
        config: The dataset, and where validation samples come from.
        seed: Seed of a random split.
        read: Reads its files.

    Raises:
        DataError: if the dataset does not exist, or its files do not fit together.
        ConfigError: if validation samples cannot be taken in this way.
    """
    name, files = find_files(config.dataset, config.data_dir)
    if "train" not in files:
        raise DataError(
            f"dataset {config.dataset} must hold train.h5 to train on, but has only "
            f"{', '.join(files)}; encode recordings into it"
        )
    # divided before the other files are read, so that the test set cannot have an influence
    path = files.pop("train")
    train = with_variants(read(path, name), path, config.variants)
    parts = _divide(train, config, seed, "valid" in files)
    parts = {s: replace(p, variants=() if s == "valid" else p.variants) for s, p in parts.items()}
    if "valid" in parts or isinstance(config.validation, NoValidation):
        files.pop("valid", None)
    parts |= {split: read(path, name) for split, path in files.items()}
    parts = match_parts(parts)
    if config.balance:
        parts |= {
            split: balanced(parts[split], seed) for split in ("train", "valid") if split in parts
        }
    return Splits(parts["train"], parts.get("valid"), parts.get("test"))


def _divide(
    train: SpikeDataset, config: DataConfig, seed: int, has_file: bool
) -> dict[str, SpikeDataset]:
    """The training set, and the validation samples that are taken from it."""
    validation = config.validation
    if isinstance(validation, NoValidation) or (
        isinstance(validation, AutoValidation) and has_file
    ):
        return {"train": train}
    if isinstance(validation, SpeakerValidation):
        if validation.validation_speaker is None:
            raise ConfigError(
                "validation_speaker must be named to train a single network with "
                "validation=speaker; name one of the training speakers, or cross-validate "
                "over all with python -m shd_genn.run --validation speaker"
            )
        left, valid = split_speaker(train, validation.validation_speaker)
    else:
        left, valid = split_random(train, validation.validation_fraction, seed)
    return {"train": left, "valid": valid}


def load_split(dataset: str, split: str, data_dir: str | None = None) -> SpikeDataset:
    """Load one file of a dataset.

    Raises:
        DataError: if the dataset has no such file.
    """
    name, files = find_files(dataset, data_dir)
    if split not in files:
        raise DataError(
            f"split of {dataset} must be one of {', '.join(files)}, but got {split!r}; choose one"
        )
    return read_spikes(files[split], name)


def find_files(dataset: str, data_dir: str | None = None) -> tuple[str, dict[str, Path]]:
    """The name of a dataset as results show it, and its files by split.

    Raises:
        DataError: if there is no such dataset, or files are missing.
    """
    if dataset == SPOKEN_DIGITS:
        # imported only here, because it takes a while
        from shd_genn.datasets import spoken_digits

        return dataset, folder_files(spoken_digits.prepare())
    if dataset in official.DATASETS:
        return dataset, official.find(dataset, data_dir)
    refuse_unless(
        _is_utf8(dataset),
        f"the path of dataset {dataset!r} is not UTF-8, so a run cannot record it",
        "rename the folder",
        DataError,
    )
    folder = user_path(dataset)
    if not folder.is_dir():
        known = ", ".join((SPOKEN_DIGITS, *official.DATASETS))
        raise DataError(
            f"dataset must be {known}, or a folder with train.h5 and test.h5, but got {dataset!r}; "
            "correct the name or the path"
        )
    name = readable_name(folder.resolve().name)
    if name in (SPOKEN_DIGITS, *official.DATASETS):
        name = f"{name}-folder"  # in results, only the official datasets have these names
    return name, folder_files(folder)


def _is_utf8(text: str) -> bool:
    """Whether a path has no bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def folder_files(folder: Path) -> dict[str, Path]:
    """The files of a folder by split: ``train.h5`` or a single ``*_train.h5``, and so on.

    Raises:
        DataError: if there are no files, or a split has more than one.
    """
    files = {}
    for split in ("train", "valid", "test"):
        exact = folder / f"{split}.h5"
        found = [exact] if exact.is_file() else sorted(folder.glob(f"*_{split}.h5"))
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise DataError(
                f"{folder} must hold one file for {split}, but holds {names}; "
                f"name the right one {split}.h5"
            )
        if found:
            files[split] = found[0]
    if not files:
        raise DataError(
            f"{folder} must hold train.h5 and test.h5, but does not; make them with "
            f"python -m shd_genn.encode RECORDINGS -o {folder / 'train.h5'}"
        )
    return files
