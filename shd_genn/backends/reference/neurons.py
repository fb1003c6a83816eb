"""Every neuron in NumPy, a step forward and a step backward.

To add a neuron, write how it resets and how its adjoint jumps at a spike, and add it to
`EQUATIONS`. Symbols are those of `eventprop`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.reference.sensitivities import Constants, Sensitivity
from shd_genn.network import (
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    NeuronModel,
    Population,
)

Array = NDArray[np.floating]


class Integrate:
    """A population of leaky integrators in the forward pass, and what the backward pass needs.

    Args:
        constants: Of each neuron.
        learned: Which of them are learned.

    Attributes:
        v: (neurons,): membrane voltage.
        spikes: The neurons that spiked, ascending, for each step; empty if they never do.
        slopes: I/S - V at these spikes.
        kept_e: Kind → e of `sensitivities` in each step: of the neurons that spiked, or of all if
            they never do.
    """

    def __init__(self, constants: Constants, learned: list[str]) -> None:
        self.k = constants
        self._rise: Array = 1 - constants.alpha
        self.sensitivity = Sensitivity(learned, constants)
        self.v: Array = np.zeros_like(constants.alpha)
        self.spikes: list[NDArray[np.intp]] = []
        self.slopes: list[Array] = []
        self.kept_e: dict[str, list[Array]] = {kind: [] for kind in learned}

    def step(self, x: Array) -> None:
        """One step, given x of all connections together."""
        k = self.k
        self.sensitivity.step(self.v, x)
        self.v = k.alpha * self.v + self._rise * (k.scale * x)
        self.end_step(x)

    def end_step(self, x: Array) -> None:
        """What happens at the end of a step: nothing but that e is kept."""
        self.keep(slice(None))

    def keep(self, neurons: NDArray[np.intp] | slice) -> None:
        """Keep e of some neurons."""
        for kind, e in self.sensitivity.e.items():
            self.kept_e[kind].append(e[neurons].copy())


class IntegrateFire(Integrate):
    """Leaky integrate-and-fire neurons: at V ≥ v_thresh they spike, and V is set to 0."""

    def end_step(self, x: Array) -> None:
        """Spikes and resets."""
        fired = (self.v >= self.k.v_thresh).nonzero()[0]
        self.keep(fired)
        self.spikes.append(fired)
        self.slopes.append(x[fired] - self.v[fired])
        if len(fired):
            self.reset(fired)

    def reset(self, fired: NDArray[np.intp]) -> None:
        """Set V of the neurons that spiked."""
        self.v[fired] = 0
        self.sensitivity.reset(fired)


class Adjoint:
    """λV and λI of a population, now and in the steps that come after."""

    def __init__(self, k: Constants, n_steps: int) -> None:
        self.k = k
        self.v: Array = np.zeros_like(k.alpha)
        self.i: Array = np.zeros_like(k.alpha)
        # nothing has an effect that arrives after the last step
        self.lambda_i = np.zeros((n_steps + 1, len(k.alpha)), k.alpha.dtype)
        self.difference = np.zeros_like(self.lambda_i)

    def decay(self, drive: Array | np.floating) -> None:
        """One step back, towards a drive that is held for the step."""
        k = self.k
        self.i = drive + k.beta * (self.i - drive) + k.cross * (self.v - drive)
        self.v = drive + k.alpha * (self.v - drive)

    def jump(self, fired: NDArray[np.intp], caused: Array, slopes: Array) -> None:
        """Cross the spikes of a step, given what each of them has caused, (spikes,)."""
        self.v[fired] += (self.k.v_thresh[fired] * self.v[fired] + caused) / slopes

    def remember(self, step: int) -> None:
        """Keep λI and λV - λI of a step, for spikes that arrive then."""
        self.lambda_i[step], self.difference[step] = self.i, self.v - self.i


class History(Protocol):
    """The adjoint of a population in all steps: λI and λV - λI, (n_steps + 1, neurons)."""

    lambda_i: Array
    difference: Array


def at_arrival(
    target: History, delays: NDArray[np.intp] | None, fired: NDArray[np.intp], step: int
) -> tuple[Array, Array]:
    """λI and λV - λI where spikes of a step arrive, (spikes, target neurons).

    Args:
        target: The adjoint of the neurons that receive the spikes.
        delays: `delays_of` their connection: a spike that took d steps longer acted d steps later.
            None if every spike arrives one step after it was emitted.
        fired: The source neurons that spiked.
        step: When they did.
    """
    beyond, size = target.lambda_i.shape[0] - 1, target.lambda_i.shape[1]
    if delays is None:
        shape, arrival = (len(fired), size), min(step + 1, beyond)
        return (
            np.broadcast_to(target.lambda_i[arrival], shape),
            np.broadcast_to(target.difference[arrival], shape),
        )
    arrivals, targets = np.minimum(step + 1 + delays[fired], beyond), np.arange(size)
    return target.lambda_i[arrivals, targets], target.difference[arrivals, targets]


@dataclass(frozen=True)
class Equations:
    """How a neuron is computed.

    Attributes:
        forward: A population in the forward pass.
        adjoint: Its adjoint in the backward pass.
        constants: From the values of its parameters, each (neurons,), and the length of a step.
    """

    forward: type[Integrate]
    adjoint: type[Adjoint] = Adjoint
    constants: Callable[..., Constants] = Constants.of


EQUATIONS: dict[type[NeuronModel], Equations] = {
    LeakyIntegrate: Equations(Integrate),
    LeakyIntegrateFire: Equations(IntegrateFire),
}
"""The neurons that the reference has, besides the input."""


def constants_of(
    network: Network,
    population: Population,
    parameters: Mapping[str, Array],
    dt_ms: float,
) -> Constants:
    """The constants of each neuron of a population that has inputs, in float64."""
    arrays = {"v_thresh": np.full(population.size, math.inf)}  # it never spikes
    arrays |= arrays_of(network, population, parameters)
    return EQUATIONS[type(population.neuron)].constants(**arrays, dt_ms=dt_ms)


def arrays_of(
    network: Network, population: Population, parameters: Mapping[str, Array]
) -> dict[str, Array]:
    """Kind → value of each neuron of a population, its synapses' time constant included."""
    return {
        kind: np.full(population.size, value)
        if isinstance(value, float | int)
        else parameters[f"{population.name}.{kind}"]
        for kind, value in network.values_of(population).items()
    }
