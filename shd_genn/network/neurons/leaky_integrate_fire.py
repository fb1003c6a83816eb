"""Leaky integrate-and-fire neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shd_genn.network.initialisers import Value
from shd_genn.network.neurons.description import Neuron, NeuronDescription, ParameterDescription
from shd_genn.network.neurons.leaky_integrate import TAU_MEM
from shd_genn.network.readouts import Readout

V_THRESH = ParameterDescription(
    "v_thresh", "", default=1.0, low=0.0, advice="the reset is at 0, so V must rise to spike"
)
"""The firing threshold."""


@dataclass(frozen=True)
class LeakyIntegrateFire(Neuron):
    """Leaky integrate-and-fire neuron (mlGeNN `LeakyIntegrateFire`): tau_mem dV/dt = -V + I.

    At V ≥ v_thresh it spikes and V is set to 0 at once; there is no refractory period.

    Attributes:
        tau_mem: Membrane time constant in ms, of all neurons or of each.
        v_thresh: Firing threshold (dimensionless, as V), likewise.
        readout: For outputs: how the spikes become one number a class; see
            `shd_genn.network.readouts`.
    """

    description: ClassVar = NeuronDescription(
        "LeakyIntegrateFire", parameters=(TAU_MEM, V_THRESH), state=("V",), spikes=True
    )

    tau_mem: Value = TAU_MEM.default
    v_thresh: Value = V_THRESH.default
    readout: Readout | None = None
