"""The reader of STDP: from spike counts of a trial to an answer, fitted to the labels.

All readers are a matrix and a bias, answer = counts · W + b. They are fitted to sums over samples
that are forgotten slowly, because the neurons change while they learn:

    A = Σ f fᵀ,  B = Σ f yᵀ      f: counts and a 1, y: 1 for the sample's word, else 0

linear: W = (A + ridge)⁻¹ B, ridge regression, exactly. labels: each neuron answers with the word
that it spikes most for per sample; an answer is the mean count of a word's neurons (Diehl & Cook
2015). votes: the same with words that are given to the neurons in turn, before training.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy  # loads its parts when they are first used
from numpy.typing import NDArray

from shd_genn.learning.methods.stdp import ReaderName

Array = NDArray[np.float64]


class Reader:
    """A reader and the sums that it is fitted to.

    Args:
        kind: See `ReaderName`.
        n_features: Spike counts of a trial.
        n_classes: Words.
        memory: Samples after which all but 1/e of a sample is forgotten.
        ridge: Relative to the mean of A's diagonal.

    Attributes:
        weights: float32, (n_features, n_classes).
        bias: float32, (n_classes,).
    """

    def __init__(
        self, kind: ReaderName, n_features: int, n_classes: int, memory: float, ridge: float
    ) -> None:
        self._kind, self._memory, self._ridge = kind, memory, ridge
        self._n_classes = n_classes
        size = n_features + 1
        self._a = np.zeros((size, size) if kind == "linear" else (0, 0))
        self._b = np.zeros((size, n_classes))
        self.weights = np.zeros((n_features, n_classes), np.float32)
        self.bias = np.zeros(n_classes, np.float32)
        if kind == "votes":
            self._give(np.arange(n_features) % n_classes, np.ones(n_features, bool))

    def __call__(self, counts: NDArray[np.integer]) -> NDArray[np.float32]:
        """The answers to some trials, (n_samples, n_classes)."""
        return counts.astype(np.float32) @ self.weights + self.bias

    def add(self, counts: NDArray[np.integer], labels: NDArray[np.integer]) -> None:
        """Add some samples to the sums; `fit` then uses them."""
        kept = np.exp(-len(labels) / self._memory)
        f = np.column_stack([counts, np.ones(len(labels))]).astype(np.float64)
        self._b *= kept
        self._b += f.T @ np.eye(self._n_classes)[labels]
        if self._kind == "linear":
            self._a *= kept
            self._a += f.T @ f

    def fit(self) -> None:
        """Fit the reader to the sums."""
        if self._kind == "linear":
            self._regress()
        elif self._kind == "labels":
            samples = np.maximum(self._b[-1], 1e-9)  # of each word
            response = self._b[:-1] / samples
            self._give(response.argmax(axis=1), response.any(axis=1))

    def _regress(self) -> None:
        a = self._a.copy()
        diagonal = np.einsum("ii->i", a)  # a view
        # the bias is not shrunk: it has almost no ridge
        ridge = np.full(len(a), self._ridge * max(diagonal[:-1].mean(), 1e-9))
        ridge[-1] = 1e-9 * max(diagonal[-1], 1e-9)
        diagonal += ridge
        solution = scipy.linalg.solve(a, self._b, assume_a="pos", overwrite_a=True)
        self.weights, self.bias = solution[:-1].astype(np.float32), solution[-1].astype(np.float32)

    def _give(self, words: NDArray[np.integer], spikes: NDArray[np.bool_]) -> None:
        """Let each neuron answer with a word, if it spikes at all."""
        given = np.eye(self._n_classes)[words] * spikes[:, np.newaxis]
        self.weights = (given / np.maximum(given.sum(axis=0), 1)).astype(np.float32)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of the sums."""
        return {"reader_a": self._a.copy(), "reader_b": self._b.copy()}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the sums."""
        self._a = np.array(state["reader_a"], np.float64)
        self._b = np.array(state["reader_b"], np.float64)
