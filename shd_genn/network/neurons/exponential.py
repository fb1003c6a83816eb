"""Synapses whose current decays exponentially."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shd_genn.network.initialisers import Value
from shd_genn.network.neurons.description import ParameterDescription, Synapse, SynapseDescription

TAU_SYN = ParameterDescription(
    "tau_syn",
    "ms",
    default=5.0,
    low=0.0,
    advice="time constants are in ms, usually 2 to 20",
    attribute="tau",
)
"""The synaptic time constant."""


@dataclass(frozen=True)
class Exponential(Synapse):
    """Exponentially decaying synaptic current (mlGeNN `Exponential` with ``scale_i``).

    tau dI/dt = -I; a spike adds its synapse's weight to I, scaled so that a single spike has the
    same effect whatever the length of a step.

    Attributes:
        tau: Synaptic time constant in ms; if it differs, then from target neuron to target neuron,
            with the same for all synapses of a neuron.
    """

    description: ClassVar = SynapseDescription("Exponential", parameters=(TAU_SYN,), state=("I",))

    tau: Value = TAU_SYN.default
