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
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.bptt import Rule, by_regulariser, output_derivative
from shd_genn.backends.reference.replay import Replay, replay
from shd_genn.backends.reference.trial import Trial
from shd_genn.learning.methods.surrogate import voltage_weights
from shd_genn.network import Connection, Network
from shd_genn.network.readouts import READOUTS

Array = NDArray[np.floating]


class _Traces:
    """Traces of all synapses of one connection into a hidden population."""

    def __init__(self, connection: Connection, target: Replay, output: Replay) -> None:
        self._k, self._target = target.k, target
        zeros = np.zeros(connection.shape, target.v.dtype)
        self._z, self._epsilon, self._e, self._g = (zeros.copy() for _ in range(4))
        self.f, self.sum_e = zeros.copy(), zeros.copy()
        self._out = _first(output)

    def step(self, step: int, arrived: NDArray[np.intp], psi: Array) -> None:
        """One step, given the source neurons whose spikes arrive, and ψ of the target neurons."""
        k, (alpha, gain, beta) = self._k, self._out
        self._g = beta * self._g + self._e
        self.f = alpha * self.f + gain * self._g
        self._z *= k.beta
        self._z[arrived] += 1
        before_reset = k.alpha * self._epsilon + (1 - k.alpha) * k.scale * self._z
        self._e = psi * before_reset
        self._epsilon = np.where(self._target.spiked[step], 0, before_reset)
        self.sum_e += self._e


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
    traces = {c.name: _Traces(c, done[c.target.name], done[output.name]) for c in hidden}
    total = {c.name: np.zeros(c.shape, by_output.dtype) for c in network.connections}
    sources = {c.source.name: c.source.size for c in network.inputs_of(output)}
    of_spikes = {name: np.zeros((2, size), by_output.dtype) for name, size in sources.items()}
    alpha, gain, beta = _first(done[output.name])

    for step in range(config.n_steps):
        psi = {
            p.name: rule.derivative(
                done[p.name].v[step] - done[p.name].k.v_thresh, done[p.name].k.v_thresh
            )
            for p in network.hidden
        }
        for c in hidden:
            before = trial.spikes[c.source.name][step - 1] if step > 0 else np.zeros(0, np.intp)
            traces[c.name].step(step, before, psi[c.target.name])
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
        total[c.name] += (
            by_regulariser(done[c.target.name], jumps[c.target.name]) * traces[c.name].sum_e
        )
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
