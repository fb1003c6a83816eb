"""Leaky integrators without spikes, which are read by their voltage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shd_genn.network.formulas import Formula
from shd_genn.network.initialisers import Value
from shd_genn.network.learned_weight import LearnedWeight
from shd_genn.network.neurons.description import (
    NeuronDescription,
    NeuronModel,
    ParameterDescription,
)
from shd_genn.network.neurons.equations import Equations
from shd_genn.network.readouts import Readout
from shd_genn.support.errors import refuse_unless

TAU_MEM = ParameterDescription(
    "tau_mem", "ms", default=20.0, low=0.0, advice="time constants are in ms, usually 5 to 100"
)
"""The membrane time constant."""


@dataclass(frozen=True)
class LeakyIntegrate(NeuronModel):
    """Leaky integrator without spikes (mlGeNN `LeakyIntegrate`): tau_mem dV/dt = -V + I.

    Attributes:
        tau_mem: Membrane time constant in ms, of all neurons or of each.
        readout: How the voltage becomes one number a class; see `shd_genn.network.readouts`.
        weight: The weight of the readout ``weighted``, or what ``learned_weight`` learns; None for
            all others.
    """

    description: ClassVar = NeuronDescription.of(
        "LeakyIntegrate", (TAU_MEM,), Equations("tau_mem * V' = I - V")
    )

    tau_mem: Value = TAU_MEM.default
    readout: Readout = "avg_var_exp_weight"
    weight: Formula | LearnedWeight | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        kinds = {"weighted": Formula, "learned_weight": LearnedWeight}
        refuse_unless(
            isinstance(self.weight, kinds.get(self.readout, type(None))),
            f"readout {self.readout} with weight {self.weight} makes no output",
            "give a Formula to weighted, a LearnedWeight to learned_weight, and none to others",
        )

    @property
    def hand_written(self) -> bool:
        """It is; what is derived of its equations has no readout."""
        return True
