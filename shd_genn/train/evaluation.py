"""Judging a network on a dataset: sums over samples, and what was said of each."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import BatchResult, Simulator
from shd_genn.datasets.split import speaker_name
from shd_genn.network import Network
from shd_genn.spikes.dataset import SpikeDataset

SAMPLES_AT_ONCE = 256


class Tally:
    """Adds up results to a row of ``metrics.csv``."""

    def __init__(self, network: Network) -> None:
        self.started = time.perf_counter()
        self.samples = self.correct = self.input_spikes = 0
        self.loss = 0.0
        self.spikes = {p.name: np.zeros(p.size, np.int64) for p in network.hidden}
        self.network = network

    def add(self, result: BatchResult, labels: NDArray[np.integer]) -> None:
        """Count the samples of a batch."""
        self.samples += len(labels)
        self.correct += int(np.sum(result.predictions == labels))
        self.loss += float(result.loss.sum(dtype=np.float64))
        self.input_spikes += int(result.input_spikes.sum())
        for name, counts in result.spike_counts.items():
            self.spikes[name] += counts.sum(axis=0)

    @property
    def accuracy(self) -> float:
        """Part of the samples that was right."""
        return self.correct / max(self.samples, 1)

    @property
    def synaptic_operations(self) -> int:
        """What every spike does to every neuron that it reaches counts one."""
        totals = {name: int(counts.sum()) for name, counts in self.spikes.items()}
        totals[self.network.input.name] = self.input_spikes
        return sum(totals[c.source.name] * c.target.size for c in self.network.connections)

    def row(self, epoch: int, split: str) -> dict[str, Any]:
        """A row of ``metrics.csv``; hidden spikes are per neuron and trial."""
        spikes = np.concatenate(list(self.spikes.values())) / max(self.samples, 1)
        return {
            "epoch": epoch,
            "split": split,
            "accuracy": self.accuracy,
            "loss": self.loss / max(self.samples, 1),
            "hidden_spikes_mean": float(spikes.mean()),
            "hidden_spikes_sd": float(spikes.std()),
            "hidden_spikes_min": float(spikes.min()),
            "hidden_spikes_max": float(spikes.max()),
            "silent_neurons": int(np.sum(spikes == 0)),
            "input_spikes": self.input_spikes / max(self.samples, 1),
            "synaptic_operations": self.synaptic_operations / max(self.samples, 1),
            "samples": self.samples,
            "seconds": time.perf_counter() - self.started,
            "learning_rate": "",
        }


def evaluate(compiled: Simulator, dataset: SpikeDataset) -> Tally:
    """Accuracy, loss and spikes of a network on a dataset."""
    tally = Tally(compiled.network)
    for chosen, result in _results(compiled, dataset):
        tally.add(result, dataset.labels[chosen])
    return tally


@dataclass
class Judgement:
    """What a network said of every sample.

    Attributes:
        tally: The sums.
        predictions: Rows of ``predictions.csv``.
        spike_counts: Hidden population name → (n_samples, neurons).
    """

    tally: Tally
    predictions: list[dict[str, Any]] = field(default_factory=list)
    spike_counts: dict[str, NDArray[np.int32]] = field(default_factory=dict)

    def by_speaker_kind(self) -> dict[str, float]:
        """Accuracy on speakers of the training set and on others, where both are in the data."""
        kinds = {kind for row in self.predictions if (kind := row["seen_speaker"]) != ""}
        if len(kinds) < 2:
            return {}
        return {
            name: accuracy(row for row in self.predictions if row["seen_speaker"] == kind)
            for name, kind in (("accuracy_seen", True), ("accuracy_unseen", False))
        }


def accuracy(rows: Iterable[dict[str, Any]]) -> float:
    """Part of some rows of predictions that is right."""
    return float(np.mean([row["correct"] for row in rows]))


def judge(compiled: Simulator, dataset: SpikeDataset, seen_speakers: set[str]) -> Judgement:
    """Everything that is recorded of a test set.

    Args:
        compiled: The network.
        dataset: The samples.
        seen_speakers: Names of the speakers that it was trained on.
    """
    judgement = Judgement(Tally(compiled.network))
    counts: dict[str, list[NDArray[np.int32]]] = {p.name: [] for p in compiled.network.hidden}
    for chosen, result in _results(compiled, dataset):
        judgement.tally.add(result, dataset.labels[chosen])
        for name, spikes in result.spike_counts.items():
            counts[name].append(spikes)
        for i, sample in enumerate(chosen.tolist()):
            label, said = int(dataset.labels[sample]), int(result.predictions[i])
            speaker = speaker_name(dataset, int(dataset.speakers[sample]))
            judgement.predictions.append(
                {
                    "sample": sample,
                    "label": label,
                    "word": dataset.class_names[label],
                    "predicted": said,
                    "predicted_word": dataset.class_names[said],
                    "correct": said == label,
                    "speaker": speaker,
                    "seen_speaker": speaker in seen_speakers if speaker else "",
                    "loss": float(result.loss[i]),
                    "input_spikes": int(result.input_spikes[i]),
                    **{f"spikes_{n}": int(c[i].sum()) for n, c in result.spike_counts.items()},
                }
            )
    judgement.spike_counts = {name: np.concatenate(parts) for name, parts in counts.items()}
    return judgement


def _results(
    compiled: Simulator, dataset: SpikeDataset
) -> Iterable[tuple[NDArray[np.int64], BatchResult]]:
    for begin in range(0, len(dataset), SAMPLES_AT_ONCE):
        chosen = np.arange(begin, min(begin + SAMPLES_AT_ONCE, len(dataset)))
        yield chosen, compiled.evaluate(dataset.presented(chosen), dataset.labels[chosen])
