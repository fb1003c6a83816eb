"""Leaky integrate-and-fire neurons with an adaptive threshold (ALIF)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from shd_genn.network.initialisers import Value
from shd_genn.network.neurons.description import (
    NeuronDescription,
    NeuronModel,
    ParameterDescription,
)
from shd_genn.network.neurons.equations import Equations
from shd_genn.network.neurons.leaky_integrate import TAU_MEM
from shd_genn.network.neurons.leaky_integrate_fire import V_THRESH, Reset, check_reset

TAU_ADAPT = ParameterDescription(
    "tau_adapt", "ms", default=2000.0, low=0.0, advice="times are in ms; the papers use 200 to 2000"
)
"""The time constant of the threshold's adaptation."""

BETA = ParameterDescription(
    "beta", "", default=0.0174, low=0.0, advice="the papers use 0.0174; it must not be negative"
)
"""How much a spike raises the threshold."""

EQUATIONS = Equations(
    "tau_mem * V' = I - V; tau_adapt * A' = -A",
    spike="V >= v_thresh + beta * A",
    reset="V -= v_thresh; A += 1",
)


@dataclass(frozen=True)
class AdaptiveLeakyIntegrateFire(NeuronModel):
    """LIF neuron whose threshold rises with every spike (mlGeNN `AdaptiveLeakyIntegrateFire`).

    tau_mem V' = I - V and tau_adapt A' = -A. At V ≥ v_thresh + beta A it spikes, A rises by 1, and
    V becomes 0 or loses v_thresh (Bellec et al. 2018, 2020).

    Attributes:
        tau_mem: Membrane time constant in ms.
        v_thresh: Firing threshold at rest.
        tau_adapt: Time constant in ms with which the threshold falls back.
        beta: How much a spike raises the threshold.
        reset: What a spike does to V; mlGeNN and Bellec et al. subtract v_thresh.
        tau_refrac: For how many ms after a spike V stays where the reset has put it.
    """

    description: ClassVar = NeuronDescription.of(
        "AdaptiveLeakyIntegrateFire",
        (TAU_MEM, V_THRESH, TAU_ADAPT, BETA),
        EQUATIONS,
    )

    tau_mem: Value = TAU_MEM.default
    v_thresh: Value = V_THRESH.default
    tau_adapt: Value = TAU_ADAPT.default
    beta: Value = BETA.default
    reset: Reset = "subtract"
    tau_refrac: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_reset(self.description.name, self.reset, self.tau_refrac)

    @property
    def refractory_ms(self) -> float:
        """How long V is held after a spike, in ms."""
        return self.tau_refrac

    @property
    def dynamics(self) -> Equations:
        """Those of the chosen reset."""
        reset = "V = 0" if self.reset == "zero" else "V -= v_thresh"
        return replace(EQUATIONS, reset=f"{reset}; A += 1", refractory=self.tau_refrac > 0)
