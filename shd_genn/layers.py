"""What model files put networks together from; see `shd_genn.network.layers`."""

from shd_genn.network.layers import (
    Delays,
    delays,
    hidden_neuron,
    hidden_synapse,
    readout_neuron,
    readout_synapse,
)

__all__ = [
    "Delays",
    "delays",
    "hidden_neuron",
    "hidden_synapse",
    "readout_neuron",
    "readout_synapse",
]
