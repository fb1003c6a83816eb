"""The end of a training: the chosen epoch is evaluated on the test set, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.choice import load
from shd_genn.backends.protocols import Learner, OnGpu
from shd_genn.backends.reference.counting import count, countable
from shd_genn.config import Config
from shd_genn.datasets.split import speaker_name
from shd_genn.learning.methods import STDP, Conversion
from shd_genn.network import operations
from shd_genn.present.batches import count_batches
from shd_genn.record.rows import EpochRow
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import RunResult, TestResult
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.support.boards import memory_in_use
from shd_genn.support.machine import peak_memory
from shd_genn.train.best_epoch import BestEpoch
from shd_genn.train.evaluation import evaluate
from shd_genn.train.notes import spikes_after
from shd_genn.train.prepare import Experiment

COUNTED = 5
"""Test samples that membrane updates are counted on, at most."""


def finish(
    folder: RunFolder,
    experiment: Experiment,
    learner: Learner,
    best: BestEpoch,
    rows: Sequence[EpochRow],
) -> RunResult:
    """Evaluate the chosen epoch on the test set, and gather the final numbers.

    Args:
        folder: Gets the test set's row, predictions and spike counts.
        experiment: Settings and dataset.
        learner: The network; it has the parameters of the chosen epoch afterwards.
        best: The chosen epoch.
        rows: All rows of training and validation.
    """
    config, train = experiment.config, experiment.train
    training = [row for row in rows if row.split == "train"]
    test = _test(folder, experiment, learner, best, rows)
    return RunResult(
        dataset=train.name,
        epochs=len(training),
        best_epoch=best.epoch,
        chosen_by="training accuracy" if experiment.chosen_by == "train" else "validation accuracy",
        best_accuracy=best.accuracy,
        seconds_per_epoch=float(np.median([row.seconds for row in training])),
        backend=config.backend,
        spikes_after_trial=spikes_after(train.events, config.n_steps * config.dt_ms),
        peak_memory_mb=peak_memory() // 2**20,
        updates=len(training) * count_batches(config.batching, train),
        training_operations=float(np.mean([row.training_operations for row in training])),
        test=test,
        kernel_seconds=learner.kernel_times() or None,
        **_gpu_memory(learner, config.backend),
    )


def _gpu_memory(learner: Learner, backend: str) -> dict[str, int | None]:
    """MiB of the network's arrays, and of all that is on the GPUs; None without a GPU."""
    own = learner.peak_gpu_memory() if isinstance(learner, OnGpu) else None
    on_gpu = own is not None or load(backend).status().accelerator is not None
    found = {"gpu_memory_mb": own, "gpu_boards_memory_mb": memory_in_use() if on_gpu else None}
    return {key: None if n is None else n // 2**20 for key, n in found.items()}


def _test(
    folder: RunFolder,
    experiment: Experiment,
    learner: Learner,
    best: BestEpoch,
    rows: Sequence[EpochRow],
) -> TestResult | None:
    if experiment.test is None:
        return None
    folder.load_checkpoint("best", learner)
    train = experiment.train
    seen = {speaker_name(train, int(i)) for i in np.unique(train.speakers)}
    evaluation = evaluate(learner, experiment.test, seen, best.epoch)
    folder.write_epochs([*rows, evaluation.metrics])
    folder.write_predictions(evaluation.predictions)
    folder.write_arrays("spike_counts", evaluation.spike_counts)
    costs = _costs(learner, evaluation.spike_counts)
    updates = _membrane_updates(experiment.config, learner, experiment.test.dataset)
    return replace(evaluation.result, **costs, membrane_updates=updates)


def _membrane_updates(config: Config, learner: Learner, test: SpikeDataset) -> float | None:
    """Per trial, of a few samples; None for neurons whose updates cannot be counted."""
    of_its_own = isinstance(config.train.method, STDP | Conversion)  # has neurons of its own
    if of_its_own or not countable(learner.network):
        return None
    few = np.unique(np.linspace(0, len(test) - 1, COUNTED).astype(np.int64))
    counted = count(learner.network, learner.parameters(), learner.config, test.presented(few))
    return counted.membrane_updates / len(few)


def _costs(learner: Learner, spikes: Mapping[str, NDArray[np.int32]]) -> dict[str, Any]:
    """What the network costs to run, which the weights and hidden spikes tell."""
    network, parameters, n_steps = learner.network, learner.parameters(), learner.config.n_steps
    sparsity = None
    if network.output not in network.spiking:
        counts = {name: array.mean(axis=0) for name, array in spikes.items()}
        sparsity = operations.activation_sparsity(network, counts, n_steps)
    return {
        "dense_operations": operations.dense_operations(network, n_steps),
        "activation_sparsity": sparsity,
        "connection_sparsity": operations.connection_sparsity(network, parameters),
        "footprint_bytes": operations.footprint_bytes(parameters),
    }
