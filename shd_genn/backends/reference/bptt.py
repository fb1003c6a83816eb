"""Backpropagation through time of the reference's steps, with surrogates for spikes; and e-prop.

In steps of dt, with z = 1 where V ≥ θ, the forward pass is

    x[n] = β x[n-1] + Σ w z[n-1-d];  V[n] = α U[n-1] + (1-α) S x[n];  U[n] = (1 - z[n]) V[n].

Backwards, with ψ in place of dz/dV, and a, b, q and s the derivatives of the loss by V, U, x and z,

    s_i[n] = Σ_j w_ij q_j[n+1+d] + r_i - V_i[n] b_i[n]      (the last term: only if the reset is
    b[n] = α a[n+1]                                          not detached)
    a[n] = (1 - z[n]) b[n] + ψ[n] s[n]
    q[n] = (1-α) S a[n] + β q[n+1]
    dL/dw_ij = Σ over spikes of i in steps n: q_j[n+1+d].

a of an output is α a[n+1] + ∂L/∂V[n]. r is the regulariser: mlGeNN's jump (see `objective`) times
τ_mem, because -τ_mem λ_V is the derivative by V at a spike. A neuron's own constants are learned by

    τ_mem: Σ a α' (U[n-1] - S x[n])   τ_syn: Σ (1-α) S' a x[n] + q β' x[n-1]   θ: -Σ ψ s.

Neurons that are computed by what is derived of their equations go back by `derived_steps`.

**e-prop** (Bellec et al. 2020) is the same without the errors that hidden neurons send to hidden
neurons: only connections to the output count in s, through the output weights or through weights of
their own (feedback). That q is then the sum over time of learning signal times eligibility trace,
taken in the opposite order, so that no synapse needs a trace (see `eprop_online`, and
docs/methods.md for the derivation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.derived_steps import StepAdjoint
from shd_genn.backends.reference.replay import Replay, replay
from shd_genn.backends.reference.synapses import delays_of
from shd_genn.backends.reference.trial import Trial
from shd_genn.learning.methods.shapes import Pseudo
from shd_genn.learning.methods.surrogate import voltage_weights
from shd_genn.network import Network
from shd_genn.network.readouts import READOUTS

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Rule:
    """What tells surrogate gradients and e-prop apart.

    Attributes:
        derivative: ψ of V - θ and θ.
        detach_reset: Whether the reset is taken as given.
        transports: Whether errors go from hidden neurons to hidden neurons.
        feedback: Hidden population → (neurons, classes), in place of its output weights.
    """

    derivative: Pseudo
    detach_reset: bool = True
    transports: bool = True
    feedback: Mapping[str, Array] = field(default_factory=dict)


def backward(
    network: Network,
    config: CompileConfig,
    parameters: Mapping[str, Array],
    trial: Trial,
    drive: Array,
    jumps: Mapping[str, Array],
    rule: Rule,
) -> dict[str, Array]:
    """One trial, backward: gradients in mlGeNN's scale.

    Args:
        network: The network.
        config: Steps.
        parameters: Those of the forward pass.
        trial: What the forward pass kept.
        drive: This trial's drive, from `shd_genn.learning.objective.loss_and_drive`.
        jumps: Hidden population name → (neurons,): the regulariser's jump.
        rule: What is differentiated, and how.

    Returns:
        Key → gradient, of all parameters that are learned.
    """
    n_steps, output = config.n_steps, network.output
    done = replay(network, config, parameters, trial)
    by_output = output_derivative(network, n_steps, trial, drive)
    dtype = by_output.dtype
    gradient = {p.key: np.zeros(p.shape, dtype) for p in network.parameters if p.trained}
    a = {name: np.zeros((n_steps + 1, each.v.shape[1]), dtype) for name, each in done.items()}
    derived = {
        name: StepAdjoint(
            neurons,
            [key.removeprefix(f"{name}.") for key in gradient if key.startswith(f"{name}.")],
            jumps[name],
            rule.derivative,
            rule.detach_reset,
        )
        for name, neurons in trial.derived.items()
    }
    q = {name: each.copy() for name, each in a.items()}  # row n_steps: after the trial, 0
    q |= {name: each.q for name, each in derived.items()}
    delays = {c.name: delays_of(c, parameters) for c in network.connections if c.delayed}
    for step in reversed(range(n_steps)):
        s = {
            p.name: by_regulariser(done[p.name], jumps[p.name])
            if p.name in done
            else np.zeros(p.size, dtype)
            for p in network.hidden
        }
        for c in network.connections:
            arrived = at_arrival(q[c.target.name], delays.get(c.name), step)
            fired = trial.spikes[c.source.name][step]
            gradient[c.name][fired] += arrived[fired] if c.delayed else arrived
            carries = rule.transports or (c.target == output and c.source.name not in rule.feedback)
            if c.source.name in s and carries:
                s[c.source.name] += (parameters[c.name] * arrived).sum(axis=1)
        for name, weights in rule.feedback.items():
            s[name] += weights.astype(dtype) @ q[output.name][step + 1]
        for name, adjoint in derived.items():
            adjoint.back(step, s[name])
        for name, each in done.items():
            now = a[name][step]
            if name == output.name:
                now[:] = each.k.alpha * a[name][step + 1] + by_output[step]
            else:
                _through_spikes(each, step, a[name], s[name], rule, gradient, f"{name}.v_thresh")
            k = each.k
            q[name][step] = (1 - k.alpha) * k.scale * now + k.beta * q[name][step + 1]
    for name, each in done.items():
        _learn_time_constants(gradient, name, each, a[name][:-1], q[name][:-1])
    for name, adjoint in derived.items():
        gradient |= {f"{name}.{kind}": total for kind, total in adjoint.gradient.items()}
    return gradient


def near_steps(
    network: Network,
    config: CompileConfig,
    parameters: Mapping[str, Array],
    trial: Trial,
    derivative: Pseudo,
) -> dict[str, int]:
    """`BatchResult.near_steps` of a trial: hidden population → its neurons times steps with ψ > 0.

    Arguments as of `backward`.
    """
    done = replay(network, config, parameters, trial)
    return {
        p.name: sum(
            int(np.count_nonzero(done[p.name].surrogate(derivative, step)))
            for step in range(config.n_steps)
        )
        for p in network.hidden
        if p.name in done
    }


def output_derivative(network: Network, n_steps: int, trial: Trial, drive: Array) -> Array:
    """∂L/∂V of the output in each step, in mlGeNN's scale: (n_steps, classes)."""
    weights = voltage_weights(network, n_steps).astype(drive.dtype)
    by_voltage: Array = -weights[:, np.newaxis] * drive
    if READOUTS[network.readout].form == "max":
        highest = np.where(trial.readout > 0, trial.voltages.argmax(axis=0), n_steps)
        by_voltage[np.arange(n_steps)[:, np.newaxis] != highest] = 0
    return by_voltage


def by_regulariser(population: Replay, jump: Array) -> Array:
    """The regulariser's part of the derivative of the loss by each neuron's spikes, (neurons,)."""
    by_spike: Array = population.k.tau_mem * jump
    return by_spike


def at_arrival(q: Array, delays: NDArray[np.intp] | None, step: int) -> Array:
    """The values of q where a spike arrives that is emitted in a step.

    (target neurons,); with delays (source neurons, target neurons).

    Args:
        q: (n_steps + 1, target neurons).
        delays: `delays_of` the connection; None if it has none.
        step: When spikes are emitted.
    """
    if delays is None:
        now: Array = q[step + 1]
        return now
    late: Array = q[np.minimum(step + 1 + delays, len(q) - 1), np.arange(q.shape[1])]
    return late


def _through_spikes(
    each: Replay, step: int, a: Array, s: Array, rule: Rule, gradient: dict[str, Array], key: str
) -> None:
    """A step back of a population of neurons that spike; fills a[step]."""
    k, v, spiked = each.k, each.v[step], each.spiked[step]
    b = k.alpha * a[step + 1]
    psi = each.surrogate(rule.derivative, step)
    if not rule.detach_reset:
        s = s - v * b
    a[step] = np.where(spiked, 0, b) + psi * s
    if key in gradient:
        gradient[key] -= psi * s


def _learn_time_constants(
    gradient: dict[str, Array], name: str, each: Replay, a: Array, q: Array
) -> None:
    k = each.k
    if f"{name}.tau_mem" in gradient:
        by_tau = a * k.d_alpha * (each.v_before - k.scale * each.x)
        gradient[f"{name}.tau_mem"] += by_tau.sum(axis=0)
    if f"{name}.tau_syn" in gradient:
        x_before = np.zeros_like(each.x)
        x_before[1:] = each.x[:-1]
        by_tau = (1 - k.alpha) * k.d_scale * a * each.x + k.d_beta * q * x_before
        gradient[f"{name}.tau_syn"] += by_tau.sum(axis=0)
