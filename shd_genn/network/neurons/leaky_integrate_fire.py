"""Leaky integrate-and-fire neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

from shd_genn.network.initialisers import Value
from shd_genn.network.neurons.description import (
    NeuronDescription,
    NeuronModel,
    ParameterDescription,
)
from shd_genn.network.neurons.equations import Equations
from shd_genn.network.neurons.leaky_integrate import TAU_MEM
from shd_genn.network.readouts import Readout
from shd_genn.support.errors import refuse_unless, require

V_THRESH = ParameterDescription(
    "v_thresh", "", default=1.0, low=0.0, advice="the reset is at 0, so V must rise to spike"
)
"""The firing threshold."""

Reset = Literal["zero", "subtract"]
"""What a spike does to V: set it to 0, or subtract the threshold from it."""

EQUATIONS = Equations("tau_mem * V' = I - V", spike="V >= v_thresh", reset="V = 0")


@dataclass(frozen=True)
class LeakyIntegrateFire(NeuronModel):
    """Leaky integrate-and-fire neuron (mlGeNN `LeakyIntegrateFire`): tau_mem dV/dt = -V + I.

    At V ≥ v_thresh it spikes and V is set to 0 at once, or the threshold is subtracted from it.

    Attributes:
        tau_mem: Membrane time constant in ms, of all neurons or of each.
        v_thresh: Firing threshold (dimensionless, as V), likewise.
        readout: For outputs: how the spikes become one number a class; see
            `shd_genn.network.readouts`.
        reset: What a spike does to V.
        tau_refrac: For how many ms after a spike V stays where the reset has put it; rounded to
            whole time steps.
    """

    description: ClassVar = NeuronDescription.of(
        "LeakyIntegrateFire",
        (TAU_MEM, V_THRESH),
        EQUATIONS,
    )

    tau_mem: Value = TAU_MEM.default
    v_thresh: Value = V_THRESH.default
    readout: Readout | None = None
    reset: Reset = "zero"
    tau_refrac: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_reset(self.description.name, self.reset, self.tau_refrac)
        refuse_unless(
            self.readout is None or self.hand_written,
            "outputs of LeakyIntegrateFire reset to 0 and have no refractory time, but got "
            f"reset {self.reset!r} and tau_refrac {self.tau_refrac:g}",
            "leave both out",
        )

    @property
    def hand_written(self) -> bool:
        """Whether it is mlGeNN's neuron, which has code of its own in every backend."""
        return self.reset == "zero" and self.tau_refrac == 0

    @property
    def refractory_ms(self) -> float:
        """How long variables are held after a spike, in ms."""
        return self.tau_refrac

    @property
    def dynamics(self) -> Equations:
        """Those of the chosen reset."""
        reset = "V = 0" if self.reset == "zero" else "V -= v_thresh"
        return replace(EQUATIONS, reset=reset, refractory=self.tau_refrac > 0)


def check_reset(neuron: str, reset: str, tau_refrac: float) -> None:
    """Refuse a reset that there is not, and a refractory time that is none.

    Raises:
        ConfigError: if they are.
    """
    allowed = get_args(Reset)
    refuse_unless(
        reset in allowed,
        f"reset of {neuron} must be one of {', '.join(allowed)}, but got {reset!r}",
        "choose one of them",
    )
    require(
        0 <= tau_refrac < 1000,
        "0 <= tau_refrac < 1000",
        tau_refrac,
        "it is in ms; 0 means that there is no refractory time",
    )
