"""Parameters, spikes and voltages of chosen epochs, kept in the run's folder."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import Learner
from shd_genn.record.checkpoints import PARAMETER
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.support.errors import require
from shd_genn.train.prepare import Experiment

FOLDER = "epochs"
"""Where they are kept: ``epochs/epoch_0010.npz`` is epoch 10."""


def observed(experiment: Experiment) -> SpikeDataset:
    """The samples that can be recorded: of validation, or of training where there are none.

    Raises:
        ConfigError: if ``record_samples`` names one that is not there.
    """
    dataset = experiment.train if experiment.valid is None else experiment.valid.dataset
    for sample in experiment.config.train.record_samples:
        require(
            sample < len(dataset),
            "record_samples < validation samples (training samples without validation)",
            f"{sample} of {len(dataset)}",
            "count them from 0",
        )
    return dataset


def keep_epoch(folder: RunFolder, experiment: Experiment, learner: Learner, epoch: int) -> None:
    """Write an epoch's file, if the settings name the epoch.

    It holds ``parameter_KEY`` of all parameters. If samples are recorded, it also holds their
    numbers ``samples`` and ``labels``; ``voltages``, (samples, steps, classes); and for each
    population ``spikes_NAME_times_ms``, ``spikes_NAME_neurons`` and ``spikes_NAME_offsets``, where
    sample i has the spikes offsets[i]:offsets[i + 1].

    Args:
        folder: The run's folder.
        experiment: Settings and dataset.
        learner: The network after that epoch.
        epoch: Counted from 1; 0 is before training.
    """
    config = experiment.config.train
    if epoch not in config.keep_epochs:
        return
    arrays: dict[str, NDArray[Any]] = {
        PARAMETER + key: value for key, value in learner.parameters().items()
    }
    if config.record_samples:
        samples, dataset = np.array(config.record_samples), observed(experiment)
        recording = learner.record(dataset.presented(samples))
        arrays |= {"samples": samples, "labels": dataset.labels[samples]}
        arrays["voltages"] = recording.voltages
        for name, events in recording.spikes.items():
            arrays[f"spikes_{name}_times_ms"] = events.times_ms
            arrays[f"spikes_{name}_neurons"] = events.channels
            arrays[f"spikes_{name}_offsets"] = events.offsets
    (folder.path / FOLDER).mkdir(exist_ok=True)
    folder.write_arrays(f"{FOLDER}/epoch_{epoch:04}", arrays)
