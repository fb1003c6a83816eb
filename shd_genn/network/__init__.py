"""What a network is: populations, connections, neurons, where their numbers start, how it is read.

All that the description of a network takes can be imported from here; see `description`.
"""

from shd_genn.network.description import Connection, Dense, Network, Population
from shd_genn.network.initialisers import (
    Clipped,
    Gamma,
    Kind,
    Normal,
    Trainable,
    Uniform,
    Value,
    kind_of,
)
from shd_genn.network.neurons import (
    Exponential,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Neuron,
    SpikeInput,
    output_neuron,
)

__all__ = [
    "Clipped",
    "Connection",
    "Dense",
    "Exponential",
    "Gamma",
    "Kind",
    "LeakyIntegrate",
    "LeakyIntegrateFire",
    "Network",
    "Neuron",
    "Normal",
    "Population",
    "SpikeInput",
    "Trainable",
    "Uniform",
    "Value",
    "kind_of",
    "output_neuron",
]
