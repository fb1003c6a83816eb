"""What training needs before it begins: the dataset, and settings that fit it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from shd_genn import backends
from shd_genn.backends import Choice
from shd_genn.config import Config
from shd_genn.datasets.kept_files import Read
from shd_genn.datasets.load import load_dataset
from shd_genn.record.rows import Split
from shd_genn.spikes.dataset import SpikeDataset, Splits
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support.errors import ConfigError
from shd_genn.train.evaluation import Answerable, answerable


@dataclass(frozen=True)
class Experiment:
    """Settings and dataset of a run.

    Attributes:
        config: All settings, resolved: with the numbers of inputs and classes, and the backend.
        backend: The backend that computes, and why.
        splits: The dataset as it was loaded.
        train: The training samples.
        valid: The validation samples of words that are trained; None where there are none.
        test: The test samples of words that are trained; None where they are not evaluated.
    """

    config: Config
    backend: Choice
    splits: Splits
    train: SpikeDataset
    valid: Answerable | None
    test: Answerable | None

    @property
    def chosen_by(self) -> Split:
        """The split whose accuracy chooses the best epoch."""
        by_training = self.valid is None or self.config.data.validation.best_by == "training"
        return "train" if by_training else "valid"

    @property
    def schedule_by(self) -> Split:
        """The split whose accuracy the schedule of the learning rate follows."""
        return "train" if self.valid is None else "valid"


def prepare(config: Config, read: Read = read_spikes) -> Experiment:
    """Load the dataset and fit the settings to it.

    Args:
        config: All settings.
        read: Reads spike files.

    Raises:
        ShdGennError: if something in the settings or the dataset cannot be used.
    """
    backend = backends.choose(config.backend)
    splits = load(config, read)
    config = resolve(replace(config, backend=backend.name), splits)
    words = splits.train.class_names
    trained = {words[i] for i in np.unique(splits.train.labels)}

    def part(dataset: SpikeDataset | None) -> Answerable | None:
        return None if dataset is None else answerable(dataset, words, trained)

    return Experiment(config, backend, splits, splits.train, part(splits.valid), part(splits.test))


def load(config: Config, read: Read = read_spikes) -> Splits:
    """The dataset, as it is presented; without its test set where that is not to be evaluated."""
    splits = load_dataset(config.data, config.train.seed, read)
    if not config.data.test:
        splits = replace(splits, test=None)
    return splits.presented_by(config.presentation(splits.train.n_channels))


def resolve(config: Config, splits: Splits) -> Config:
    """Fill in what the dataset decides, and check what it limits.

    Raises:
        ConfigError: if settings and dataset do not fit together.
    """
    train = splits.train
    n_inputs = config.presentation(train.n_channels).n_inputs
    for name, given, needed in (
        ("n_inputs", config.model.n_inputs, n_inputs),
        ("n_classes", config.model.n_classes, train.n_classes),
    ):
        if given is not None and given != needed:
            raise ConfigError(
                f"{name} = {needed} of dataset {train.name} must hold, but got {given}; "
                "leave it out"
            )
    if config.train.batch_size > len(train):
        raise ConfigError(
            f"batch_size <= training samples must hold, but got {config.train.batch_size} of "
            f"{len(train)}; make batches smaller"
        )
    model = replace(config.model, n_inputs=n_inputs, n_classes=train.n_classes)
    return replace(config, model=model)
