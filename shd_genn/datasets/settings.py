"""Settings of the data: which dataset is learned, and which samples are kept for validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from shd_genn.support.settings import (
    CHANGES_NO_RESULT,
    Choice,
    ComparedBy,
    Cure,
    Settings,
    UserPath,
)

EMBEDDED_AND_OFFICIAL = ("spoken-digits", "shd", "ssc")
"""Datasets that have a name; any other dataset is a folder."""

Fraction = Annotated[float, Gt(0), Lt(1), Cure("0.1 is usual; for none use --validation none")]
ChosenBy = Literal["validation", "training"]


@dataclass(frozen=True)
class AutoValidation(Choice, kind="auto"):
    """valid.h5 where the dataset has one, else a random part of the training set."""

    validation_fraction: Fraction = 0.1
    """Part of the training set that becomes validation samples, if there is no valid.h5."""
    best_by: ChosenBy = "validation"
    """Accuracy that chooses the epoch whose weights are kept as the best, and tested."""


@dataclass(frozen=True)
class RandomValidation(Choice, kind="random"):
    """A random part of each class of the training set."""

    validation_fraction: Fraction = 0.1
    """Part of the training set that becomes validation samples."""
    best_by: ChosenBy = "validation"
    """Accuracy that chooses the epoch whose weights are kept as the best, and tested."""


@dataclass(frozen=True)
class SpeakerValidation(Choice, kind="speaker"):
    """Leave-one-speaker-out cross-validation.

    One network is trained for each speaker of the training set, who is its validation set, and a
    last network is trained on all speakers.
    """

    validation_speaker: str | None = None
    """Leave out this speaker only: a name or an index of the dataset. Several, separated by commas,
    are left out together. By default each in turn."""
    best_by: ChosenBy = "validation"
    """Accuracy that chooses the epoch whose weights are kept as the best, and tested."""


@dataclass(frozen=True)
class NoValidation(Choice, kind="none"):
    """No validation samples; the training accuracy chooses the best epoch."""

    @property
    def best_by(self) -> ChosenBy:
        """Accuracy that chooses the best epoch: no other one is known."""
        return "training"


ValidationChoice = AutoValidation | RandomValidation | SpeakerValidation | NoValidation


def dataset_key(dataset: str) -> str:
    """The name by which datasets are compared: for a folder its name, wherever it lies."""
    if dataset in EMBEDDED_AND_OFFICIAL:
        return dataset
    return f"folder {Path(dataset).resolve().name}"


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which dataset is learned, and which samples are kept for validation and test."""

    dataset: Annotated[str, UserPath(), ComparedBy(dataset_key)] = "spoken-digits"
    """spoken-digits (synthesised, embedded), shd, ssc, or a folder that holds train.h5 and test.h5
    (and optionally valid.h5) in SHD's layout."""
    data_dir: Annotated[str, UserPath(), CHANGES_NO_RESULT] | None = None
    """Folder with the files of shd or ssc; by default where python -m shd_genn.datasets puts
    them."""
    trial_ms: Annotated[float, Gt(0), Cure("SHD's words last up to 1370 ms")] = 1000.0
    """Length of a trial in ms; later spikes are left out."""
    validation: ValidationChoice = field(default_factory=AutoValidation)
    """Where validation samples come from. They never come from the test set."""
    variants: Annotated[int, Ge(0), Cure("0 means none")] = 0
    """Versions of each training recording (train.variant1.h5 and so on, made by encode --variants)
    from which, and from the recording itself, training draws one in each epoch."""
    balance: bool = False
    """Keep as many samples of each word as the rarest word has, in training and in validation."""
    test: bool = True
    """Test the chosen epoch on the test set, once, at the end. Use --no-test while you still
    choose settings, so that the test set has no influence on them."""
