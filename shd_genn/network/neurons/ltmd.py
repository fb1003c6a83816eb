"""Leaky integrate-and-fire neurons whose learned threshold is a hyperbolic tangent (LTMD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shd_genn.network.initialisers import Value
from shd_genn.network.neurons.description import (
    NeuronDescription,
    NeuronModel,
    ParameterDescription,
)
from shd_genn.network.neurons.equations import Equations
from shd_genn.network.neurons.leaky_integrate import TAU_MEM

K = ParameterDescription(
    "k_thresh", "", default=0.5, low=0.0, advice="the threshold is tanh(k_thresh), above 0"
)
"""What is learned; its hyperbolic tangent is the threshold."""


@dataclass(frozen=True)
class LTMD(NeuronModel):
    """LIF neuron whose threshold is tanh(k_thresh), with k_thresh learned (Wang et al. 2022).

    tau_mem V' = I - V; at V ≥ tanh(k_thresh) it spikes and V becomes 0. So the threshold stays
    below 1, and changes the less, the nearer it is to 1. The paper has one for a layer, and
    drop-out with one mask for all steps of a trial, its "moderate dropout" (`hidden_dropout`).

    Attributes:
        tau_mem: Membrane time constant in ms.
        k_thresh: The inverse hyperbolic tangent of the threshold; 0.5 in the paper's code.
    """

    tau_mem: Value = TAU_MEM.default
    k_thresh: Value = K.default

    description: ClassVar = NeuronDescription.of(
        "LTMD",
        (TAU_MEM, K),
        Equations("tau_mem * V' = I - V", spike="V >= tanh(k_thresh)", reset="V = 0"),
    )
