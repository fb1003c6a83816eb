"""What a network is: populations, connections, neurons, where their numbers start, how it is read.

All that the description of a network takes can be imported from here; see `description`.
"""

from shd_genn.network.description import Network
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
    HAND_WRITTEN_KINDS,
    NEURON_KINDS,
    NEURONS,
    SYNAPSES,
    AdaptiveLeakyIntegrateFire,
    AdLIF,
    Delta,
    Exponential,
    HodgkinHuxley,
    Izhikevich,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Neuron,
    NeuronModel,
    QuadraticIntegrateFire,
    SpikeInput,
    Synapse,
    output_neuron,
)
from shd_genn.network.parts import Connection, Dense, Population

__all__ = [
    "HAND_WRITTEN_KINDS",
    "NEURONS",
    "NEURON_KINDS",
    "SYNAPSES",
    "AdLIF",
    "AdaptiveLeakyIntegrateFire",
    "Clipped",
    "Connection",
    "Delta",
    "Dense",
    "Exponential",
    "Gamma",
    "HodgkinHuxley",
    "Izhikevich",
    "Kind",
    "LeakyIntegrate",
    "LeakyIntegrateFire",
    "Network",
    "Neuron",
    "NeuronModel",
    "Normal",
    "Population",
    "QuadraticIntegrateFire",
    "SpikeInput",
    "Synapse",
    "Trainable",
    "Uniform",
    "Value",
    "kind_of",
    "output_neuron",
]
