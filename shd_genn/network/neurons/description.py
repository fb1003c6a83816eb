"""What a neuron or a synapse is, as data: its parameters, its state, and whether it spikes.

Everything else that has to know a neuron's parameters derives them from here: the keys of what is
learned, checks, the reference and the generated code. So a neuron is added in one file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from shd_genn.network.initialisers import Value, bounds_of
from shd_genn.network.neurons.derived import Derived, derived_of
from shd_genn.network.neurons.equations import Equations
from shd_genn.network.readouts import READOUTS, Readout
from shd_genn.support.errors import refuse_unless, require


@dataclass(frozen=True)
class ParameterDescription:
    """A constant of a neuron or a synapse, such as a time constant.

    Attributes:
        name: Its name in equations, keys of parameters and figures, for example ``tau_mem``.
        unit: ``ms``, or empty for a number without a unit.
        default: Its value if none is given.
        low: Every value is larger than this.
        high: Every value is smaller than this.
        advice: What to do about a value that is out of bounds.
        learnable: Whether its value may differ from neuron to neuron and be learned.
        attribute: The field of the dataclass that holds its value; its name if not given.
    """

    name: str
    unit: str
    default: float
    advice: str
    low: float = -math.inf
    high: float = math.inf
    learnable: bool = True
    attribute: str = ""

    def value_in(self, described: object) -> Value:
        """Its value in a neuron or a synapse."""
        value: Value = getattr(described, self.attribute or self.name)
        return value

    def check(self, value: Value) -> None:
        """Refuse a value that is out of bounds, or that may be drawn or learned to be.

        Raises:
            ConfigError: if it is.
        """
        low, high = bounds_of(value)
        if isinstance(value, float | int):
            relation = f"{self.low:g} < {self.name} < {self.high:g}"
            require(self.low < value < self.high, relation, value, self.advice)
            return
        refuse_unless(
            self.learnable,
            f"{self.name} must be the same for all neurons, but got {value}",
            "give it as one number",
        )
        cure = (
            "draw it from Clipped(…, low, high), or learn it with Trainable(…, low, high); "
            f"{self.advice}"
        )
        relation = f"{self.low:g} < the lowest possible {self.name}"
        require(self.low < low or self.low == -math.inf, relation, value, cure)
        relation = f"the largest possible {self.name} < {self.high:g}"
        require(high < self.high or self.high == math.inf, relation, value, cure)


@dataclass(frozen=True)
class NeuronDescription:
    """What a neuron is.

    Attributes:
        name: The name of its class.
        parameters: Its constants, in the order of their keys.
        state: Names of its state variables, all 0 at the start of a trial.
        spikes: Whether it emits spikes.
        receives: Whether synapses may end in it.
        equations: What it does; everything else is derived from them (see `derived`).
    """

    name: str
    parameters: tuple[ParameterDescription, ...]
    state: tuple[str, ...]
    spikes: bool
    receives: bool = True
    equations: Equations | None = None

    @staticmethod
    def of(
        name: str, parameters: tuple[ParameterDescription, ...], equations: Equations
    ) -> NeuronDescription:
        """The description of a neuron that its equations say all of."""
        spikes = bool(equations.spike)
        return NeuronDescription(name, parameters, equations.states, spikes, equations=equations)


@dataclass(frozen=True)
class SynapseDescription:
    """What a synapse is.

    Attributes:
        name: The name of its class.
        parameters: Its constants; their values are the same for all synapses of a target neuron.
        state: Names of its state variables, one of each a target neuron.
    """

    name: str
    parameters: tuple[ParameterDescription, ...]
    state: tuple[str, ...]


class NeuronModel:
    """Base of neurons, which are frozen dataclasses with a field for each of their parameters.

    Attributes:
        description: What it is.
        readout: How an output is read; None for all other neurons.
    """

    description: ClassVar[NeuronDescription]
    readout: Readout | None = None

    @property
    def dynamics(self) -> Equations | None:
        """What it does; None for neurons that emit the spikes of the input."""
        return self.description.equations

    @property
    def derived(self) -> Derived:
        """Its step, derivatives and jump; see `shd_genn.network.neurons.derived`.

        Raises:
            ConfigError: if its equations cannot be read, or have no adjoint.
        """
        assert self.dynamics is not None
        names = tuple(p.name for p in self.description.parameters)
        learnable = tuple(p.name for p in self.description.parameters if p.learnable)
        return derived_of(self.dynamics, names, learnable)

    @property
    def hand_written(self) -> bool:
        """Whether backends have code of its own for it, beside what is derived of any neuron."""
        return False

    @property
    def refractory_ms(self) -> float:
        """How long variables are held after a spike, in ms."""
        return 0.0

    def __post_init__(self) -> None:
        for parameter in self.description.parameters:
            parameter.check(parameter.value_in(self))
        if self.readout is not None:
            _check_readout(self.readout, self.description)


class Synapse:
    """Base of synapses, which are frozen dataclasses with a field for each of their parameters.

    Attributes:
        description: What it is.
    """

    description: ClassVar[SynapseDescription]

    def __post_init__(self) -> None:
        for parameter in self.description.parameters:
            parameter.check(parameter.value_in(self))


def _check_readout(readout: str, neuron: NeuronDescription) -> None:
    fitting = [name for name, kind in READOUTS.items() if kind.spiking == neuron.spikes]
    other = "LeakyIntegrate" if neuron.spikes else "LeakyIntegrateFire"
    cure = f"read it from a {other}" if readout in READOUTS else "choose one of them"
    refuse_unless(
        readout in fitting,
        f"{neuron.name} has the readouts {', '.join(fitting)}, but got {readout!r}",
        cure,
    )
