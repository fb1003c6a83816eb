"""Peers that are backends of this project, used through the same interface as in training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.choice import get
from shd_genn.backends.protocols import CompileConfig, require_learner
from shd_genn.bench.peers.case import Batch, Setting, Weights
from shd_genn.learning.methods import EventProp, Method


class CompiledPeer:
    """A backend of this project as a peer."""

    backend: str
    batch_size: int
    method: Method = EventProp()

    @staticmethod
    def place(setting: Setting, batch: Batch) -> Batch:
        """Leave the spikes as they are: sorting them into steps is part of the measured work."""
        return batch

    def __init__(self, setting: Setting, batch: Batch) -> None:
        config = CompileConfig(
            n_steps=setting.n_steps,
            dt_ms=setting.dt_ms,
            n_threads=setting.threads,
            batch_size=len(batch),
            delay_line=setting.line,
        )
        self._batch, self._learning_rate = batch, setting.learning_rate
        self._compiled = require_learner(
            get(self.backend).compile(setting.network, self.method, config)
        )
        self._compiled.__enter__()

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights."""
        self._compiled.set_parameters(weights)

    def spike_counts(self) -> NDArray[np.float64]:
        """Spikes of each hidden neuron, mean over samples."""
        result = self._compiled.evaluate(self._batch.events)
        mean: NDArray[np.float64] = result.spike_counts["hidden0"].mean(axis=0)
        return mean

    def train_batch(self) -> float:
        """Train on the batch; returns the mean loss before the update."""
        batch = self._batch
        result = self._compiled.train_batch(batch.events, batch.labels, self._learning_rate)
        return float(result.loss.mean())

    def close(self) -> None:
        """Free the engine."""
        self._compiled.__exit__(None, None, None)
