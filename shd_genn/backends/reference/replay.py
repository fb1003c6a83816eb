"""Voltages and currents of all neurons in every step of a trial whose spikes are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.neurons import constants_of
from shd_genn.backends.reference.sensitivities import Constants
from shd_genn.backends.reference.synapses import Synapses
from shd_genn.backends.reference.trial import Trial
from shd_genn.learning.methods.shapes import Pseudo
from shd_genn.network import Network

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Replay:
    """One population in all steps of a trial.

    Attributes:
        k: Its constants.
        x: (n_steps, neurons): synaptic current before scaling, after the arrivals of the step.
        v: (n_steps, neurons): voltage after the step and before the reset.
        spiked: bool, (n_steps, neurons).
        silent: Those that drop-out keeps from spiking, bool, (neurons,); their V is not this one.
    """

    k: Constants
    x: Array
    v: Array
    spiked: NDArray[np.bool_]
    silent: NDArray[np.bool_]

    def surrogate(self, derivative: Pseudo, step: int) -> Array:
        """The surrogate derivative in a step, (neurons,)."""
        psi = derivative(self.v[step] - self.k.v_thresh, self.k.v_thresh)
        return np.where(self.silent, 0, psi)

    @property
    def v_before(self) -> Array:
        """(n_steps, neurons): voltage that each step begins with; after the reset before it."""
        before = np.zeros_like(self.v)
        before[1:] = np.where(self.spiked[:-1], 0, self.v[:-1])
        return before


def replay(
    network: Network, config: CompileConfig, parameters: Mapping[str, Array], trial: Trial
) -> dict[str, Replay]:
    """Compute a trial of leaky integrators, with and without spikes, once more.

    Returns:
        Population name → what its neurons did, of all populations that have inputs, but for those
        whose neurons are computed by what is derived of their equations.
    """
    dtype = next(iter(parameters.values())).dtype
    populations = {
        p.name: _empty(
            constants_of(network, p, parameters, config.dt_ms).astype(dtype),
            config.n_steps,
            trial.silent.get(p.name),
        )
        for p in network.populations
        if p != network.input and p.neuron.hand_written
    }
    for p in network.spiking:
        if p.name not in populations:
            continue
        for step, fired in enumerate(trial.spikes[p.name]):
            populations[p.name].spiked[step, fired] = True
    synapses = [
        (c, Synapses(c, parameters, config.n_steps))
        for c in network.connections
        if c.target.name in populations
    ]
    v = {name: np.zeros_like(each.k.alpha) for name, each in populations.items()}
    for step in range(config.n_steps):
        for c, each in synapses:
            if step > 0:
                each.receive(step, trial.spikes[c.source.name][step - 1])
            populations[c.target.name].x[step] += each.x
            each.x *= populations[c.target.name].k.beta
        for name, now in populations.items():
            k = now.k
            now.v[step] = k.alpha * v[name] + (1 - k.alpha) * (k.scale * now.x[step])
            v[name] = np.where(now.spiked[step], 0, now.v[step])
    return populations


def _empty(k: Constants, n_steps: int, silent: NDArray[np.bool_] | None) -> Replay:
    shape = n_steps, len(k.alpha)
    zeros = np.zeros(shape, k.alpha.dtype)
    none = np.zeros(len(k.alpha), bool)
    return Replay(k, zeros, zeros.copy(), np.zeros(shape, bool), none if silent is None else silent)
