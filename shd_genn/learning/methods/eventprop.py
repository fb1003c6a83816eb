"""EventProp: exact gradients from spike times (Wunderlich & Pehle 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shd_genn.network import Network, Population
from shd_genn.network.readouts import READOUTS
from shd_genn.support.errors import refuse_unless


@dataclass(frozen=True)
class EventProp:
    """The gradient of the loss by weights, delays and constants, from an adjoint backwards in time.

    Wunderlich & Pehle (2021), Table 1, in the stepped form of mlGeNN's ``EventPropCompiler``; of
    delays Mészáros et al. (2025).
    """

    name: ClassVar[str] = "eventprop"

    def check(self, network: Network) -> None:
        """Refuse a network that EventProp cannot train.

        Raises:
            ConfigError: if not exactly one population has a readout, or connections into one
                population differ in their synapses.
        """
        _ = network.output  # refuses none and more than one
        for population in network.populations:
            _check_synapses(network, population)


def _check_synapses(network: Network, population: Population) -> None:
    synapses = list(dict.fromkeys(c.synapse for c in network.inputs_of(population)))
    refuse_unless(
        len(synapses) <= 1,
        f"connections into population {population.name} have different synapses: "
        f"{', '.join(map(str, synapses))}",
        "make them equal, because EventProp has one synaptic current a neuron (as mlGeNN)",
    )


def gradient_scale(network: Network, n_steps: int) -> float:
    """dLoss/dw divided by mlGeNN's ``Gradient``, in the limit dt → 0.

    mlGeNN leaves out a factor tau_mem of an output that is read by its voltage, and drives
    ``sum_var`` and ``max_var`` as if they were averages over the trial, N times too little.
    Regularisation strengths are published relative to that scale, so training keeps it.
    """
    properties = READOUTS[network.readout]
    if properties.spiking:
        return 1.0
    return network.tau_mem_out * (1 if properties.averaged else n_steps)
