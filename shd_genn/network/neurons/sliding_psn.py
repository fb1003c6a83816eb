"""Neurons that weigh the currents of the last steps (sliding parallel spiking neurons)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shd_genn.network.initialisers import Value
from shd_genn.network.neurons.description import (
    NeuronDescription,
    NeuronModel,
    ParameterDescription,
)
from shd_genn.network.neurons.equations import Equations
from shd_genn.network.neurons.leaky_integrate_fire import V_THRESH
from shd_genn.support.errors import require

LONGEST = 64
"""Steps that a neuron can look back at most: each is a state variable, with a parameter."""


def usual_weights(order: int) -> tuple[float, ...]:
    """1, 1/2, 1/4 …: with what the paper starts."""
    return tuple(2.0**-i for i in range(order))


@dataclass(frozen=True)
class SlidingPSN(NeuronModel):
    """Neuron that spikes where w0 I[n] + w1 I[n-1] + … reaches its threshold (Fang et al. 2023).

    Nothing resets it, and it has no membrane: the weights of the last currents take its place. It
    is SpikingJelly's ``SlidingPSN`` with a synaptic current, and with weights and a threshold (the
    negative of the bias) for each neuron.

    Attributes:
        v_thresh: Firing threshold.
        weights: Those of the current of this step, of the step before, and so on.
    """

    v_thresh: Value = V_THRESH.default
    weights: Sequence[Value] = usual_weights(32)

    def __post_init__(self) -> None:
        order = len(self.weights)
        require(
            1 <= order <= LONGEST,
            f"1 <= number of weights of SlidingPSN <= {LONGEST}",
            order,
            "32 is usual; take longer steps to look back further",
        )
        object.__setattr__(self, "weights", tuple(self.weights))
        object.__setattr__(self, "description", self._describe())
        super().__post_init__()

    def __getattr__(self, name: str) -> Value:
        """A weight by its name, w0 and so on."""
        weights: Sequence[Value] = self.__dict__.get("weights", ())
        number = name.removeprefix("w")
        if name == number or not number.isdecimal() or int(number) >= len(weights):
            raise AttributeError(f"SlidingPSN has no parameter {name}")
        return weights[int(number)]

    def _describe(self) -> NeuronDescription:
        order = len(self.weights)
        earlier = "; ".join(f"I{i} = I{i - 1}" for i in reversed(range(1, order)))
        equations = Equations(
            "; ".join(f"I{i}' = 0" for i in range(order)),
            spike=f"{' + '.join(f'w{i} * I{i}' for i in range(order))} >= v_thresh",
            reset="I0 = I0",
            update=f"I0 = I; {earlier}",
        )
        usual = usual_weights(order)
        weights = tuple(
            ParameterDescription(f"w{i}", "", default=usual[i], advice="1, 1/2, 1/4 … are usual")
            for i in range(order)
        )
        return NeuronDescription.of("SlidingPSN", (V_THRESH, *weights), equations)
