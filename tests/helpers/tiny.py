"""A dataset that is learned in seconds: each class has channels of its own."""

from pathlib import Path

import numpy as np

from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import write_spikes

N_CHANNELS, CLASSES = 30, ("ja", "nein", "doch")


def dataset(n_samples: int, seed: int, speakers=("anna", "ben")) -> SpikeDataset:
    rng = np.random.default_rng(seed)
    labels = np.arange(n_samples) % len(CLASSES)
    samples = []
    for label in labels:
        own = rng.integers(10 * label, 10 * label + 10, 60)
        samples.append((rng.uniform(0, 100, 80), np.append(own, rng.integers(0, N_CHANNELS, 20))))
    return SpikeDataset(
        name="tiny",
        events=Events.of(samples),
        labels=labels.astype(np.int32),
        speakers=(np.arange(n_samples) // 3 % len(speakers)).astype(np.int32),
        n_channels=N_CHANNELS,
        class_names=CLASSES,
        speaker_names=tuple(speakers),
    )


def write(folder: Path, n_train: int = 50, n_test: int = 12) -> Path:
    """A folder that holds the dataset; one speaker is in the test set only."""
    write_spikes(folder / "train.h5", dataset(n_train, 0))
    write_spikes(folder / "test.h5", dataset(n_test, 1, ("anna", "cleo")))
    return folder


OPTIONS = ["--trial-ms", "120", "--hidden-sizes", "20", "--w-in-mean", "0.2", "--batch-size", "16"]
OPTIONS += ["--w-in-sd", "0.1", "--learning-rate", "0.01", "--shift-channels", "0"]
"""Of `python -m shd_genn.run`: a network that fits the dataset."""
