"""Settings of the data: what is learned, and how much of it is kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shd_genn.support.errors import require, require_positive


@dataclass(frozen=True)
class DataConfig:
    """What is learned, and how much of it is kept apart."""

    dataset: str = "spoken-digits"
    """spoken-digits (synthesised, embedded), shd, ssc, or a folder that holds train.h5 and test.h5
    (and optionally valid.h5) in SHD's layout."""
    data_dir: str | None = None
    """Where the files of shd or ssc lie; by default where python -m shd_genn.datasets puts them."""
    trial_ms: float = 1000.0
    """Length of a trial in ms; later spikes are not seen."""
    validation: Literal["auto", "random", "speaker", "none"] = "auto"
    """How validation samples are found; never in the test set. auto: valid.h5 where there is one,
    else random; random: a part of the training set; speaker: leave-one-speaker-out
    cross-validation, one training for each speaker of the training set, and a last one with all."""
    validation_fraction: float = 0.1
    """Part of the training set that validation=random keeps apart."""
    validation_speaker: str | None = None
    """The only one to leave out by validation=speaker, instead of each in turn: a name or index of
    the dataset."""
    test: bool = True
    """Judge the chosen epoch on the test set, once, at the end. False while settings are still
    being chosen: so the test set cannot choose them."""
    binarise: bool = False
    """Merge spikes of a channel that fall into one time step, as the papers' own code; otherwise
    the second one enters in the next step, as in mlGeNN. Training and test alike."""
    delay_copies: int = 0
    """Delay line: so many delayed copies of the input, each with channels of its own, are presented
    beside it, in training and test alike; the papers use 10."""
    delay_step_ms: float = 30.0
    """Delay of each copy of the delay line against the one before, in ms."""

    def __post_init__(self) -> None:
        require_positive("trial_ms", self.trial_ms, "SHD's words last up to 1370 ms")
        require(
            0 < self.validation_fraction < 1,
            "0 < validation_fraction < 1",
            self.validation_fraction,
            "0.1 keeps a tenth apart; for none use validation=none",
        )
        require(
            self.validation == "speaker" or self.validation_speaker is None,
            "validation = speaker where a validation_speaker is named",
            f"validation {self.validation} and validation_speaker {self.validation_speaker}",
            "say validation=speaker",
        )
        require(0 <= self.delay_copies, "0 <= delay_copies", self.delay_copies, "0 means none")
        require_positive("delay_step_ms", self.delay_step_ms, "the papers use 30 ms")
