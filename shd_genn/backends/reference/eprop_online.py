"""e-prop as a chip would compute it: with traces for each synapse, forward in time.

For the synapse from i to a hidden neuron j the trace ε = ∂V_j/∂w_ij is carried along, with the
spikes of all neurons as they are; e = ψ_j ε is the eligibility (Bellec et al. 2020). The output's
membrane and synapse filter e, as they filter spikes, to f: what V_k of output k would change by is
B_jk f_ij, with B the feedback weights.

    z_ij[n] = β z_ij[n-1] + spikes of i that arrive;   ε⁻[n] = α ε[n-1] + (1-α) S z[n]
    e[n] = ψ_j[n] ε⁻[n];   ε[n] = ε⁻[n] where j does not spike, else 0
    g[n] = β_out g[n-1] + e[n-1];   f[n] = α_out f[n-1] + (1-α_out) S_out g[n]

The loss of ``var`` has a learning signal in each step, L_j[n] = Σ_k B_jk ∂L/∂V_k[n], and the
weight's gradient is Σ_n L_j[n] f_ij[n]. Other readouts know their loss only at the end; as their
steps have fixed weights, Σ_n weight[n] f_ij[n] is kept until then. Nothing is kept of the steps
before, so that memory does not grow with the trial; every step touches every synapse.

Neurons that are described by equations have a trace for each state variable: for adaptive neurons
these are the two of Bellec et al., of V and of the threshold's adaptation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.bptt import Rule, by_regulariser, output_derivative
from shd_genn.backends.reference.derived_steps import (
    Local,
    Watched,
    local_derivatives,
    spike_input,
)
from shd_genn.backends.reference.replay import Replay, replay
from shd_genn.backends.reference.trial import Trial
from shd_genn.learning.methods.shapes import Pseudo
from shd_genn.learning.methods.surrogate import voltage_weights
from shd_genn.network import Connection, Network
from shd_genn.network.readouts import READOUTS

Array = NDArray[np.floating]


class _Traces(ABC):
    """Traces of all synapses of one connection into a hidden population."""

    def __init__(self, connection: Connection, beta: Array, output: Replay) -> None:
        zeros = np.zeros(connection.shape, beta.dtype)
        self._beta, self._z, self._e, self._g = beta, zeros, zeros.copy(), zeros.copy()
        self.f, self.sum_e = zeros.copy(), zeros.copy()
        self._out = _first(output)

    def step(self, step: int, arrived: NDArray[np.intp]) -> None:
        """One step, given the source neurons whose spikes arrive."""
        alpha, gain, beta = self._out
        self._g = beta * self._g + self._e
        self.f = alpha * self.f + gain * self._g
        self._z *= self._beta
        self._z[arrived] += 1
        self._e = self._eligibility(step)
        self.sum_e += self._e

    @abstractmethod
    def _eligibility(self, step: int) -> Array:
        """Eligibility e of a step: the derivative of the targets' spikes by the weights."""

    @abstractmethod
    def regularised(self, jump: Array) -> Array:
        """The regulariser's part of the gradient, given its jump, (target neurons,)."""


class _LeakyTraces(_Traces):
    """Of leaky integrate-and-fire neurons, which have a trace ε of V."""

    def __init__(self, c: Connection, target: Replay, output: Replay, derivative: Pseudo) -> None:
        super().__init__(c, target.k.beta, output)
        self._target, self._derivative = target, derivative
        self._epsilon = np.zeros_like(self._z)

    def _eligibility(self, step: int) -> Array:
        k = self._target.k
        psi = self._target.surrogate(self._derivative, step)
        before_reset = k.alpha * self._epsilon + (1 - k.alpha) * k.scale * self._z
        self._epsilon = np.where(self._target.spiked[step], 0, before_reset)
        e: Array = psi * before_reset
        return e

    def regularised(self, jump: Array) -> Array:
        return by_regulariser(self._target, jump) * self.sum_e


class _DerivedTraces(_Traces):
    """Of any other neuron: a trace ε_q of each of its state variables, by `derived_steps`."""

    def __init__(self, c: Connection, target: Watched, output: Replay, derivative: Pseudo) -> None:
        super().__init__(c, target.k.beta, output)
        self._target, self._derivative = target, derivative
        self._epsilon = {q: np.zeros_like(self._z) for q in target.k.derived.states}
        self._by_regulariser = np.zeros_like(self._z)
        self._input = target.k.evaluate(target.k.derived.input, {})

    def _eligibility(self, step: int) -> Array:
        k, target = self._target.k, self._target
        total = np.zeros_like(self._z)
        for sub in target.steps[step]:
            local = local_derivatives(k, sub, target.current[step], self._derivative)
            self._carry(local, target.held[step])
            e = local.psi * sum(
                (
                    local.by_state[f"g_{r}"] * each
                    for r, each in self._epsilon.items()
                    if f"g_{r}" in local.by_state
                ),
                start=np.zeros_like(total),
            )
            self._spike(local, sub.fired, e)
            total += e
            self._by_regulariser += e / spike_input(self._input, local)
        return total

    def _carry(self, local: Local, held: NDArray[np.bool_]) -> None:
        """ε over a sub-step."""
        k, before = self._target.k, self._epsilon
        found = {}
        for q in before:
            moved = local.by_current.get(f"B_{q}", 0) * k.scale * self._z
            for r, each in before.items():
                if (entry := local.jacobian.get(f"J_{q}_{r}")) is not None:
                    moved = moved + entry * each
            found[q] = np.where(held, before[q], moved) if q in k.derived.held else moved
        self._epsilon = found

    def _spike(self, local: Local, fired: NDArray[np.bool_], e: Array) -> None:
        """ε over the spikes of a sub-step; the reset of what the current drives is given."""
        before, found = self._epsilon, {}
        for q in before:
            reset = np.zeros_like(e)
            for r, each in before.items():
                if (entry := local.reset.get(f"R_{q}_{r}")) is not None:
                    reset = reset + entry * each
            found[q] = np.where(fired, reset, before[q])
            if q in local.moved and q not in self._target.k.derived.receives:
                found[q] = found[q] + local.moved[q] * e
        self._epsilon = found

    def regularised(self, jump: Array) -> Array:
        return jump * self._by_regulariser


def _first(output: Replay) -> tuple[Array, Array, Array]:
    """α, (1-α) S and β of the output, which has the same for all its neurons."""
    k = output.k
    return k.alpha[0], (1 - k.alpha[0]) * k.scale[0], k.beta[0]


def gradients(
    network: Network,
    config: CompileConfig,
    parameters: Mapping[str, Array],
    trial: Trial,
    drive: Array,
    jumps: Mapping[str, Array],
    rule: Rule,
) -> dict[str, Array]:
    """The gradients of one trial, in mlGeNN's scale; arguments as of `bptt.backward`.

    The loss and the regulariser's jump are taken from the end of the batch, but used in a step only
    where they are known then.
    """
    done = replay(network, config, parameters, trial)
    output = network.output
    each_step = READOUTS[network.readout].form == "each_step"
    by_output = output_derivative(network, config.n_steps, trial, drive)
    weights = voltage_weights(network, config.n_steps).astype(by_output.dtype)
    feedback = _feedback(network, parameters, rule)
    hidden = [c for c in network.connections if c.target != output]
    watched = {name: Watched(neurons) for name, neurons in trial.derived.items()}
    traces: dict[str, _Traces] = {
        c.name: _DerivedTraces(c, watched[c.target.name], done[output.name], rule.derivative)
        if c.target.name in watched
        else _LeakyTraces(c, done[c.target.name], done[output.name], rule.derivative)
        for c in hidden
    }
    total = {c.name: np.zeros(c.shape, by_output.dtype) for c in network.connections}
    sources = {c.source.name: c.source.size for c in network.inputs_of(output)}
    of_spikes = {name: np.zeros((2, size), by_output.dtype) for name, size in sources.items()}
    alpha, gain, beta = _first(done[output.name])

    for step in range(config.n_steps):
        for c in hidden:
            before = trial.spikes[c.source.name][step - 1] if step > 0 else np.zeros(0, np.intp)
            traces[c.name].step(step, before)
            if each_step:
                signal = feedback[c.target.name] @ by_output[step]
                total[c.name] += signal * traces[c.name].f
            else:
                total[c.name] += weights[step] * traces[c.name].f
        for name, (x, v) in of_spikes.items():  # spikes as the output's synapse and membrane see
            x *= beta
            if step > 0:
                x[trial.spikes[name][step - 1]] += 1
            v[:] = alpha * v + gain * x
        for c in network.inputs_of(output):
            total[c.name] += np.outer(of_spikes[c.source.name][1], by_output[step])

    for c in hidden:
        if not each_step:
            total[c.name] *= feedback[c.target.name] @ -drive
        total[c.name] += traces[c.name].regularised(jumps[c.target.name])
    return total


def _feedback(network: Network, parameters: Mapping[str, Array], rule: Rule) -> dict[str, Array]:
    """Hidden population → weights that errors come back through, (neurons, classes)."""
    dtype = next(iter(parameters.values())).dtype
    found = {
        c.source.name: parameters[c.name]
        for c in network.inputs_of(network.output)
        if c.source in network.hidden
    }
    return found | {name: weights.astype(dtype) for name, weights in rule.feedback.items()}
