"""EventProp in NumPy, equation by equation: the specification of every backend.

One trial at a time, one time step after the other. The forward pass integrates exactly over a step
of dt; the backward pass is EventProp's adjoint (Wunderlich & Pehle 2021, Table 1) in the stepped
form of mlGeNN's EventPropCompiler, run after the forward pass and with the same weights.

What the loss does to the output's adjoint depends on where it acts, see `shd_genn.losses`:
on a voltage, λV and λI decay towards a drive instead of 0; on the first spike, λV jumps there.

A spike that takes d steps longer acts d steps later, so its adjoint is read there (Mészáros et al.
2025): dL/dw = -τ_syn λI(t + d), and what it causes is w (λV - λI)(t + d). Moving the arrival by δ
costs δ w (λV - λI)(t + d), which is the gradient of the delay. Those of time constants and
thresholds are in `sensitivities`.

Symbols: V membrane voltage, x synaptic current before scaling, λV and λI their adjoints,
α = exp(-dt/τ_mem), β = exp(-dt/τ_syn), S = τ_syn/dt (1-β), A = τ_mem/(τ_mem-τ_syn); all of these
may differ from neuron to neuron.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends import Adam, CompileConfig
from shd_genn.backends.sensitivities import Constants, Sensitivity
from shd_genn.network import Connection, LeakyIntegrateFire, Network, Population, SpikeInput
from shd_genn.readouts import READOUTS, drive_weights, read_weights

Array = NDArray[np.floating]


def constants_of(
    network: Network,
    population: Population,
    parameters: Mapping[str, Array],
    dt_ms: float,
) -> Constants:
    """The constants of each neuron of a population that has inputs, in float64."""
    neuron = population.neuron
    assert not isinstance(neuron, SpikeInput)
    v_thresh = neuron.v_thresh if isinstance(neuron, LeakyIntegrateFire) else math.inf
    values = {
        "tau_mem": neuron.tau_mem,
        "tau_syn": network.tau_syn(population),
        "v_thresh": v_thresh,
    }
    arrays = {
        kind: np.full(population.size, value)
        if isinstance(value, float | int)
        else parameters[f"{population.name}.{kind}"]
        for kind, value in values.items()
    }
    return Constants.of(**arrays, dt_ms=dt_ms)


def whole_steps(delay: Array) -> NDArray[np.intp]:
    """Delays as they are used: rounded to whole steps, halves away from 0 (as mlGeNN)."""
    steps: NDArray[np.intp] = np.floor(delay.astype(np.float64) + 0.5).astype(np.intp)
    return steps


@dataclass(frozen=True)
class Trial:
    """What the forward pass leaves behind.

    Attributes:
        spikes: Population name → the neurons that spiked, ascending, for each step.
        slopes: Population name → I/S - V at those spikes; not for the input.
        voltages: (n_steps, n_classes): output voltage after each step, and after its reset.
        readout: (n_classes,).
        final_x: Connection name → x after the last step.
        sensitivities: ``POPULATION.KIND`` of what is learned of neurons → e in each step, see
            `sensitivities`: of the neurons that spiked, or of all of an output that does not spike.
        final_e: Likewise, e of all neurons after the last step.
    """

    spikes: dict[str, list[NDArray[np.intp]]]
    slopes: dict[str, list[Array]]
    voltages: Array
    readout: Array
    final_x: dict[str, Array]
    sensitivities: dict[str, list[Array]]
    final_e: dict[str, Array]

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
    parameters: Mapping[str, Array],
    inputs: list[NDArray[np.intp]],
    initial_x: Mapping[str, Array] | None = None,
    cut_last_current: bool = False,
) -> Trial:
    """One trial, forward.

    Args:
        network: The network.
        config: Steps.
        parameters: All `Parameters`; their dtype is that of everything computed here.
        inputs: The input neurons that spike in each step.
        initial_x: Connection name → x at the start; from rest if not given. Only for comparison
            with mlGeNN, which lets currents run on from one trial into the next.
        cut_last_current: Set x, and what is under way, to 0 before the last step, as mlGeNN does.
    """
    dtype = next(iter(parameters.values())).dtype
    receiving = [p for p in network.populations if p != network.input]
    constants = {
        p.name: constants_of(network, p, parameters, config.dt_ms).astype(dtype) for p in receiving
    }
    learned = {p.name: Sensitivity(_learned_of(network, p), constants[p.name]) for p in receiving}
    v = {p.name: np.zeros(p.size, dtype) for p in receiving}
    x = {c.name: np.zeros(c.target.size, dtype) for c in network.connections}
    if initial_x is not None:
        x = {name: initial_x[name].astype(dtype) for name in x}
    synapses = {c.name: _Synapses(c, parameters, config.n_steps) for c in network.connections}
    spikes: dict[str, list[NDArray[np.intp]]] = {p.name: [] for p in network.spiking}
    spikes[network.input.name] = inputs
    slopes: dict[str, list[Array]] = {p.name: [] for p in network.spiking}
    sensitivities: dict[str, list[Array]] = {
        f"{name}.{kind}": [] for name, each in learned.items() for kind in each.e
    }
    voltages = np.zeros((config.n_steps, network.output.size), dtype)

    for step in range(config.n_steps):
        if cut_last_current and step == config.n_steps - 1:
            x = {name: np.zeros_like(array) for name, array in x.items()}
            for each in synapses.values():
                each.forget()
        if step > 0:  # spikes arrive one step after they were emitted, or later
            for c in network.connections:
                x[c.name] += synapses[c.name].arrivals(step, spikes[c.source.name][step - 1])
        for p in receiving:
            k, own = constants[p.name], learned[p.name]
            total: Array = np.zeros(p.size, dtype)
            for c in network.inputs_of(p):
                total += x[c.name]
            current = k.scale * total
            own.step(v[p.name], total)
            for c in network.inputs_of(p):
                x[c.name] *= k.beta
            v[p.name] = k.alpha * v[p.name] + (1 - k.alpha) * current
            fired = np.flatnonzero(v[p.name] >= k.v_thresh)
            kept = fired if p.name in slopes else slice(None)
            for kind, e in own.e.items():
                sensitivities[f"{p.name}.{kind}"].append(e[kept].copy())
            if p.name in slopes:
                spikes[p.name].append(fired)
                slopes[p.name].append(total[fired] - v[p.name][fired])
                v[p.name][fired] = 0
                own.reset(fired)
        voltages[step] = v[network.output.name]
    return Trial(
        spikes=spikes,
        slopes=slopes,
        voltages=voltages,
        readout=_read_out(network, config, voltages, spikes),
        final_x=x,
        sensitivities=sensitivities,
        final_e={f"{name}.{kind}": e for name, own in learned.items() for kind, e in own.e.items()},
    )


def _learned_of(network: Network, population: Population) -> list[str]:
    """The kinds of parameters of a population's neurons that are learned."""
    own = f"{population.name}."
    return [p.kind for p in network.parameters if p.trained and p.key.startswith(own)]


class _Synapses:
    """A connection's weights and delays, and the spikes that are under way."""

    def __init__(self, connection: Connection, parameters: Mapping[str, Array], n_steps: int):
        self._w, self._n_steps = parameters[connection.name], n_steps
        self._targets = np.arange(connection.target.size)
        self._delay = None
        if connection.delayed:
            self._delay = whole_steps(parameters[f"{connection.name}.delay"])
            self._under_way = np.zeros((n_steps + 1, connection.target.size), self._w.dtype)

    def arrivals(self, step: int, fired: NDArray[np.intp]) -> Array:
        """What arrives in a step, (target neurons,), given who spiked in the step before."""
        total: Array
        if self._delay is None:
            total = np.zeros_like(self._w[0])
            for i in fired:
                total += self._w[i]
            return total
        for i in fired:  # what would come after the last step goes into a row that nobody reads
            arrival = np.minimum(step + self._delay[i], self._n_steps)
            self._under_way[arrival, self._targets] += self._w[i]
        total = self._under_way[step]
        return total

    def forget(self) -> None:
        """Drop what is under way."""
        if self._delay is not None:
            self._under_way[:] = 0


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
    parameters: Mapping[str, Array],
    trial: Trial,
    drive: Array,
    jumps: Mapping[str, Array],
) -> dict[str, Array]:
    """One trial, backward: EventProp's gradients in mlGeNN's scale.

    Args:
        network: The network.
        config: Steps.
        parameters: Those of the forward pass.
        trial: What it left behind.
        drive: What `losses.loss_and_drive` says of this trial.
        jumps: Hidden population name → (neurons,): the regulariser's jump.

    Returns:
        Key → gradient, of all parameters that are learned; see `gradient_scale`.
    """
    dtype = next(iter(parameters.values())).dtype
    receiving = [p for p in network.populations if p != network.input]
    constants = {
        p.name: constants_of(network, p, parameters, config.dt_ms).astype(dtype) for p in receiving
    }
    adjoint = {p.name: _Adjoint(p.size, config.n_steps, dtype) for p in receiving}
    gradient = {p.key: np.zeros(p.shape, dtype) for p in network.parameters if p.trained}
    output_drive, output_jumps = _output_drive(network, config, trial, drive)
    output = network.output.name

    for step in reversed(range(config.n_steps)):
        feedback: dict[str, Array] = {p.name: np.zeros(p.size, dtype) for p in network.spiking}
        for c in network.connections:
            fired = trial.spikes[c.source.name][step]
            lambda_i, difference = adjoint[c.target.name].at_arrival(c, parameters, fired, step)
            gradient[c.name][fired] -= constants[c.target.name].tau_syn * lambda_i
            moved = parameters[c.name][fired] * difference  # what moving an arrival does, per ms
            if c.train_delay:
                gradient[f"{c.name}.delay"][fired] += dtype.type(config.dt_ms) * moved
            if c.source.name in feedback:
                feedback[c.source.name][fired] += moved.sum(axis=1)
        if step == config.n_steps - 1:  # the kick at the end
            adjoint[output].v += output_jumps[config.n_steps]
            _learn(gradient, trial.final_e, output, -constants[output].tau_mem * adjoint[output].v)
        for p in receiving:
            drive_now = output_drive[step] if p == network.output else dtype.type(0)
            adjoint[p.name].decay(constants[p.name], drive_now)
        for p in network.spiking:
            k, lambda_v = constants[p.name], adjoint[p.name].v
            fired, caused = trial.spikes[p.name][step], feedback[p.name]
            if p == network.output:
                caused += output_jumps[step]
            after = k.v_thresh[fired] * lambda_v[fired]
            lambda_v[fired] += (after + caused[fired]) / trial.slopes[p.name][step]
            if p.name in jumps:
                lambda_v[fired] -= jumps[p.name][fired]
            by_voltage = -k.tau_mem[fired] * lambda_v[fired]
            _learn(gradient, _now(trial.sensitivities, step), p.name, by_voltage, fired)
        if network.output not in network.spiking:
            by_voltage = -dtype.type(config.dt_ms) * output_drive[step]
            _learn(gradient, _now(trial.sensitivities, step), output, by_voltage)
        for each in adjoint.values():
            each.remember(step)
    return gradient


def _now(sensitivities: Mapping[str, list[Array]], step: int) -> dict[str, Array]:
    return {key: e[step] for key, e in sensitivities.items()}


def _learn(
    gradient: dict[str, Array],
    sensitivities: Mapping[str, Array],
    population: str,
    by_voltage: Array,
    neurons: NDArray[np.intp] | slice = slice(None),
) -> None:
    """Add ∂L/∂V · e to the gradients of a population's own parameters; see `sensitivities`."""
    for key, e in sensitivities.items():
        if key.startswith(f"{population}."):
            gradient[key][neurons] += by_voltage * e


class _Adjoint:
    """λV and λI of a population, now and in the steps that come after."""

    def __init__(self, size: int, n_steps: int, dtype: np.dtype[np.floating]) -> None:
        self.v: Array = np.zeros(size, dtype)
        self.i: Array = np.zeros(size, dtype)
        self._n_steps, self._targets = n_steps, np.arange(size)
        # nothing has an effect that arrives after the last step
        self._lambda_i = np.zeros((n_steps + 1, size), dtype)
        self._difference = np.zeros((n_steps + 1, size), dtype)

    def decay(self, k: Constants, drive: Array | np.floating) -> None:
        """One step back, towards a drive that is held for the step."""
        self.i = drive + k.beta * (self.i - drive) + k.cross * (self.v - drive)
        self.v = drive + k.alpha * (self.v - drive)

    def remember(self, step: int) -> None:
        """The step is done."""
        self._lambda_i[step], self._difference[step] = self.i, self.v - self.i

    def at_arrival(
        self,
        connection: Connection,
        parameters: Mapping[str, Array],
        fired: NDArray[np.intp],
        step: int,
    ) -> tuple[Array, Array]:
        """λI and λV - λI where spikes of a step arrive, (spikes, target neurons): one step later.

        A spike that took d steps longer acted d steps later.
        """
        arrival = np.full((len(fired), len(self._targets)), step + 1)
        if connection.delayed:
            arrival += whole_steps(parameters[f"{connection.name}.delay"][fired])
        arrival = np.minimum(arrival, self._n_steps)
        return self._lambda_i[arrival, self._targets], self._difference[arrival, self._targets]


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
