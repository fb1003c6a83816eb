"""Recurrent layers of leaky integrate-and-fire neurons: every layer feeds itself and the next."""

from shd_genn.config import Config
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
    output_neuron,
)


def build(config: Config) -> Network:
    """The network of Nowotny, Turner & Knight (2025), with one or more hidden layers."""
    model = config.model
    assert model.n_inputs is not None and model.n_classes is not None
    synapse = Exponential(model.tau_syn_ms)
    from_input = Dense(Normal(model.w_in_mean, model.w_in_sd))
    within_layer = Dense(Normal(model.w_rec_mean, model.w_rec_sd))
    between_layers = Dense(Normal(model.w_hidden_mean, model.w_hidden_sd))
    to_output = Dense(Normal(model.w_out_mean, model.w_out_sd))

    layers = [Population("input", SpikeInput(), model.n_inputs)]
    connections = []
    for i, size in enumerate(model.hidden_sizes):
        hidden = Population(
            f"hidden{i}", LeakyIntegrateFire(model.tau_mem_ms, model.v_thresh), size
        )
        feed = from_input if i == 0 else between_layers
        connections.append(Connection(layers[-1], hidden, feed, synapse))
        connections.append(Connection(hidden, hidden, within_layer, synapse))
        layers.append(hidden)
    output = Population(
        "output",
        output_neuron(model.readout, model.tau_mem_out_ms, model.v_thresh),
        model.n_classes,
    )
    connections.append(Connection(layers[-1], output, to_output, synapse))
    return Network((*layers, output), tuple(connections))
