"""The loss: one definition for all backends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def softmax(readout: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the classes, (n_samples, n_classes), in the readout's precision."""
    powers = np.exp(readout - readout.max(axis=1, keepdims=True))
    p: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return p


def cross_entropy(
    readout: NDArray[np.float32], labels: NDArray[np.integer]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cross-entropy of the softmax over the classes (mlGeNN `SparseCategoricalCrossentropy`).

    Args:
        readout: (n_samples, n_classes).
        labels: (n_samples,).

    Returns:
        The loss of each sample, (n_samples,), and minus its derivative by the readout,
        1[class = label] - p, (n_samples, n_classes), which drives the adjoint of the output
        (Nowotny, Turner & Knight 2025, eq. for λ_V of the sum losses).
    """
    shifted = readout - readout.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    drive = -np.exp(log_p)
    drive[rows, labels] += 1
    return -log_p[rows, labels], drive
