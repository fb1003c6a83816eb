"""Readout, loss and regulariser: one definition for all backends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends import Regulariser
from shd_genn.network import Readout


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
    rows = np.arange(len(labels))
    shifted = readout - readout.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    drive = -softmax(readout)
    drive[rows, labels] += 1
    return log_sum - shifted[rows, labels], drive


def read_weights(readout: Readout, n_steps: int) -> NDArray[np.float64]:
    """Weight of the output voltage of each step in the readout; mlGeNN's `AvgVar…`, `SumVar`.

    Args:
        readout: The readout's name; for ``max_var`` the weights have no meaning.
        n_steps: Steps N of a trial.

    Returns:
        float64, (n_steps,): exp(-n/N)/N for ``avg_var_exp_weight``, 1/N for ``avg_var``, else 1.
    """
    if readout == "avg_var_exp_weight":
        return np.exp(-np.arange(n_steps) / n_steps) / n_steps
    return np.full(n_steps, 1 / n_steps if readout == "avg_var" else 1.0)


def drive_weights(
    readout: Readout, n_steps: int, dt_ms: float, tau_mem: float
) -> NDArray[np.float64]:
    """What the output's adjoint is driven with in each step, per unit of ``cross_entropy``'s drive.

    As in mlGeNN's EventPropCompiler: 1/(tau_mem T), times exp(-(n+1)/N) for
    ``avg_var_exp_weight`` (one step beyond the weight of the forward pass, because the adjoint of
    step n acts at that step's end).

    Args:
        readout: The readout's name; ``max_var`` is driven in the step of the maximum only.
        n_steps: Steps N of a trial.
        dt_ms: Length of a step in ms.
        tau_mem: Membrane time constant of the output in ms.

    Returns:
        float64, (n_steps,), in 1/ms².
    """
    weights = np.full(n_steps, 1 / (tau_mem * n_steps * dt_ms))
    if readout == "avg_var_exp_weight":
        weights *= np.exp(-(np.arange(n_steps) + 1) / n_steps)
    return weights


def regulariser_jump(
    spike_counts: NDArray[np.int32], regulariser: Regulariser
) -> NDArray[np.float64]:
    """What is taken from λ_V at each spike of a hidden neuron, to pull its spike count.

    mlGeNN's rule with the published strengths: (strength / B)(c - target), c the mean spike count
    over the batch of B trials. (mlGeNN cuts B·target down to a whole number; this does not.)

    Args:
        spike_counts: (n_samples, neurons).
        regulariser: Strengths and target.

    Returns:
        float64, (neurons,).
    """
    excess = spike_counts.mean(axis=0) - regulariser.target
    strength = np.where(excess > 0, regulariser.upper, regulariser.lower)
    jump: NDArray[np.float64] = strength / len(spike_counts) * excess
    return jump
