"""EventProp in NumPy, equation by equation: the specification of every backend.

One trial at a time, one time step after the other. The forward pass integrates exactly over a step
of dt; the backward pass is EventProp's adjoint (Wunderlich & Pehle 2021, Table 1) in the stepped
form of mlGeNN's EventPropCompiler, run after the forward pass and with the same weights.

A spike that takes d steps longer acts d steps later, so its adjoint is read there (Mészáros et al.
2025): dL/dw = -τ_syn λI(t + d), and what it causes is w (λV - λI)(t + d). Moving the arrival by δ
costs δ w (λV - λI)(t + d), which is the gradient of the delay; one that synapses share has the sum
of theirs. Those of time constants and
thresholds are in `sensitivities`, the steps of each neuron in `neurons`, and how the output is read
and driven in `trial`. Neurons without code of their own are computed by what is derived of their
equations, in `derived_neurons` and `derived_adjoint`.

Symbols: V membrane voltage, x synaptic current before scaling, λV and λI their adjoints,
α = exp(-dt/τ_mem), β = exp(-dt/τ_syn), S = τ_syn/dt (1-β), A = τ_mem/(τ_mem-τ_syn); all of these
may differ from neuron to neuron.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference import derived_adjoint, derived_neurons
from shd_genn.backends.reference.neurons import (
    EQUATIONS,
    Adjoint,
    Integrate,
    arrays_of,
    at_arrival,
    constants_of,
)
from shd_genn.backends.reference.random_spikes import key_of_batch, key_of_trial, noise_of
from shd_genn.backends.reference.sensitivities import Constants
from shd_genn.backends.reference.synapses import Synapses, delays_of
from shd_genn.backends.reference.trial import Trial, output_drive, read_out
from shd_genn.network import Connection, Network

Array = NDArray[np.floating]
FAR_BELOW = -1e9
"""Voltage of neurons that drop-out silences; a step later they are still below any threshold."""


def all_constants(
    network: Network, config: CompileConfig, parameters: Mapping[str, Array]
) -> dict[str, Constants | derived_neurons.Constants]:
    """Those of all populations that have inputs, by name, in the dtype of the parameters."""
    dtype = next(iter(parameters.values())).dtype
    found: dict[str, Constants | derived_neurons.Constants] = {}
    for p in network.populations:
        if p == network.input:
            continue
        if p.neuron.hand_written:
            found[p.name] = constants_of(network, p, parameters, config.dt_ms).astype(dtype)
        else:
            found[p.name] = derived_neurons.constants_of(
                p.name,
                p.neuron.derived,
                arrays_of(network, p, parameters),
                config.dt_ms,
                _learned_of(network, p.name),
                p.neuron.refractory_ms,
                dtype,
            )
    return found


def forward(
    network: Network,
    config: CompileConfig,
    parameters: Mapping[str, Array],
    inputs: list[NDArray[np.intp]],
    initial_x: Mapping[str, Array] | None = None,
    cut_last_current: bool = False,
    silent: Mapping[str, NDArray[np.bool_]] | None = None,
    update: int = 0,
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
        silent: Population → its neurons that drop-out keeps from spiking.
        update: The number of the update that the trial is for, from 1; 0 for none; see
            `random_spikes`.
    """
    constants = all_constants(network, config, parameters)
    written: dict[str, Integrate] = {}
    derived: dict[str, derived_neurons.Neurons] = {}
    for p in network.populations:
        learned, k = _learned_of(network, p.name), constants.get(p.name)
        if isinstance(k, Constants):
            written[p.name] = EQUATIONS[type(p.neuron)].forward(k, learned)
        elif k is not None:
            noise = None
            if p.neuron.derived.random:
                key = key_of_trial(key_of_batch(config.seed, update), inputs)
                noise = noise_of(key, network.populations.index(p), p.size)
            derived[p.name] = derived_neurons.Neurons(k, learned, (silent or {}).get(p.name), noise)
    neurons = {name: written[name] if name in written else derived[name] for name in constants}
    spiking = [p.name for p in network.spiking]
    synapses = {c.name: Synapses(c, parameters, config.n_steps) for c in network.connections}
    for name, array in (initial_x or {}).items():
        synapses[name].x[:] = array
    spikes = {name: neurons[name].spikes for name in spiking} | {network.input.name: inputs}
    output = written[network.output.name]
    voltages = np.zeros((config.n_steps, len(output.v)), output.v.dtype)
    incoming = {
        name: [synapses[c.name] for c in network.connections if c.target.name == name]
        for name in neurons
    }
    sources = [(synapses[c.name], spikes[c.source.name]) for c in network.connections]

    for step in range(config.n_steps):
        if cut_last_current and step == config.n_steps - 1:
            for each in synapses.values():
                each.forget()
        if step > 0:  # spikes arrive one step after they were emitted, or later
            for each, emitted in sources:
                each.receive(step, emitted[step - 1])
        for name, population in neurons.items():
            if silent and name in silent and name in written:
                written[name].v[silent[name]] = FAR_BELOW
            beta = constants[name].beta
            total = np.zeros(beta.shape, beta.dtype)
            for each in incoming[name]:
                total += each.x
                each.x *= beta
            population.step(total)
        voltages[step] = output.v
    return Trial(
        spikes=spikes,
        slopes={name: written[name].slopes for name in spiking if name in written},
        voltages=voltages,
        readout=read_out(network, config, voltages, spikes),
        final_x={name: each.x for name, each in synapses.items()},
        sensitivities={
            f"{name}.{kind}": e for name, each in written.items() for kind, e in each.kept_e.items()
        },
        final_e={
            f"{name}.{kind}": e
            for name, each in written.items()
            for kind, e in each.sensitivity.e.items()
        },
        derived=derived,
        silent=silent or {},
    )


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
        trial: What the forward pass kept.
        drive: This trial's drive, from `shd_genn.learning.objective.loss_and_drive`.
        jumps: Hidden population name → (neurons,): the regulariser's jump.

    Returns:
        Key → gradient, of all parameters that are learned; see `gradient_scale`.
    """
    constants = all_constants(network, config, parameters)
    written: dict[str, Adjoint] = {}
    derived: dict[str, derived_adjoint.Adjoint] = {}
    for p in network.populations:
        k = constants.get(p.name)
        if isinstance(k, Constants):
            written[p.name] = EQUATIONS[type(p.neuron)].adjoint(k, config.n_steps)
        elif k is not None:
            derived[p.name] = derived_adjoint.Adjoint(k, trial.derived[p.name], config.n_steps)
    adjoint = {name: written[name] if name in written else derived[name] for name in constants}
    dtype = written[network.output.name].v.dtype
    gradient = {p.key: np.zeros(p.shape, dtype) for p in network.parameters if p.trained}
    held_drive, output_jumps = output_drive(network, config, trial, drive)
    output = network.output.name
    delays = {c.name: delays_of(c, parameters) for c in network.connections if c.delayed}
    sources = [
        (c, c.name, trial.spikes[c.source.name], adjoint[c.target.name])
        for c in network.connections
    ]
    sizes = {p.name: p.size for p in network.spiking}

    for step in reversed(range(config.n_steps)):
        feedback = {name: np.zeros(size, dtype) for name, size in sizes.items()}
        for c, key, emitted, target in sources:
            fired = emitted[step]
            if not len(fired):
                continue
            lambda_i, difference = at_arrival(target, delays.get(key), fired, step)
            gradient[key][fired] -= target.k.tau_syn * lambda_i
            moved = parameters[key][fired] * difference  # what moving an arrival does, per ms
            if c.train_delay:
                _learn_delays(gradient[f"{key}.delay"], c, fired, dtype.type(config.dt_ms) * moved)
            if c.source.name in feedback:
                feedback[c.source.name][fired] += moved.sum(axis=1)
        if step == config.n_steps - 1:  # the kick at the end
            last = written[output]
            last.v += output_jumps[config.n_steps]
            _learn(gradient, trial.final_e, output, -last.k.tau_mem * last.v)
        for name, each in written.items():
            each.decay(held_drive[step] if name == output else dtype.type(0))
        if output in feedback:
            feedback[output] += output_jumps[step]
        for name, caused in feedback.items():
            fired = trial.spikes[name][step]
            if name in derived:
                jump = jumps.get(name, np.zeros_like(caused))
                derived[name].back(step, fired, -caused[fired], jump)
                continue
            if not len(fired):
                continue
            each = written[name]
            each.jump(fired, caused[fired], trial.slopes[name][step])
            if name in jumps:
                each.v[fired] -= jumps[name][fired]
            by_voltage = -each.k.tau_mem[fired] * each.v[fired]
            _learn(gradient, _now(trial.sensitivities, step), name, by_voltage, fired)
        if output not in feedback:
            by_voltage = -dtype.type(config.dt_ms) * held_drive[step]
            _learn(gradient, _now(trial.sensitivities, step), output, by_voltage)
        for each in written.values():
            each.remember(step)
    for name, of_neuron in derived.items():
        gradient |= {f"{name}.{kind}": g for kind, g in of_neuron.gradient.items()}
    return gradient


def _learn_delays(
    gradient: Array, connection: Connection, fired: NDArray[np.intp], moved: Array
) -> None:
    """Add what moving the arrivals of some spikes costs, (spikes, target neurons), to delays.

    A delay that synapses share moves the arrivals at all of them.
    """
    if connection.delay_kind == "axonal":
        gradient[fired] += moved.sum(axis=1)
    elif connection.delay_kind == "dendritic":
        gradient += moved.sum(axis=0)
    else:
        gradient[fired] += moved


def _now(sensitivities: Mapping[str, list[Array]], step: int) -> dict[str, Array]:
    return {key: e[step] for key, e in sensitivities.items()}


def _learn(
    gradient: dict[str, Array],
    sensitivities: Mapping[str, Array],
    population: str,
    by_voltage: Array,
    neurons: NDArray[np.intp] | slice = slice(None),
) -> None:
    """Add ∂L/∂V · e to the gradients of a population's parameters; see `sensitivities`."""
    for key, e in sensitivities.items():
        if key.startswith(f"{population}."):
            gradient[key][neurons] += by_voltage * e
