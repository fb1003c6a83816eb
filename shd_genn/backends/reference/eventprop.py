"""EventProp in NumPy, equation by equation: the specification of every backend.

One trial at a time, one time step after the other. The forward pass integrates exactly over a step
of dt; the backward pass is EventProp's adjoint (Wunderlich & Pehle 2021, Table 1) in the stepped
form of mlGeNN's EventPropCompiler, run after the forward pass and with the same weights.

A spike that takes d steps longer acts d steps later, so its adjoint is read there (Mészáros et al.
2025): dL/dw = -τ_syn λI(t + d), and what it causes is w (λV - λI)(t + d). Moving the arrival by δ
costs δ w (λV - λI)(t + d), which is the gradient of the delay. Those of time constants and
thresholds are in `sensitivities`; how the output is read, and what the loss does to its adjoint, is
in `trial`.

Symbols: V membrane voltage, x synaptic current before scaling, λV and λI their adjoints,
α = exp(-dt/τ_mem), β = exp(-dt/τ_syn), S = τ_syn/dt (1-β), A = τ_mem/(τ_mem-τ_syn); all of these
may differ from neuron to neuron.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.sensitivities import Constants, Sensitivity
from shd_genn.backends.reference.synapses import Synapses, whole_steps
from shd_genn.backends.reference.trial import Trial, output_drive, read_out
from shd_genn.network import Connection, Network, Population

Array = NDArray[np.floating]


def constants_of(
    network: Network,
    population: Population,
    parameters: Mapping[str, Array],
    dt_ms: float,
) -> Constants:
    """The constants of each neuron of a population that has inputs, in float64."""
    values = {"v_thresh": math.inf, **network.values_of(population)}  # of what never spikes
    arrays = {
        kind: np.full(population.size, value)
        if isinstance(value, float | int)
        else parameters[f"{population.name}.{kind}"]
        for kind, value in values.items()
    }
    return Constants.of(**arrays, dt_ms=dt_ms)


def _all_constants(
    network: Network, config: CompileConfig, parameters: Mapping[str, Array]
) -> dict[str, Constants]:
    """Those of all populations that have inputs, by name, in the dtype of the parameters."""
    dtype = next(iter(parameters.values())).dtype
    return {
        p.name: constants_of(network, p, parameters, config.dt_ms).astype(dtype)
        for p in network.populations
        if p != network.input
    }


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
    constants = _all_constants(network, config, parameters)
    spiking = [p.name for p in network.spiking]
    neurons = {
        name: _Neurons(k, _learned_of(network, name), name in spiking)
        for name, k in constants.items()
    }
    synapses = {c.name: Synapses(c, parameters, config.n_steps) for c in network.connections}
    for name, array in (initial_x or {}).items():
        synapses[name].x[:] = array
    spikes = {name: neurons[name].spikes for name in spiking} | {network.input.name: inputs}
    output = neurons[network.output.name]
    voltages = np.zeros((config.n_steps, len(output.v)), output.v.dtype)

    for step in range(config.n_steps):
        if cut_last_current and step == config.n_steps - 1:
            for each in synapses.values():
                each.forget()
        if step > 0:  # spikes arrive one step after they were emitted, or later
            for c in network.connections:
                synapses[c.name].receive(step, spikes[c.source.name][step - 1])
        for name, own in neurons.items():
            total = np.zeros_like(own.v)
            for each in (synapses[c.name] for c in network.connections if c.target.name == name):
                total += each.x
                each.x *= constants[name].beta
            own.step(total)
        voltages[step] = output.v
    return Trial(
        spikes=spikes,
        slopes={name: neurons[name].slopes for name in spiking},
        voltages=voltages,
        readout=read_out(network, config, voltages, spikes),
        final_x={name: each.x for name, each in synapses.items()},
        sensitivities={
            f"{name}.{kind}": e for name, own in neurons.items() for kind, e in own.kept_e.items()
        },
        final_e={f"{name}.{kind}": e for name, own in neurons.items() for kind, e in own.e.items()},
    )


class _Neurons:
    """A population in the forward pass: where it is now, and what the backward pass needs of it."""

    def __init__(self, constants: Constants, learned: list[str], spiking: bool) -> None:
        self._k, self._spiking = constants, spiking
        self._sensitivity = Sensitivity(learned, constants)
        self.v: Array = np.zeros_like(constants.alpha)
        self.spikes: list[NDArray[np.intp]] = []
        self.slopes: list[Array] = []
        self.kept_e: dict[str, list[Array]] = {kind: [] for kind in learned}

    @property
    def e(self) -> Mapping[str, Array]:
        """Kind → e of all neurons, now."""
        return self._sensitivity.e

    def step(self, x: Array) -> None:
        """One step, given x of all connections together."""
        k = self._k
        self._sensitivity.step(self.v, x)
        self.v = k.alpha * self.v + (1 - k.alpha) * (k.scale * x)
        fired = np.flatnonzero(self.v >= k.v_thresh)
        kept = fired if self._spiking else slice(None)
        for kind, e in self.e.items():
            self.kept_e[kind].append(e[kept].copy())
        if self._spiking:
            self.spikes.append(fired)
            self.slopes.append(x[fired] - self.v[fired])
            self.v[fired] = 0
            self._sensitivity.reset(fired)


def _learned_of(network: Network, population: str) -> list[str]:
    """The kinds of parameters of a population's neurons that are learned."""
    return [p.kind for p in network.parameters if p.trained and p.key.startswith(f"{population}.")]


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
    constants = _all_constants(network, config, parameters)
    adjoint = {name: _Adjoint(k, config.n_steps) for name, k in constants.items()}
    dtype = adjoint[network.output.name].v.dtype
    gradient = {p.key: np.zeros(p.shape, dtype) for p in network.parameters if p.trained}
    held_drive, output_jumps = output_drive(network, config, trial, drive)
    output = network.output.name

    for step in reversed(range(config.n_steps)):
        feedback = {p.name: np.zeros(p.size, dtype) for p in network.spiking}
        for c in network.connections:
            fired, target = trial.spikes[c.source.name][step], adjoint[c.target.name]
            lambda_i, difference = target.at_arrival(c, parameters, fired, step)
            gradient[c.name][fired] -= target.k.tau_syn * lambda_i
            moved = parameters[c.name][fired] * difference  # what moving an arrival does, per ms
            if c.train_delay:
                gradient[f"{c.name}.delay"][fired] += dtype.type(config.dt_ms) * moved
            if c.source.name in feedback:
                feedback[c.source.name][fired] += moved.sum(axis=1)
        if step == config.n_steps - 1:  # the kick at the end
            adjoint[output].v += output_jumps[config.n_steps]
            _learn(gradient, trial.final_e, output, -constants[output].tau_mem * adjoint[output].v)
        for name, each in adjoint.items():
            each.decay(held_drive[step] if name == output else dtype.type(0))
        if output in feedback:
            feedback[output] += output_jumps[step]
        for name, caused in feedback.items():
            fired, each = trial.spikes[name][step], adjoint[name]
            each.jump(fired, caused[fired], trial.slopes[name][step])
            if name in jumps:
                each.v[fired] -= jumps[name][fired]
            by_voltage = -each.k.tau_mem[fired] * each.v[fired]
            _learn(gradient, _now(trial.sensitivities, step), name, by_voltage, fired)
        if output not in feedback:
            by_voltage = -dtype.type(config.dt_ms) * held_drive[step]
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

    def __init__(self, k: Constants, n_steps: int) -> None:
        self.k = k
        self.v: Array = np.zeros_like(k.alpha)
        self.i: Array = np.zeros_like(k.alpha)
        self._n_steps, self._targets = n_steps, np.arange(len(k.alpha))
        # nothing has an effect that arrives after the last step
        self._lambda_i = np.zeros((n_steps + 1, len(k.alpha)), k.alpha.dtype)
        self._difference = np.zeros_like(self._lambda_i)

    def decay(self, drive: Array | np.floating) -> None:
        """One step back, towards a drive that is held for the step."""
        k = self.k
        self.i = drive + k.beta * (self.i - drive) + k.cross * (self.v - drive)
        self.v = drive + k.alpha * (self.v - drive)

    def jump(self, fired: NDArray[np.intp], caused: Array, slopes: Array) -> None:
        """Back over the spikes of a step, given what each of them has caused, (spikes,)."""
        self.v[fired] += (self.k.v_thresh[fired] * self.v[fired] + caused) / slopes

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
