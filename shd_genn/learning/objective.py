"""The objective: loss and regulariser, one definition for all backends.

The loss of a readout of voltages is the cross-entropy of its softmax,

    L = -log p_y,  p = softmax(readout/θ),  -∂L/∂readout_k = (1[k = y] - p_k)/θ,   y the label,

with θ the softmax's temperature (1 in the papers). The loss of ``var`` is that cross-entropy in
every time step, averaged (mlGeNN's ``per_timestep_loss``; on SHD it fails, see
analysis/gedanken.py):

    L = (1/T) ∫ -log softmax(V(t)/θ)_y dt,  -∂L/∂V_k(t) = (1[k = y] - softmax(V(t)/θ)_k) / (T θ).

Averages over a trial are small numbers: 256 neurons that spike ten times a second through weights
of 0.03 make an output of about 0.01. With θ = 1 all classes then stay equally probable until the
output weights are a hundred times larger, and until then the gradient of hidden weights is small
and has little to do with the classes. A lower temperature makes the readout matter from the first
batch.

``max_var`` is read at the time of the maximum. Where V peaks smoothly, a change of that time
changes nothing. Often the maximum is where a spike arrives that pulls V down. Then the derivative
has another term, V's left slope there times the change of the spike's time. EventProp leaves it
out, here as in genn_eventprop and mlGeNN, so that only output weights have an exact gradient there.

The loss of first spikes at t_k (t_k = T if there is none) is

    L = -log p_y + c(t_y),  p = softmax(-t/τ0),  ∂L/∂t_k = (1[k = y] - p_k)/τ0 + 1[k = y] c'(t_y),

    first_spike_time:      c(t) = α / (1.01 T - t)          c'(t) = α / (1.01 T - t)²
    first_spike_time_exp:  c(t) = α (exp(t/τ1) - 1)         c'(t) = (α/τ1) exp(t/τ1)

(genn_eventprop `EVP_LIF_output_first_spike` and `…_exp`; the first is mlGeNN's too). EventProp
adds ∂L/∂t_k / (τ_mem dV/dt) to λ_V at that spike (Wunderlich & Pehle 2021, Table 1).
If the right output never spikes, the loss has no gradient by its weights. The published code then
adds c'(T) to λ_V at the end of the trial (its phantom spike). That is the exact gradient of another
term, -c'(T) τ_mem V_y(T), which pulls the voltage up; the reported loss does not contain it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shd_genn.learning.dropout import Dropout
from shd_genn.network import Network
from shd_genn.network.readouts import READOUTS, Readout
from shd_genn.support.errors import require, require_positive

Float = NDArray[np.floating]


@dataclass(frozen=True)
class Regulariser:
    """Pulls the spike count of each hidden neuron towards a target (mlGeNN's, same strengths).

    At each spike of a neuron its adjoint jumps: λ_V -= (strength / B) (c - target), with c the
    neuron's spikes per trial, averaged over the batch of B samples.

    Attributes:
        upper: Strength where c > target (mlGeNN ``reg_lambda_upper``).
        lower: Strength elsewhere (mlGeNN ``reg_lambda_lower``).
        target: Spikes per neuron and trial (mlGeNN ``reg_nu_upper``).
    """

    upper: float = 0.0
    lower: float = 0.0
    target: float = 14.0

    def __post_init__(self) -> None:
        for name in ("upper", "lower", "target"):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"0 <= regulariser {name} < inf", value, "0 means none")


@dataclass(frozen=True)
class FirstSpikeLoss:
    """Constants of the losses of first spikes (Nowotny, Turner & Knight 2025); see above.

    Attributes:
        tau0_ms: Spikes compete by exp(-t/tau0); mlGeNN's ``softmax_temperature``.
        tau1_ms: Time constant of the exponential penalty of late spikes.
        alpha: Strength of the penalty; mlGeNN's ``ttfs_alpha``.
    """

    tau0_ms: float = 1.0
    tau1_ms: float = 100.0
    alpha: float = 5e-5

    def __post_init__(self) -> None:
        for name in ("tau0_ms", "tau1_ms"):
            value = getattr(self, name)
            require(0 < value < math.inf, f"0 < first spike {name} < inf", value, "it is in ms")
        require(
            0 <= self.alpha < math.inf, "0 <= first spike alpha < inf", self.alpha, "0 means none"
        )


@dataclass(frozen=True)
class Objective:
    """What is minimised, besides the readout, which the network's output has.

    Attributes:
        temperature: What the softmax divides the numbers of a voltage by, in the unit of V.
        first_spike: Constants of the loss, if first spikes are read.
        regulariser: Of the hidden spike counts.
        label_smoothing: ε: the part of each label that is spread evenly over all classes (Szegedy
            et al. 2016), for losses of voltages.
        dropout: Which hidden neurons are silent in training.
    """

    temperature: float = 1.0
    first_spike: FirstSpikeLoss = field(default_factory=FirstSpikeLoss)
    regulariser: Regulariser = field(default_factory=Regulariser)
    label_smoothing: float = 0.0
    dropout: Dropout = field(default_factory=Dropout)

    def __post_init__(self) -> None:
        smoothing = self.label_smoothing
        require(0 <= smoothing < 1, "0 <= label_smoothing < 1", smoothing, "0.1 is usual")
        require_positive("temperature", self.temperature, "1 is the papers' value")


class LossSettings(Protocol):
    """What a loss depends on besides the network; a `shd_genn.backends.CompileConfig` has it."""

    @property
    def objective(self) -> Objective:
        """What is minimised."""

    @property
    def trial_ms(self) -> float:
        """Length of a trial in ms."""


def needs_voltages(readout: Readout) -> bool:
    """Whether the loss is of the output voltages of all steps, not of the readout alone."""
    return READOUTS[readout].form == "each_step"


def probabilities(network: Network, config: LossSettings, readout: Float) -> Float:
    """Softmax over the classes, as the loss takes it: (n_samples, n_classes)."""
    objective, by_time = config.objective, _is_time(network.readout)
    return softmax(readout / (objective.first_spike.tau0_ms if by_time else objective.temperature))


def loss_and_drive(
    network: Network,
    config: LossSettings,
    readout: Float,
    labels: NDArray[np.integer],
    voltages: Float | None = None,
) -> tuple[Float, Float]:
    """Loss of each sample, and what the loss does to the adjoint of the output.

    Args:
        network: Its output has the readout.
        config: Length of the trial and constants.
        readout: (n_samples, n_classes).
        labels: (n_samples,).
        voltages: (n_samples, n_steps, n_classes): output voltages, where `needs_voltages`.

    Returns:
        The loss, (n_samples,), and the drive, in the precision of what is given:
        -∂L/∂readout, (n_samples, n_classes), to be weighted with `readouts.drive_weights`;
        for ``var`` the same for each step, (n_samples, n_steps, n_classes);
        for first spikes ∂L/∂t in 1/ms, (n_samples, n_classes), or the kick where there is none.
    """
    if _is_time(network.readout):
        return _first_spike_loss(
            network.readout, config.objective.first_spike, -readout, labels, config.trial_ms
        )
    if not needs_voltages(network.readout):
        objective = config.objective
        return cross_entropy(readout, labels, objective.temperature, objective.label_smoothing)
    assert voltages is not None
    n_samples, n_steps, n_classes = voltages.shape
    each_step, each_label = voltages.reshape(-1, n_classes), np.repeat(labels, n_steps)
    objective = config.objective
    loss, drive = cross_entropy(
        each_step, each_label, objective.temperature, objective.label_smoothing
    )
    return loss.reshape(n_samples, n_steps).mean(axis=1), drive.reshape(voltages.shape)


def softmax(readout: Float) -> Float:
    """Softmax over the classes, (n_samples, n_classes), in the readout's precision."""
    powers = np.exp(readout - readout.max(axis=1, keepdims=True))
    p: Float = powers / powers.sum(axis=1, keepdims=True)
    return p


def cross_entropy(
    readout: Float,
    labels: NDArray[np.integer],
    temperature: float = 1.0,
    label_smoothing: float = 0.0,
) -> tuple[Float, Float]:
    """Cross-entropy of the softmax over the classes (mlGeNN `SparseCategoricalCrossentropy`).

    Args:
        readout: (n_samples, n_classes).
        labels: (n_samples,).
        temperature: What the softmax divides the readout by, in the readout's unit.
        label_smoothing: ε, the part of a label that is spread over all K classes.

    Returns:
        The loss of each sample, -Σ_k q_k log p_k with q_k = (1-ε) 1[k = label] + ε/K, (n_samples,),
        and minus its derivative by the readout, (q - p) / temperature, (n_samples, n_classes).
    """
    rows = np.arange(len(labels))
    shifted = (readout - readout.max(axis=1, keepdims=True)) / temperature
    powers = np.exp(shifted)
    total = powers.sum(axis=1)
    drive = -powers / total[:, np.newaxis]
    if not label_smoothing:
        drive[rows, labels] += 1
        return np.log(total) - shifted[rows, labels], drive / temperature
    drive[rows, labels] += 1 - label_smoothing
    drive += label_smoothing / readout.shape[1]
    right = (1 - label_smoothing) * shifted[rows, labels]
    return np.log(total) - right - label_smoothing * shifted.mean(axis=1), drive / temperature


def _is_time(readout: Readout) -> bool:
    return READOUTS[readout].form == "first_spike"


def _first_spike_loss(
    readout: Readout,
    constants: FirstSpikeLoss,
    times: Float,
    labels: NDArray[np.integer],
    trial_ms: float,
) -> tuple[Float, Float]:
    rows = np.arange(len(labels))
    alpha, tau1, t = constants.alpha, constants.tau1_ms, times[rows, labels]
    if readout == "first_spike_time_exp":
        late, late_slope = alpha * np.expm1(t / tau1), alpha / tau1 * np.exp(t / tau1)
    else:
        late, late_slope = alpha / (1.01 * trial_ms - t), alpha / (1.01 * trial_ms - t) ** 2
    loss, drive = cross_entropy(-times, labels, constants.tau0_ms)
    drive[rows, labels] += late_slope
    silent = times > trial_ms * (1 - 1e-6)  # t = T; the last step is earlier by more than rounding
    kick = np.zeros_like(drive)
    kick[rows, labels] = late_slope
    return loss + late, np.where(silent, kick, drive)


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
