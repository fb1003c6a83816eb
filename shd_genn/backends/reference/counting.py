"""Counts what leaky integrators do in a trial: their spikes, and steps in which voltages change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.neurons import constants_of
from shd_genn.backends.reference.trial import steps_of_input
from shd_genn.network import Exponential, LeakyIntegrate, LeakyIntegrateFire
from shd_genn.network.description import Network
from shd_genn.spikes.events import Events


@dataclass(frozen=True)
class Counted:
    """Sums over some samples.

    Attributes:
        spikes: Population → spikes of each neuron, int64, (neurons,).
        arrived: The same without those that arrive after the trial's end.
        membrane_updates: Neurons × steps in which the voltage changed; the first step always
            counts, as in NeuroBench.
    """

    spikes: dict[str, NDArray[np.int64]]
    arrived: dict[str, NDArray[np.int64]]
    membrane_updates: int


def countable(network: Network) -> bool:
    """Whether a network has leaky integrators with exponential synapses only, and no delays."""
    return all(type(c.synapse) is Exponential and not c.delayed for c in network.connections) and (
        all(
            p == network.input
            or (type(p.neuron) is LeakyIntegrateFire and p.neuron.hand_written)
            or (type(p.neuron) is LeakyIntegrate and p.neuron.weight is None)
            for p in network.populations
        )
    )


def count(
    network: Network,
    parameters: Mapping[str, NDArray[np.float32]],
    config: CompileConfig,
    events: Events,
) -> Counted:
    """Simulate some samples in float32 and count.

    Args:
        network: A network without delays that is `countable`.
        parameters: Its weights, and other numbers of its own.
        config: Steps.
        events: The spikes that the input neurons emit.
    """
    size, source = len(events), network.input
    emitted = [steps_of_input(*events.sample(i), config) for i in range(size)]
    populations = [p for p in network.populations if p != source]
    constants = {
        p.name: constants_of(network, p, parameters, config.dt_ms).astype(np.dtype(np.float32))
        for p in populations
    }
    zeros = {p.name: np.zeros((size, p.size), np.float32) for p in network.populations}
    x, v, fired = dict(zeros), dict(zeros), dict(zeros)
    spikes = {p.name: np.zeros(p.size, np.int64) for p in network.populations}
    arrived: dict[str, NDArray[np.int64]] = {}
    updates = 0
    for step in range(config.n_steps):
        arrived = {name: array.copy() for name, array in spikes.items()}
        for c in network.connections:
            x[c.target.name] = x[c.target.name] + fired[c.source.name] @ parameters[c.name]
        for p in populations:
            k, before = constants[p.name], v[p.name]
            now = k.alpha * before + (1 - k.alpha) * (k.scale * x[p.name])
            x[p.name] = k.beta * x[p.name]
            fired[p.name] = (now >= k.v_thresh).astype(np.float32)
            v[p.name] = np.where(fired[p.name] > 0, np.float32(0), now)
            changed = np.count_nonzero(v[p.name] != before)
            updates += int(changed) if step else before.size
        fired[source.name] = np.zeros((size, source.size), np.float32)
        for i in range(size):
            fired[source.name][i, emitted[i][step]] = 1
        for name, array in fired.items():
            spikes[name] = spikes[name] + np.count_nonzero(array, axis=0)
    return Counted(spikes, arrived, updates)
