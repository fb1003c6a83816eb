"""Models of neurons and synapses, a file each, in mlGeNN's words.

They are plain values that a network is described with. Time constants are in ms. They and
thresholds may differ from neuron to neuron, and may be learned; see
`shd_genn.network.initialisers`. `description` defines how a neuron is described.
"""

from __future__ import annotations

from shd_genn.network.formulas import Formula
from shd_genn.network.initialisers import Kind, Value
from shd_genn.network.learned_weight import LearnedWeight
from shd_genn.network.neurons.adaptive_leaky_integrate_fire import AdaptiveLeakyIntegrateFire
from shd_genn.network.neurons.adlif import AdLIF
from shd_genn.network.neurons.delta import Delta
from shd_genn.network.neurons.description import (
    NeuronDescription,
    NeuronModel,
    ParameterDescription,
    Synapse,
    SynapseDescription,
)
from shd_genn.network.neurons.exponential import Exponential
from shd_genn.network.neurons.hodgkin_huxley import HodgkinHuxley
from shd_genn.network.neurons.izhikevich import Izhikevich
from shd_genn.network.neurons.klif import KLIF
from shd_genn.network.neurons.leaky_integrate import LeakyIntegrate
from shd_genn.network.neurons.leaky_integrate_fire import LeakyIntegrateFire
from shd_genn.network.neurons.ltmd import LTMD
from shd_genn.network.neurons.own_neuron import Neuron
from shd_genn.network.neurons.paralif import ParaLIF
from shd_genn.network.neurons.quadratic_integrate_fire import QuadraticIntegrateFire
from shd_genn.network.neurons.sliding_psn import SlidingPSN
from shd_genn.network.neurons.spike_input import SpikeInput
from shd_genn.network.readouts import READOUTS, Readout

__all__ = [
    "HAND_WRITTEN_KINDS",
    "KLIF",
    "LTMD",
    "NEURONS",
    "NEURON_KINDS",
    "NEURON_PARAMETERS",
    "SYNAPSES",
    "AdLIF",
    "AdaptiveLeakyIntegrateFire",
    "Delta",
    "Exponential",
    "HodgkinHuxley",
    "Izhikevich",
    "LeakyIntegrate",
    "LeakyIntegrateFire",
    "Neuron",
    "NeuronDescription",
    "NeuronModel",
    "ParaLIF",
    "ParameterDescription",
    "QuadraticIntegrateFire",
    "SlidingPSN",
    "SpikeInput",
    "Synapse",
    "SynapseDescription",
    "output_neuron",
]

NEURONS: tuple[type[NeuronModel], ...] = (
    SpikeInput,
    LeakyIntegrate,
    LeakyIntegrateFire,
    AdaptiveLeakyIntegrateFire,
    AdLIF,
    QuadraticIntegrateFire,
    Izhikevich,
    HodgkinHuxley,
    KLIF,
    LTMD,
    ParaLIF,
)
"""All neurons, but for `Neuron` and `SlidingPSN`, whose parameters depend on their arguments."""

SYNAPSES: tuple[type[Synapse], ...] = (Exponential, Delta)
"""All synapses."""


NEURON_PARAMETERS: dict[Kind, ParameterDescription] = {
    parameter.name: parameter
    for parameters in (
        *(neuron.description.parameters for neuron in NEURONS),
        *(synapse.description.parameters for synapse in SYNAPSES),
    )
    for parameter in parameters
    if parameter.learnable
}
"""Kind → what can be learned of a neuron, its synapses' time constant included."""

NEURON_KINDS: tuple[Kind, ...] = tuple(NEURON_PARAMETERS)
"""The kinds of parameters that neurons have."""

HAND_WRITTEN_KINDS: tuple[Kind, ...] = tuple(
    dict.fromkeys(
        parameter.name
        for described in (LeakyIntegrateFire, LeakyIntegrate, Exponential)
        for parameter in described.description.parameters
    )
)
"""Those of the neurons that all backends have code of their own for."""


def output_neuron(
    readout: Readout,
    tau_mem: Value = 20.0,
    v_thresh: Value = 1.0,
    weight: Formula | LearnedWeight | None = None,
) -> LeakyIntegrate | LeakyIntegrateFire:
    """The neuron that a readout is taken from; only one that spikes has a threshold."""
    if READOUTS[readout].spiking:
        return LeakyIntegrateFire(tau_mem, v_thresh, readout)
    return LeakyIntegrate(tau_mem, readout, weight)
