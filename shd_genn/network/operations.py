"""What a network costs to run and to store, counted as NeuroBench defines it.

NeuroBench (Yik et al. 2025, Nature Communications 16, 1545) counts for each sample:

| number | is |
|---|---|
| synaptic operations | non-zero inputs × non-zero weights; additions, as inputs are spikes |
| activation sparsity | part of all neurons × steps without a spike; it depends on the step |
| connection sparsity | part of the weights that are 0 |
| footprint | bytes of all parameters |
| membrane updates | neurons × steps in which the voltage changed; the first step always counts |

All functions take plain numbers of spikes, so that training methods may count with them, too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shd_genn.network.description import Network

OPERATION_PJ = {"float32": 0.9, "float16": 0.4, "int8": 0.03}
"""Energy of one addition in pJ: 45 nm, 0.9 V (Horowitz, ISSCC 2014). Memory is not in it, which
takes far more: about 5 pJ for 32 bits from 8 kB of SRAM, and 640 pJ from DRAM."""


def fan_out(
    network: Network, parameters: Mapping[str, NDArray[np.floating]] | None = None
) -> dict[str, NDArray[np.int64]]:
    """Synapses of each neuron that a spike is counted at.

    Args:
        network: The network.
        parameters: Its weights; those that are 0 are not counted. None: all synapses are.

    Returns:
        Population → int64, (neurons,); populations that never spike are left out.
    """
    counts = {
        p.name: np.zeros(p.size, np.int64) for p in network.populations if network.outputs_of(p)
    }
    for c in network.connections:
        if parameters is None:
            counts[c.source.name] += c.target.size
        else:
            counts[c.source.name] += np.count_nonzero(parameters[c.name], axis=1)
    return counts


def synaptic_operations(
    network: Network,
    spikes: Mapping[str, ArrayLike],
    parameters: Mapping[str, NDArray[np.floating]] | None = None,
) -> int:
    """Additions that spikes cause: one at every synapse that a spike arrives at.

    Args:
        network: The network.
        spikes: Population → its spikes, of each neuron, (neurons,), or of all together. Numbers of
            all together need weights none of which is 0.
        parameters: The weights, of which those that are 0 cost nothing. None: none is 0.
    """
    total = 0
    for name, synapses in fan_out(network, parameters).items():
        counts = np.asarray(spikes.get(name, 0), np.int64)
        total += int(np.sum(counts * (synapses if counts.ndim else synapses.max(initial=0))))
    return total


def dense_operations(network: Network, n_steps: int) -> int:
    """Products of all inputs with all weights in a trial, as a network without spikes takes."""
    return n_steps * sum(c.source.size * c.target.size for c in network.connections)


def activation_sparsity(network: Network, spikes: Mapping[str, ArrayLike], n_steps: int) -> float:
    """Part of the neurons × steps of a trial in which a neuron is silent.

    Args:
        network: The network. Its input is not counted, but outputs that never spike are.
        spikes: Population → spikes in a trial, of each neuron or of all together.
        n_steps: Steps of the trial.
    """
    neurons = sum(p.size for p in network.populations if p != network.input)
    active = sum(float(np.sum(np.asarray(spikes[p.name], float))) for p in network.spiking)
    return 1.0 - active / max(neurons * n_steps, 1)


def connection_sparsity(network: Network, parameters: Mapping[str, NDArray[np.floating]]) -> float:
    """Part of the weights that are 0."""
    weights = [parameters[c.name] for c in network.connections]
    return 1.0 - sum(int(np.count_nonzero(w)) for w in weights) / sum(w.size for w in weights)


def footprint_bytes(parameters: Mapping[str, NDArray[np.generic]]) -> int:
    """Bytes of all parameters as they are stored."""
    return sum(array.nbytes for array in parameters.values())
