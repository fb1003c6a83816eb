"""Leaky integrate-and-fire neurons with an adaptation current (adLIF)."""

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
from shd_genn.network.neurons.leaky_integrate_fire import V_THRESH

TAU_W = ParameterDescription(
    "tau_w", "ms", default=100.0, low=0.0, advice="times are in ms; the papers use 30 to 300"
)
"""The time constant of the adaptation current."""

COUPLING = ParameterDescription(
    "a",
    "",
    default=0.2,
    low=-1.0,
    advice="the papers use -1 to 1; at -1 or less the neuron has no state of rest",
)
"""How much the voltage drives the adaptation current."""

JUMP = ParameterDescription("b", "", default=0.2, advice="the papers use 0 to 2")
"""How much a spike raises the adaptation current."""


@dataclass(frozen=True)
class AdLIF(NeuronModel):
    """LIF neuron with an adaptation current w, which the voltage and every spike drive.

    tau_mem V' = I - V - w and tau_w w' = a V - w; at V ≥ v_thresh it spikes, V becomes 0 and w
    rises by b (Bittar & Garner 2022; Baronig et al. 2025).

    Attributes:
        tau_mem: Membrane time constant in ms.
        v_thresh: Firing threshold.
        tau_w: Time constant of the adaptation current in ms.
        a: How much the voltage drives the adaptation current; more than 0 damps, and lets V
            oscillate, less than 0 strengthens.
        b: How much a spike raises the adaptation current.
    """

    description: ClassVar = NeuronDescription.of(
        "AdLIF",
        (TAU_MEM, V_THRESH, TAU_W, COUPLING, JUMP),
        Equations(
            "tau_mem * V' = I - V - w; tau_w * w' = a * V - w",
            spike="V >= v_thresh",
            reset="V = 0; w += b",
        ),
    )

    tau_mem: Value = TAU_MEM.default
    v_thresh: Value = V_THRESH.default
    tau_w: Value = TAU_W.default
    a: Value = COUPLING.default
    b: Value = JUMP.default
