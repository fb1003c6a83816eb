"""EventProp: exact gradients from spike times (Wunderlich & Pehle 2021)."""

from __future__ import annotations

from dataclasses import dataclass

from shd_genn.learning.methods.limits import check_currents, check_one_synapse
from shd_genn.network import Network
from shd_genn.network.readouts import READOUTS
from shd_genn.support.errors import refuse_unless
from shd_genn.support.settings import Choice


@dataclass(frozen=True)
class EventProp(Choice, kind="eventprop"):
    """Exact gradients from spike times, by an adjoint backwards in time.

    Wunderlich & Pehle (2021), Table 1, in the stepped form of mlGeNN's ``EventPropCompiler``; of
    delays Mészáros et al. (2025).
    """

    def check(self, network: Network) -> None:
        """Refuse a network that EventProp cannot train.

        Raises:
            ConfigError: if not exactly one population has a readout, or connections into one
                population differ in their synapses, or are delta synapses, or hidden neurons
                have no spikes in continuous time.
        """
        _ = network.output  # refuses none and more than one
        for population in network.hidden:
            neuron = population.neuron
            reason = neuron.dynamics.only_in_steps if neuron.dynamics else ""
            refuse_unless(
                not reason,
                "EventProp differentiates by the times of spikes, which the neurons "
                f"{neuron.description.name} of {population.name} have in steps only: {reason}",
                "take method=surrogate or eprop, or another neuron",
            )
        check_one_synapse(network, "EventProp")
        check_currents(
            network,
            "EventProp",
            "V jumps over the threshold as a spike arrives, so that the time of the spike that "
            "follows has no derivative by weights",
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
