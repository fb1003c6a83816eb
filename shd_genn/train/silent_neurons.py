"""Input weights of silent neurons are raised: a neuron without spikes has no gradient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import Simulator
from shd_genn.network import Network


def lift_silent(
    simulator: Simulator, spikes: Mapping[str, NDArray[np.integer]], lift: float
) -> int:
    """Add to the input weights of the hidden neurons that did not spike, and to no others.

    As in mlGeNN's ``shd_delay_shift_blend.py`` and in Mészáros et al. (2025); the code of Nowotny,
    Turner & Knight (2025) adds it to all neurons.

    Args:
        simulator: The network.
        spikes: Hidden population name → (neurons,): spikes in the epoch.
        lift: The number that is added to each weight; 0 for nothing.

    Returns:
        The number of silent neurons.
    """
    silent = {name: np.flatnonzero(counts == 0) for name, counts in spikes.items()}
    n_silent = sum(len(neurons) for neurons in silent.values())
    if n_silent and lift:
        parameters = simulator.parameters()
        for name, neurons in silent.items():
            for connection in feeding(simulator.network, name):
                parameters[connection][:, neurons] += np.float32(lift)
        simulator.set_parameters(parameters)
    return n_silent


def feeding(network: Network, population: str) -> list[str]:
    """Names of a population's connections from the input or, in a deeper layer, the layer before.

    That is: from those of its sources that come first among the populations.
    """
    order = [p.name for p in network.populations]
    entering = [c for c in network.connections if c.target.name == population]
    before = [c for c in entering if order.index(c.source.name) < order.index(population)]
    first = min((order.index(c.source.name) for c in before), default=None)
    return [c.name for c in before if order.index(c.source.name) == first]
