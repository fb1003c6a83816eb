"""The usual neuron, computed by what is derived of its equations."""

from dataclasses import replace

from shd_genn.network import LeakyIntegrateFire, Network


class ByEquations(LeakyIntegrateFire):
    """The leaky integrate-and-fire neuron without the code that is written for it alone."""

    @property
    def hand_written(self):
        return False


def with_neuron(network, of):
    """The same network, with hidden neurons made by ``of(neuron)``."""
    populations = {
        p.name: replace(p, neuron=of(p.neuron)) if p in network.hidden else p
        for p in network.populations
    }
    connections = [
        replace(c, source=populations[c.source.name], target=populations[c.target.name])
        for c in network.connections
    ]
    return Network(tuple(populations.values()), tuple(connections))


def by_equations(network):
    """The same network, with hidden neurons computed by their equations."""
    return with_neuron(network, lambda n: ByEquations(n.tau_mem, n.v_thresh))
