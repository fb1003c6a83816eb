"""A neuron by equations of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shd_genn.network.initialisers import Value, typical
from shd_genn.network.neurons.description import (
    NeuronDescription,
    NeuronModel,
    ParameterDescription,
)
from shd_genn.network.neurons.equations import Equations, Scheme
from shd_genn.support.errors import refuse_unless, require


@dataclass(frozen=True)
class Neuron(NeuronModel):
    """A neuron by its equations; its step, adjoint and derivatives are derived from them.

        Neuron(
            name="Resonator",
            equations="tau_mem * V' = I - V - w; tau_w * w' = a * V - w",
            spike="V >= v_thresh",
            reset="V = 0",
            parameters={"tau_mem": 20.0, "tau_w": Trainable(100.0, low=20.0), "a": 2.0,
                        "v_thresh": 1.0},
        )

    `shd_genn.network.neurons.equations.Equations` says how equations are written.

    Attributes:
        equations: A differential equation for each state variable, and named expressions. Times
            are in ms, and I is the synaptic current.
        spike: When it spikes, ``V >= v_thresh``.
        reset: What a spike does, ``V = 0; w += b``.
        parameters: Name → a number for all neurons, an initialiser, or `Trainable`. Time constants,
            whose names begin with ``tau``, must be more than 0, and are learned at the rate of time
            constants; all others at that of thresholds.
        initial: The state at the start of a trial; 0 where none is given.
        scheme: How a step is computed; by itself the best scheme that fits.
        substep_ms: The longest step in ms that is computed at once; None: the time step.
        tau_refrac: For how many ms after a spike the variables are held that the reset sets and I
            drives.
        name: Its name in messages and figures.
        update: What each step does to the state after the equations, ``V = k * V``; a neuron with
            an update is not for EventProp.
    """

    equations: str
    spike: str
    reset: str = ""
    parameters: Mapping[str, Value] = field(default_factory=dict, hash=False)
    initial: str = ""
    scheme: Scheme = "auto"
    substep_ms: float | None = None
    tau_refrac: float = 0.0
    name: str = "Neuron"
    update: str = ""

    def __post_init__(self) -> None:
        refuse_unless(
            bool(self.spike.strip()),
            f"neuron {self.name} has no spike condition",
            'give one, such as spike="V >= v_thresh"',
        )
        if self.substep_ms is not None:
            require(0 < self.substep_ms, "0 < substep_ms", self.substep_ms, "0.25 ms is usual")
        require(0 <= self.tau_refrac, "0 <= tau_refrac", self.tau_refrac, "0 means none")
        object.__setattr__(self, "parameters", dict(self.parameters))
        object.__setattr__(self, "description", self._describe())
        super().__post_init__()

    def __getattr__(self, name: str) -> Value:
        """The value of a parameter."""
        parameters: Mapping[str, Value] = self.__dict__.get("parameters", {})
        if name not in parameters:
            raise AttributeError(f"neuron {self.__dict__.get('name')} has no parameter {name}")
        return parameters[name]

    @property
    def refractory_ms(self) -> float:
        """How long variables are held after a spike, in ms."""
        return self.tau_refrac

    def _describe(self) -> NeuronDescription:
        equations = Equations(
            self.equations,
            self.spike,
            self.reset,
            self.initial,
            self.scheme,
            self.substep_ms,
            self.tau_refrac > 0,
            self.update,
        )
        parameters = tuple(_parameter(name, value) for name, value in self.parameters.items())
        return NeuronDescription.of(self.name, parameters, equations)


def _parameter(name: str, value: Value) -> ParameterDescription:
    if name.startswith("tau"):
        return ParameterDescription(name, "ms", typical(value), "times are in ms", low=0.0)
    return ParameterDescription(name, "", typical(value), "give a finite number")
