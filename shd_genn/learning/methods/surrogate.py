"""Backpropagation through time with surrogate gradients (Neftci, Mostafa & Zenke 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt
from numpy.typing import NDArray

from shd_genn.learning.methods.eventprop import gradient_scale
from shd_genn.learning.methods.limits import check_one_synapse, check_steps
from shd_genn.learning.methods.shapes import Pseudo, ShapeName
from shd_genn.network import Network
from shd_genn.support.settings import Choice, Cure

Slope = Annotated[float, Gt(0), Cure("leave it out for the shape's usual slope")]
Scale = Annotated[float, Gt(0), Cure("leave it out for the shape's usual scale")]


@dataclass(frozen=True)
class Surrogate(Choice, kind="surrogate"):
    """Backpropagation through time: a surrogate stands for the derivative of spikes.

    Neftci, Mostafa & Zenke (2019). The derivative is that of the network in time steps.
    """

    surrogate: ShapeName = "superspike"
    """Shape of the surrogate derivative; docs/methods.md has their formulas."""
    surrogate_slope: Slope | None = None
    """How narrow the surrogate is; by default as usual for the shape."""
    surrogate_scale: Scale | None = None
    """Factor of the surrogate; by default as usual for the shape."""
    detach_reset: bool = True
    """Take the reset after a spike as given: no gradient goes through it."""

    @property
    def derivative(self) -> Pseudo:
        """The surrogate derivative with its constants."""
        return Pseudo.of(self.surrogate, self.surrogate_slope, self.surrogate_scale)

    def check(self, network: Network) -> None:
        """Refuse a network that surrogate gradients cannot train here.

        Raises:
            ConfigError: if not exactly one population has a readout, connections into one
                population differ in their synapses, the output spikes, a hidden neuron is neither
                `LeakyIntegrateFire` nor described by equations, or delays are learned.
        """
        _ = network.output
        check_one_synapse(network, "the surrogate method")
        check_steps(network, "the surrogate method")


def voltage_weights(network: Network, n_steps: int) -> NDArray[np.float64]:
    """-∂L/∂V of the output in each step, per unit of -∂L/∂readout, (n_steps,).

    For ``max_var`` it is that of the step of the maximum; for ``var`` -∂L/∂readout is that of each
    step. The loss is divided by `gradient_scale`, so that all methods share one scale of
    gradients, in which the strength of the regulariser is published.
    """
    return network.read_weights(n_steps) / gradient_scale(network, n_steps)
