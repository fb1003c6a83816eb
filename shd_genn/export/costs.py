"""What a trained network costs to run, measured on samples; see `shd_genn.network.operations`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.trial import steps_of_input
from shd_genn.export.trained import TrainedNetwork, check_neurons
from shd_genn.network import operations
from shd_genn.spikes.events import Events
from shd_genn.support.errors import refuse_unless

OPERATIONS_PER_UPDATE = 8
"""NeuroBench's neuron operations of an update of a neuron like ours, with reset to 0."""


@dataclass(frozen=True)
class Costs:
    """Numbers of one word, averaged over samples.

    Attributes:
        input_spikes: Spikes of the input within the trial.
        spikes: Spikes of all other neurons.
        synaptic_operations: Additions that spikes cause at weights that are not 0.
        dense_operations: Products of all inputs with all weights in all steps.
        membrane_updates: Neurons × steps in which the voltage changed.
        activation_sparsity: Part of the neurons × steps without a spike.
        connection_sparsity: Part of the weights that are 0.
        footprint_bytes: Bytes of all parameters.
        samples: How many samples were measured.
    """

    input_spikes: float
    spikes: float
    synaptic_operations: float
    dense_operations: int
    membrane_updates: float
    activation_sparsity: float
    connection_sparsity: float
    footprint_bytes: int
    samples: int


def measure(trained: TrainedNetwork, events: Events) -> Costs:
    """Simulate some samples in float32 and count.

    Args:
        trained: The network.
        events: The spikes that the input neurons emit.

    Raises:
        ConfigError: if the network has other neurons than leaky integrators, or delays.
    """
    network, n_steps, size = trained.network, trained.n_steps, len(events)
    check_neurons(network, "the count of operations")
    refuse_unless(
        not any(trained.delay_steps(c).any() for c in network.connections),
        "operations are counted for networks without delays only, but this one has some",
        "use the number of synaptic operations in the run's summary",
    )
    config = CompileConfig(n_steps=n_steps, dt_ms=trained.dt_ms)
    inputs = np.zeros((n_steps, size, network.input.size), np.float32)
    for i in range(size):
        for step, channels in enumerate(steps_of_input(*events.sample(i), config)):
            inputs[step, i, channels] = 1
    constants = {
        p.name: trained.constants(p).astype(np.dtype(np.float32)) for p in trained.populations
    }
    zeros = {p.name: np.zeros((size, p.size), np.float32) for p in trained.populations}
    x, v, fired = dict(zeros), dict(zeros), dict(zeros)
    spikes = {p.name: np.zeros(p.size, np.int64) for p in trained.populations}
    arrived = {}
    updates = 0
    for step in range(n_steps):
        arrived = {name: array.copy() for name, array in spikes.items()}
        sent = fired | {network.input.name: inputs[step - 1] if step else 0 * inputs[0]}
        for c in network.connections:
            x[c.target.name] = x[c.target.name] + sent[c.source.name] @ trained.parameters[c.name]
        for p in trained.populations:
            k, before = constants[p.name], v[p.name]
            now = k.alpha * before + (1 - k.alpha) * (k.scale * x[p.name])
            x[p.name] = k.beta * x[p.name]
            fired[p.name] = (now >= k.v_thresh).astype(np.float32)
            v[p.name] = np.where(fired[p.name] > 0, np.float32(0), now)
            spikes[p.name] += np.count_nonzero(fired[p.name], axis=0)
            changed = np.count_nonzero(v[p.name] != before)
            updates += int(changed) if step else before.size  # NeuroBench counts the first for all
    # those of the last step arrive after the trial's end
    arrived[network.input.name] = np.count_nonzero(inputs[:-1], axis=(0, 1))
    done = operations.synaptic_operations(network, arrived, trained.parameters)
    return Costs(
        input_spikes=np.count_nonzero(inputs) / size,
        spikes=sum(int(array.sum()) for array in spikes.values()) / size,
        synaptic_operations=done / size,
        dense_operations=operations.dense_operations(network, n_steps),
        membrane_updates=updates / size,
        activation_sparsity=operations.activation_sparsity(network, spikes, n_steps * size),
        connection_sparsity=operations.connection_sparsity(network, trained.parameters),
        footprint_bytes=operations.footprint_bytes(trained.parameters),
        samples=size,
    )
