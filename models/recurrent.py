"""Recurrent layers of leaky integrate-and-fire neurons: every layer feeds itself and the next."""

from shd_genn.config import Config
from shd_genn.network import Connection, Dense, Network, Normal, Population, SpikeInput
from shd_genn.network.layers import (
    delays,
    hidden_neuron,
    hidden_synapse,
    readout_neuron,
    readout_synapse,
)


def build(config: Config) -> Network:
    """The network of Nowotny, Turner & Knight (2025), with one or more hidden layers."""
    model = config.model
    assert model.n_inputs is not None and model.n_classes is not None
    synapse = hidden_synapse(model)
    from_input = Dense(Normal(model.w_in_mean, model.w_in_sd))
    within_layer = Dense(Normal(model.w_rec_mean, model.w_rec_sd))
    between_layers = Dense(Normal(model.w_hidden_mean, model.w_hidden_sd))
    to_output = Dense(Normal(model.w_out_mean, model.w_out_sd))

    layers = [Population("input", SpikeInput(), model.n_inputs)]
    connections = []
    for i, size in enumerate(model.hidden_sizes):
        hidden = Population(f"hidden{i}", hidden_neuron(model), size)
        feed = from_input if i == 0 else between_layers
        late = delays(config, "input" if i == 0 else "hidden")
        connections.append(Connection(layers[-1], hidden, feed, synapse, **late))
        late = delays(config, "recurrent")
        connections.append(Connection(hidden, hidden, within_layer, synapse, **late))
        layers.append(hidden)
    output = Population("output", readout_neuron(model), model.n_classes)
    connections.append(Connection(layers[-1], output, to_output, readout_synapse(model)))
    return Network((*layers, output), tuple(connections))
