"""Leaky integrate-and-fire neurons whose voltage is scaled by a learned factor (KLIF)."""

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
from shd_genn.network.neurons.leaky_integrate_fire import V_THRESH, Reset

K = ParameterDescription("k", "", default=1.0, low=0.0, advice="the paper starts with 1")
"""The factor of the voltage in the spike condition, and so of the surrogate's slope."""


@dataclass(frozen=True)
class KLIF(NeuronModel):
    """LIF neuron that compares F = max(0, k V) with its threshold (Jiang & Zhang 2023).

    k is learned, and with it how steep the surrogate derivative is as a function of V. In each step
    V becomes F, or F / k with `scale_reset`; a spike sets it to 0, or takes the threshold from F.
    It is SpikingJelly's ``KLIFNode``, with a synaptic current and a k for each neuron.

    Attributes:
        tau_mem: Membrane time constant in ms.
        v_thresh: Firing threshold.
        k: The factor.
        reset: What a spike does to V.
        scale_reset: Whether V is F / k after a step: max(0, V). The paper has F, which grows by
            itself where k > exp(dt/tau_mem): it is for few steps, or long ones.
    """

    tau_mem: Value = TAU_MEM.default
    v_thresh: Value = V_THRESH.default
    k: Value = K.default
    reset: Reset = "zero"
    scale_reset: bool = True

    description: ClassVar = NeuronDescription.of(
        "KLIF",
        (TAU_MEM, V_THRESH, K),
        Equations(
            "tau_mem * V' = I - V",
            spike="k * V >= v_thresh",
            reset="V = 0",
            update="V = relu(V)",
        ),
    )

    @property
    def dynamics(self) -> Equations:
        """Those of the chosen reset."""
        unit = "1" if self.scale_reset else "k"  # what V is multiplied by in each step
        return Equations(
            "tau_mem * V' = I - V",
            spike=f"k / {unit} * V >= v_thresh",
            reset="V = 0" if self.reset == "zero" else f"V -= {unit} / k * v_thresh",
            update=f"V = relu({unit} * V)",
        )
