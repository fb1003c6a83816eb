"""EventProp in NumPy, equation by equation: the specification of every backend.

One trial at a time, one time step after the other. The forward pass integrates exactly over a step
of dt; the backward pass is EventProp's adjoint (Wunderlich & Pehle 2021, Table 1) in the stepped
form of mlGeNN's EventPropCompiler, run after the forward pass and with the same weights.

What the loss does to the output's adjoint depends on where it acts, see `shd_genn.losses`:
on a voltage, λV and λI decay towards a drive instead of 0; on the first spike, λV jumps there.

Symbols: V membrane voltage, x synaptic current before scaling, λV and λI their adjoints,
α = exp(-dt/τ_mem), β = exp(-dt/τ_syn), S = τ_syn/dt (1-β), A = τ_mem/(τ_mem-τ_syn).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends import Adam, CompileConfig
from shd_genn.network import LeakyIntegrateFire, Network, Population, SpikeInput
from shd_genn.readouts import READOUTS, drive_weights, read_weights

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Constants:
    """What a population's equations need, worked out once in float64."""

    alpha: float
    beta: float
    scale: float
    ratio: float
    tau_syn: float

    @staticmethod
    def of(network: Network, population: Population, dt_ms: float) -> Constants:
        """The constants of a population that has inputs."""
        assert not isinstance(population.neuron, SpikeInput)
        tau_mem, tau_syn = population.neuron.tau_mem, network.tau_syn(population)
        beta = math.exp(-dt_ms / tau_syn)
        return Constants(
            alpha=math.exp(-dt_ms / tau_mem),
            beta=beta,
            scale=tau_syn / dt_ms * (1 - beta),
            ratio=tau_mem / (tau_mem - tau_syn),
            tau_syn=tau_syn,
        )


@dataclass(frozen=True)
class Trial:
    """What the forward pass leaves behind.

    Attributes:
        spikes: Population name → the neurons that spiked, ascending, for each step.
        slopes: Population name → I/S - V at those spikes; not for the input.
        voltages: (n_steps, n_classes): output voltage after each step, and after its reset.
        readout: (n_classes,).
        final_x: Connection name → x after the last step.
    """

    spikes: dict[str, list[NDArray[np.intp]]]
    slopes: dict[str, list[Array]]
    voltages: Array
    readout: Array
    final_x: dict[str, Array]

    def counts(self, population: Population) -> NDArray[np.int32]:
        """Spikes of each neuron of a population, (neurons,)."""
        neurons = np.concatenate(self.spikes[population.name])
        return np.bincount(neurons, minlength=population.size).astype(np.int32)


def steps_of_input(
    times_ms: NDArray[np.float32], channels: NDArray[np.uint16], config: CompileConfig
) -> list[NDArray[np.intp]]:
    """Which input neurons spike in which step (mlGeNN `SpikeInput`).

    A spike appears in the first step n with float32(n dt) ≥ its time. A neuron emits at most one
    spike a step; the others follow in the steps after. What comes after the last step is dropped.
    """
    grid = (np.arange(config.n_steps) * np.float32(config.dt_ms)).astype(np.float32)
    emitted: list[list[int]] = [[] for _ in range(config.n_steps)]
    free_from: dict[int, int] = {}
    for step, channel in zip(np.searchsorted(grid, times_ms), channels.tolist(), strict=True):
        step = max(int(step), free_from.get(channel, 0))
        if step < config.n_steps:
            emitted[step].append(channel)
            free_from[channel] = step + 1
    return [np.array(sorted(neurons), np.intp) for neurons in emitted]


def forward(
    network: Network,
    config: CompileConfig,
    weights: Mapping[str, Array],
    inputs: list[NDArray[np.intp]],
    initial_x: Mapping[str, Array] | None = None,
    cut_last_current: bool = False,
) -> Trial:
    """One trial, forward.

    Args:
        network: The network.
        config: Steps.
        weights: Connection name → (source neurons, target neurons); their dtype is that of
            everything computed here.
        inputs: The input neurons that spike in each step.
        initial_x: Connection name → x at the start; from rest if not given. Only for comparison
            with mlGeNN, which lets currents run on from one trial into the next.
        cut_last_current: Set x to 0 before the last step, as mlGeNN does.
    """
    dtype = next(iter(weights.values())).dtype
    receiving = [p for p in network.populations if p != network.input]
    constants = {p.name: Constants.of(network, p, config.dt_ms) for p in receiving}
    v = {p.name: np.zeros(p.size, dtype) for p in receiving}
    x = {c.name: np.zeros(c.target.size, dtype) for c in network.connections}
    if initial_x is not None:
        x = {name: initial_x[name].astype(dtype) for name in x}
    spikes: dict[str, list[NDArray[np.intp]]] = {p.name: [] for p in network.spiking}
    spikes[network.input.name] = inputs
    slopes: dict[str, list[Array]] = {p.name: [] for p in network.spiking}
    voltages = np.zeros((config.n_steps, network.output.size), dtype)

    for step in range(config.n_steps):
        if cut_last_current and step == config.n_steps - 1:
            x = {name: np.zeros_like(array) for name, array in x.items()}
        if step > 0:  # spikes arrive one step after they were emitted
            for c in network.connections:
                for i in spikes[c.source.name][step - 1]:
                    x[c.name] += weights[c.name][i]
        for p in receiving:
            k = constants[p.name]
            alpha, scale = dtype.type(k.alpha), dtype.type(k.scale)
            current = np.zeros(p.size, dtype)
            for c in network.inputs_of(p):
                current += scale * x[c.name]
                x[c.name] *= dtype.type(k.beta)
            new_v = alpha * v[p.name] + (1 - alpha) * current
            if isinstance(p.neuron, LeakyIntegrateFire):
                fired = np.flatnonzero(new_v >= dtype.type(p.neuron.v_thresh))
                spikes[p.name].append(fired)
                slopes[p.name].append(current[fired] / scale - new_v[fired])
                new_v[fired] = 0
            v[p.name] = new_v
        voltages[step] = v[network.output.name]
    readout = _read_out(network, config, voltages, spikes)
    return Trial(spikes, slopes, voltages, readout, x)


def _read_out(
    network: Network,
    config: CompileConfig,
    voltages: Array,
    spikes: Mapping[str, list[NDArray[np.intp]]],
) -> Array:
    form = READOUTS[network.readout].form
    if form == "first_spike":
        steps = _first_spikes(spikes[network.output.name], network.output.size)
        return (-steps * config.dt_ms).astype(voltages.dtype)
    if form == "max":
        highest: Array = np.maximum(voltages.max(axis=0), 0)
        return highest
    weights = read_weights(network.readout, len(voltages)).astype(voltages.dtype)
    total: Array = np.zeros_like(voltages[0])
    for weight, voltage in zip(weights, voltages, strict=True):
        total += weight * voltage
    return total


def _first_spikes(fired: list[NDArray[np.intp]], n_neurons: int) -> NDArray[np.intp]:
    """(neurons,): the step of each neuron's first spike; the number of steps if it has none."""
    first = np.full(n_neurons, len(fired))
    for step in reversed(range(len(fired))):
        first[fired[step]] = step
    return first


def backward(
    network: Network,
    config: CompileConfig,
    weights: Mapping[str, Array],
    trial: Trial,
    drive: Array,
    jumps: Mapping[str, Array],
) -> dict[str, Array]:
    """One trial, backward: EventProp's weight gradients in mlGeNN's scale.

    Args:
        network: The network.
        config: Steps.
        weights: The weights of the forward pass.
        trial: What it left behind.
        drive: What `losses.loss_and_drive` says of this trial.
        jumps: Hidden population name → (neurons,): the regulariser's jump.

    Returns:
        Connection name → (source neurons, target neurons); see `gradient_scale`.
    """
    dtype = next(iter(weights.values())).dtype
    receiving = [p for p in network.populations if p != network.input]
    constants = {p.name: Constants.of(network, p, config.dt_ms) for p in receiving}
    lambda_v = {p.name: np.zeros(p.size, dtype) for p in receiving}
    lambda_i = {p.name: np.zeros(p.size, dtype) for p in receiving}
    gradient = {name: np.zeros_like(array) for name, array in weights.items()}
    output_drive, output_jumps = _output_drive(network, config, trial, drive)

    for step in reversed(range(config.n_steps)):
        # A spike of this step acted on its targets in the next: the adjoint has just been there.
        feedback = {p.name: np.zeros(p.size, dtype) for p in network.spiking}
        for c in network.connections:
            fired, target = trial.spikes[c.source.name][step], c.target.name
            gradient[c.name][fired] -= dtype.type(constants[target].tau_syn) * lambda_i[target]
            if c.source.name in feedback:
                difference = lambda_v[target] - lambda_i[target]
                feedback[c.source.name][fired] += weights[c.name][fired] @ difference
        if step == config.n_steps - 1:  # the kick at the end
            lambda_v[network.output.name] += output_jumps[config.n_steps]
        for p in receiving:
            k = constants[p.name]
            alpha, beta = dtype.type(k.alpha), dtype.type(k.beta)
            cross = dtype.type(k.ratio * (k.alpha - k.beta))
            d = output_drive[step] if p == network.output else dtype.type(0)
            lambda_i[p.name] = d + beta * (lambda_i[p.name] - d) + cross * (lambda_v[p.name] - d)
            lambda_v[p.name] = d + alpha * (lambda_v[p.name] - d)
        for p in network.spiking:
            assert isinstance(p.neuron, LeakyIntegrateFire)
            fired, caused = trial.spikes[p.name][step], feedback[p.name]
            if p == network.output:
                caused += output_jumps[step]
            after = dtype.type(p.neuron.v_thresh) * lambda_v[p.name][fired]
            lambda_v[p.name][fired] += (after + caused[fired]) / trial.slopes[p.name][step]
            if p.name in jumps:
                lambda_v[p.name][fired] -= jumps[p.name][fired]
    return gradient


def _output_drive(
    network: Network, config: CompileConfig, trial: Trial, drive: Array
) -> tuple[Array, Array]:
    """How the loss acts on the output's adjoint, in every step.

    Returns:
        What λV and λI decay towards, (n_steps, n_classes), and what the loss has by the time of a
        spike in that step, (n_steps + 1, n_classes); the row beyond the last step is the kick at
        the end of the trial.
    """
    n_steps, size, form = config.n_steps, network.output.size, READOUTS[network.readout].form
    held, jumps = np.zeros((n_steps, size), drive.dtype), np.zeros((n_steps + 1, size), drive.dtype)
    if form == "first_spike":
        first = _first_spikes(trial.spikes[network.output.name], size)
        jumps[first, np.arange(size)] = drive
        return held, jumps
    weights = drive_weights(network.readout, n_steps, config.dt_ms, network.tau_mem_out)
    held[:] = weights.astype(drive.dtype)[:, np.newaxis] * drive
    if form == "max":
        best = np.where(trial.readout > 0, trial.voltages.argmax(axis=0), 0)
        held[np.arange(n_steps)[:, np.newaxis] != best] = 0
    return held, jumps


def adam_update(
    adam: Adam, w: Array, g: Array, m: Array, v: Array, step: int, learning_rate: float
) -> tuple[Array, Array, Array]:
    """Weights and moments after update number ``step`` = 1, 2, …; see `Adam`."""
    m = adam.beta1 * m + (1 - adam.beta1) * g
    v = adam.beta2 * v + (1 - adam.beta2) * g**2
    m_hat, v_hat = m / (1 - adam.beta1**step), v / (1 - adam.beta2**step)
    return w - learning_rate * m_hat / (np.sqrt(v_hat) + adam.epsilon), m, v
