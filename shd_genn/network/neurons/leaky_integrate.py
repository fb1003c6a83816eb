"""Leaky integrators without spikes, which are read by their voltage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shd_genn.network.formulas import Formula
from shd_genn.network.initialisers import Value
from shd_genn.network.learned_weight import LearnedWeight
from shd_genn.network.neurons.description import Neuron, NeuronDescription, ParameterDescription
from shd_genn.network.readouts import Readout
from shd_genn.support.errors import refuse_unless

TAU_MEM = ParameterDescription(
    "tau_mem", "ms", default=20.0, low=0.0, advice="time constants are in ms, usually 5 to 100"
)
"""The membrane time constant."""


@dataclass(frozen=True)
class LeakyIntegrate(Neuron):
    """Leaky integrator without spikes (mlGeNN `LeakyIntegrate`): tau_mem dV/dt = -V + I.

    Attributes:
        tau_mem: Membrane time constant in ms, of all neurons or of each.
        readout: How the voltage becomes one number a class; see `shd_genn.network.readouts`.
        weight: The weight of the readout ``weighted``, or what ``learned_weight`` learns; None for
            all others.
    """

    description: ClassVar = NeuronDescription(
        "LeakyIntegrate", parameters=(TAU_MEM,), state=("V",), spikes=False
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
