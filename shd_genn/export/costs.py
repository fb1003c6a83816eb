"""What a trained network costs to run, measured on samples; see `shd_genn.network.operations`."""

from __future__ import annotations

from dataclasses import dataclass

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.counting import count
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
    counted = count(network, trained.parameters, config, events)
    done = operations.synaptic_operations(network, counted.arrived, trained.parameters)
    hidden = {p.name: counted.spikes[p.name] for p in trained.populations}
    return Costs(
        input_spikes=int(counted.spikes[network.input.name].sum()) / size,
        spikes=sum(int(array.sum()) for array in hidden.values()) / size,
        synaptic_operations=done / size,
        dense_operations=operations.dense_operations(network, n_steps),
        membrane_updates=counted.membrane_updates / size,
        activation_sparsity=operations.activation_sparsity(network, hidden, n_steps * size),
        connection_sparsity=operations.connection_sparsity(network, trained.parameters),
        footprint_bytes=operations.footprint_bytes(trained.parameters),
        samples=size,
    )
