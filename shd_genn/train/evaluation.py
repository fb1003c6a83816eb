"""Evaluating a network on a dataset: sums over samples, and the answer to each sample."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import BatchResult, Simulator
from shd_genn.datasets.split import speaker_name
from shd_genn.learning.methods import Method
from shd_genn.learning.methods.operations import training_operations
from shd_genn.learning.objective import probabilities
from shd_genn.network import Network, operations
from shd_genn.record.rows import EpochRow, PredictionRow, Split, SplitResult
from shd_genn.record.summary import TestResult
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.support.energy import Meter
from shd_genn.support.errors import ConfigError

SAMPLES_AT_ONCE = 256


class Metrics:
    """Accuracy, loss and spikes of a split, summed up batch by batch."""

    def __init__(self, network: Network) -> None:
        self._meter = Meter()
        self.started = time.perf_counter()
        self.samples = self.correct = self.input_spikes = 0
        self.loss = 0.0
        self.spikes = {p.name: np.zeros(p.size, np.int64) for p in network.hidden}
        self.near_steps: dict[str, int] = {}
        self.network = network

    def add(self, result: BatchResult, labels: NDArray[np.integer]) -> None:
        """Count the samples of a batch."""
        self.samples += len(labels)
        self.correct += int(np.sum(result.predictions == labels))
        self.loss += float(result.loss.sum(dtype=np.float64))
        self.input_spikes += int(result.input_spikes.sum())
        for name, counts in result.spike_counts.items():
            self.spikes[name] += counts.sum(axis=0)
        for name, steps in result.near_steps.items():
            self.near_steps[name] = self.near_steps.get(name, 0) + int(steps.sum())
        self._meter.poll()

    @property
    def accuracy(self) -> float:
        """Part of the samples whose word was recognised."""
        return self.correct / max(self.samples, 1)

    @property
    def synaptic_operations(self) -> int:
        """The number of synapses that all spikes arrive at."""
        return operations.synaptic_operations(self.network, self._totals)

    @property
    def _totals(self) -> dict[str, int]:
        """Population → spikes of all its neurons and all samples."""
        totals = {name: int(counts.sum()) for name, counts in self.spikes.items()}
        return totals | {self.network.input.name: self.input_spikes}

    def operations_of(self, method: Method, n_steps: int) -> float:
        """Synaptic operations of training with a method, per trial; see `training_operations`."""
        spikes = {name: total / max(self.samples, 1) for name, total in self._totals.items()}
        if self.network.output in self.network.spiking:  # its spikes are not counted
            spikes[self.network.output.name] = 0.0
        near = {name: total / max(self.samples, 1) for name, total in self.near_steps.items()}
        return training_operations(self.network, method, n_steps, spikes, near)

    def row(
        self,
        epoch: int,
        split: Split,
        learning_rate: float | None = None,
        training_operations: float | None = None,
    ) -> EpochRow:
        """A row of ``metrics.csv``; hidden spikes are per neuron and trial."""
        trials = max(self.samples, 1)
        spikes = np.concatenate(list(self.spikes.values())) / trials
        used = self._meter.poll()
        return EpochRow(
            epoch=epoch,
            split=split,
            accuracy=self.accuracy,
            loss=self.loss / trials,
            hidden_spikes_mean=float(spikes.mean()),
            hidden_spikes_sd=float(spikes.std()),
            hidden_spikes_min=float(spikes.min()),
            hidden_spikes_max=float(spikes.max()),
            silent_neurons=int(np.sum(spikes == 0)),
            input_spikes=self.input_spikes / trials,
            synaptic_operations=self.synaptic_operations / trials,
            samples=self.samples,
            seconds=time.perf_counter() - self.started,
            learning_rate=learning_rate,
            cpu_joules=used.cpu,
            dram_joules=used.dram,
            gpu_joules=used.gpu,
            training_operations=training_operations,
        )


def measure(simulator: Simulator, dataset: SpikeDataset) -> Metrics:
    """Accuracy, loss and spikes of a network on a dataset."""
    metrics = Metrics(simulator.network)
    for chosen, result in _results(simulator, dataset):
        metrics.add(result, dataset.labels[chosen])
    return metrics


@dataclass(frozen=True)
class Evaluation:
    """A network's answers to all samples of a dataset.

    Attributes:
        metrics: The sums over all samples.
        predictions: Rows of ``predictions.csv``, one a sample.
        spike_counts: Hidden population → int32, (n_samples, neurons): spikes in the trial.
        untrained: Word that the network was never trained on → its samples, which are left out.
        probabilities: float32, (n_samples, n_classes): the softmax of each sample's readout.
        notes: What should be known about data and network; see `shd_genn.train.notes`.
    """

    metrics: EpochRow
    predictions: list[PredictionRow]
    spike_counts: dict[str, NDArray[np.int32]]
    untrained: dict[str, int]
    probabilities: NDArray[np.float32]
    notes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """Part of the samples whose word was recognised."""
        return self.metrics.accuracy

    @property
    def result(self) -> TestResult:
        """The numbers that a run's summary keeps of its test set."""
        values = {f.name: getattr(self.metrics, f.name) for f in fields(SplitResult)}
        seen, unseen = self._by_speaker_kind()
        return TestResult(
            **values,
            accuracy_seen=seen,
            accuracy_unseen=unseen,
            untrained_samples=sum(self.untrained.values()),
        )

    def _by_speaker_kind(self) -> tuple[float | None, float | None]:
        """Accuracy on speakers of the training set and on others; None unless there are both."""
        kinds = [
            [row for row in self.predictions if row.seen_speaker is kind] for kind in (True, False)
        ]
        if not all(kinds):
            return None, None
        return accuracy(kinds[0]), accuracy(kinds[1])


def accuracy(rows: Iterable[PredictionRow]) -> float:
    """Part of some samples whose word was recognised."""
    return float(np.mean([row.correct for row in rows]))


@dataclass(frozen=True)
class Answerable:
    """The samples of a dataset whose words a network was trained on.

    Attributes:
        dataset: The samples, their classes numbered as the network's outputs.
        indices: (n_samples,): index of each sample in the dataset that it comes from.
        untrained: Word that was never trained → number of its samples, which are left out.
    """

    dataset: SpikeDataset
    indices: NDArray[np.int64]
    untrained: dict[str, int]


def answerable(dataset: SpikeDataset, words: Sequence[str], trained: Container[str]) -> Answerable:
    """Leave out the samples of words that a network was never trained on.

    Args:
        dataset: The samples.
        words: The word of each output.
        trained: The words that have training samples.

    Raises:
        ConfigError: if no sample is left.
    """
    counts = np.bincount(dataset.labels, minlength=dataset.n_classes)
    names = dataset.class_names
    untrained = {
        word: int(n) for word, n in zip(names, counts, strict=True) if n and word not in trained
    }
    if not untrained and names == tuple(words):
        return Answerable(dataset, np.arange(len(dataset)), {})
    if len(untrained) == np.count_nonzero(counts):
        raise ConfigError(
            f"dataset {dataset.name} must have words that the network was trained on, "
            f"{', '.join(w for w in words if w in trained)}, but has {', '.join(untrained)}; "
            "evaluate on recordings of the same words"
        )
    # outputs of the network first, then what it has no output for: those samples are left out
    numbers = {word: i for i, word in enumerate(words)}
    table = np.array([numbers.get(word, len(words)) for word in names], np.int32)
    kept = np.flatnonzero(~np.isin(dataset.labels, [names.index(word) for word in untrained]))
    part = dataset.subset(kept)
    part = replace(part, labels=table[part.labels], class_names=tuple(words))
    return Answerable(part, kept, untrained)


def evaluate(
    simulator: Simulator, samples: Answerable, seen_speakers: Container[str], epoch: int
) -> Evaluation:
    """Everything that is recorded about a test set.

    Args:
        simulator: The network, with the parameters to evaluate.
        samples: See `answerable`.
        seen_speakers: Names of the speakers that it was trained on.
        epoch: The epoch that its parameters are of, counted from 1.
    """
    dataset = samples.dataset
    metrics = Metrics(simulator.network)
    predictions: list[PredictionRow] = []
    readouts: list[NDArray[np.float32]] = []
    counts: dict[str, list[NDArray[np.int32]]] = {p.name: [] for p in simulator.network.hidden}
    for chosen, result in _results(simulator, dataset):
        metrics.add(result, dataset.labels[chosen])
        readouts.append(result.readout)
        for name, spikes in result.spike_counts.items():
            counts[name].append(spikes)
        predictions += [
            _prediction(samples, sample, result, i, seen_speakers)
            for i, sample in enumerate(chosen.tolist())
        ]
    return Evaluation(
        metrics.row(epoch, "test"),
        predictions,
        {name: np.concatenate(parts) for name, parts in counts.items()},
        samples.untrained,
        probabilities(simulator.network, simulator.config, np.concatenate(readouts)),
    )


def _prediction(
    samples: Answerable, sample: int, result: BatchResult, i: int, seen_speakers: Container[str]
) -> PredictionRow:
    dataset = samples.dataset
    words = dataset.class_names
    label, predicted = int(dataset.labels[sample]), int(result.predictions[i])
    speaker = speaker_name(dataset, int(dataset.speakers[sample]))
    return PredictionRow(
        sample=int(samples.indices[sample]),
        label=label,
        word=words[label],
        predicted=predicted,
        # an output too many belongs to no word
        predicted_word=words[predicted] if predicted < len(words) else f"output {predicted}",
        correct=predicted == label,
        speaker=speaker,
        seen_speaker=speaker in seen_speakers if speaker else None,
        loss=float(result.loss[i]),
        input_spikes=int(result.input_spikes[i]),
        hidden_spikes={name: int(c[i].sum()) for name, c in result.spike_counts.items()},
    )


def _results(
    simulator: Simulator, dataset: SpikeDataset
) -> Iterator[tuple[NDArray[np.int64], BatchResult]]:
    for begin in range(0, len(dataset), SAMPLES_AT_ONCE):
        chosen = np.arange(begin, min(begin + SAMPLES_AT_ONCE, len(dataset)))
        yield chosen, simulator.evaluate(dataset.presented(chosen), dataset.labels[chosen])
