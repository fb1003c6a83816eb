"""Leaky integrators that spike without a reset (ParaLIF)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from shd_genn.network.initialisers import Value
from shd_genn.network.neurons.description import NeuronDescription, NeuronModel
from shd_genn.network.neurons.equations import Equations
from shd_genn.network.neurons.leaky_integrate import TAU_MEM
from shd_genn.network.neurons.leaky_integrate_fire import V_THRESH

Spikes = Literal["threshold", "delta", "bernoulli"]
"""threshold: in every step in which V is at the threshold or above it; delta: in which V has risen
by the threshold since the step before; bernoulli: at random, with the probability
1 / (1 + exp(v_thresh - V))."""

INTEGRATOR = "tau_mem * V' = I - V"

EQUATIONS: dict[Spikes, Equations] = {
    "threshold": Equations(INTEGRATOR, spike="V >= v_thresh", reset="V = V"),
    "delta": Equations(
        f"{INTEGRATOR}; before' = 0; rise' = 0",
        spike="rise >= v_thresh",
        reset="rise = rise",
        update="rise = V - before; before = V",
    ),
    "bernoulli": Equations(INTEGRATOR, spike="V >= v_thresh", reset="V = V", random=True),
}
"""Kind of spikes → equations."""


@dataclass(frozen=True)
class ParaLIF(NeuronModel):
    """Leaky integrator that no spike resets (Yarga & Wood 2023, 2025).

    Without a reset V is a linear filter of the input, which the papers compute for all steps at
    once. Here it is computed in steps, so that recurrent weights are possible, too.

    Attributes:
        tau_mem: Membrane time constant in ms.
        v_thresh: Firing threshold.
        spikes: When it spikes.
    """

    description: ClassVar = NeuronDescription.of(
        "ParaLIF", (TAU_MEM, V_THRESH), EQUATIONS["threshold"]
    )

    tau_mem: Value = TAU_MEM.default
    v_thresh: Value = V_THRESH.default
    spikes: Spikes = "threshold"

    @property
    def dynamics(self) -> Equations:
        """Those of the chosen kind of spikes."""
        return EQUATIONS[self.spikes]
