"""Quadratic integrate-and-fire neurons."""

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

V_CRIT = ParameterDescription(
    "v_crit", "", default=1.0, low=0.0, advice="it lies above 0, where V rests; 1 is usual"
)
"""Beyond this voltage V rises by itself."""

V_PEAK = ParameterDescription(
    "v_peak", "", default=10.0, low=0.0, advice="it lies well above v_crit; 10 is usual"
)
"""The voltage of a spike."""

V_RESET = ParameterDescription(
    "v_reset", "", default=-1.0, high=0.0, advice="it lies below 0, where V rests; -1 is usual"
)
"""The voltage after a spike."""


@dataclass(frozen=True)
class QuadraticIntegrateFire(NeuronModel):
    """Quadratic integrate-and-fire neuron: tau_mem V' = V (V - v_crit) + I.

    V rests at 0. Beyond v_crit it rises by itself, faster and faster, to v_peak; then it spikes and
    V becomes v_reset (Latham et al. 2000; Klos & Memmesheimer 2025, whose v_peak is infinite).

    Attributes:
        tau_mem: Time constant in ms.
        v_crit: The voltage beyond which V rises by itself.
        v_peak: The voltage of a spike.
        v_reset: The voltage after a spike.
    """

    description: ClassVar = NeuronDescription.of(
        "QuadraticIntegrateFire",
        (TAU_MEM, V_CRIT, V_PEAK, V_RESET),
        Equations(
            "tau_mem * V' = V * (V - v_crit) + I",
            spike="V >= v_peak",
            reset="V = v_reset",
            substep_ms=0.25,
        ),
    )

    tau_mem: Value = TAU_MEM.default
    v_crit: Value = V_CRIT.default
    v_peak: Value = V_PEAK.default
    v_reset: Value = V_RESET.default
