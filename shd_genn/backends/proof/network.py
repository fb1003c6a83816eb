"""The small random network that a neuron is proved in, event by event and in steps."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.proof.event_exact import EventNetwork, Trajectory, simulate
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.objective import Objective, Regulariser
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrate,
    Network,
    Neuron,
    NeuronModel,
    Normal,
    Population,
    SpikeInput,
    Trainable,
)
from shd_genn.network.initialisers import typical
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError, DivergedError

Array = NDArray[np.float64]
Values = dict[str, Array]

N_INPUTS, N_HIDDEN, N_OUTPUTS, TRIAL_MS, LABEL = 2, 2, 2, 40.0, 0
STEPS_MS = (0.4, 0.2, 0.1, 0.05, 0.025, 0.0125)
"""The time steps in which the network is simulated."""


class ProofNetwork:
    """Two inputs, two neurons that are connected to each other, two outputs; all drawn at random.

    Args:
        neuron: What the hidden neurons' parameters are drawn around.
        seed: Of parameters, weights and input.

    Attributes:
        parameters: Parameter, or ``tau_syn`` → value of each hidden neuron.
        inputs: (time in ms, neuron) of each input spike.
    """

    def __init__(self, neuron: NeuronModel, seed: int = 0) -> None:
        self.neuron = neuron
        rng = np.random.default_rng(seed)
        self.parameters = {
            p.name: _around(typical(p.value_in(neuron)), rng) for p in neuron.description.parameters
        } | {"tau_syn": _around(5.0, rng)}
        count = 5 * N_INPUTS
        # on the grid of all steps, so that inputs come at the same time in all of them
        grid = np.sort(rng.choice(np.arange(2, int(0.8 * TRIAL_MS / 0.4)), count, replace=False))
        self.inputs = [(0.4 * float(t), i % N_INPUTS) for i, t in enumerate(grid)]
        self._rng = rng

    @cached_property
    def events(self) -> Events:
        """The input, for backends."""
        times, neurons = zip(*self.inputs, strict=True)
        return Events.of([(np.array(times), np.array(neurons))])

    @cached_property
    def exact(self) -> EventNetwork:
        """The network event by event; each neuron spikes a few times, in long and in short steps.

        Where a spike is about to appear or to vanish, steps of different length have different
        spikes, and there is no gradient that they could agree on.

        Raises:
            ConfigError: if no weights make the neuron spike a few times.
        """
        found = None
        for _ in range(6):
            weights = self._scaled_weights()
            if weights is None:
                continue
            found = self._events_of(weights)
            if len({self._counts(dt, weights) for dt in STEPS_MS[:4]}) > 1:
                continue
            if self.counted(simulate(found, self.inputs)) == self._counts(STEPS_MS[3], weights):
                break
        if found is None:
            raise ConfigError(
                f"{self.neuron.description.name} does not spike, however strong its input is; "
                "check its spike condition, its reset and the unit of its current"
            )
        return found

    def _events_of(self, weights: Values) -> EventNetwork:
        held = self.neuron.refractory_ms
        return EventNetwork(
            self.neuron.derived, self.parameters, weights, TRIAL_MS, refractory_ms=held
        )

    def counted(self, trajectory: Trajectory) -> tuple[int, ...]:
        """Spikes of each hidden neuron, event by event."""
        neurons = [j for _, j in trajectory.spikes()]
        return tuple(neurons.count(j) for j in range(N_HIDDEN))

    def _scaled_weights(self) -> Values | None:
        """Random weights, as strong as it takes; None if no strength is enough."""
        rng = self._rng
        drawn = {
            "input_hidden": np.abs(rng.normal(1, 0.3, (N_INPUTS, N_HIDDEN))),
            "hidden_hidden": rng.normal(0, 0.3, (N_HIDDEN, N_HIDDEN)),
            "hidden_output": rng.normal(0, 1.0, (N_HIDDEN, N_OUTPUTS)),
        }
        for scale in 0.3 * 1.3 ** np.arange(24):
            weights = {
                name: (w if name == "hidden_output" else scale * w)
                .astype(np.float32)
                .astype(np.float64)
                for name, w in drawn.items()
            }
            try:
                counts = self._counts(0.2, weights)
            except DivergedError:
                return None
            if min(counts) >= 1 and sum(counts) >= 4:
                return weights
        return None

    def _counts(self, dt_ms: float, weights: Values) -> tuple[int, ...]:
        """Spikes of each hidden neuron, in steps."""
        result = self.in_steps(dt_ms, weights).evaluate(self.events)
        return tuple(result.spike_counts["hidden"][0].tolist())

    def in_steps(
        self, dt_ms: float, weights: Values | None = None, substep_ms: float | None = None
    ) -> Reference:
        """The reference, in which all parameters are learned.

        Args:
            dt_ms: Length of a time step.
            weights: By connection; those of `exact` if not given.
            substep_ms: Of the neuron; its own if not given.
        """
        inputs = Population("input", SpikeInput(), N_INPUTS)
        hidden = Population("hidden", _learned(self.neuron, substep_ms), N_HIDDEN)
        output = Population("output", LeakyIntegrate(20.0), N_OUTPUTS)
        synapse = Exponential(Trainable(5.0, 1.0, 20.0))
        random = Dense(Normal())
        network = Network(
            (inputs, hidden, output),
            (
                Connection(inputs, hidden, random, synapse),
                Connection(hidden, hidden, random, synapse),
                Connection(hidden, output, random, Exponential(5.0)),
            ),
        )
        objective = Objective(temperature=1.0, regulariser=Regulariser(0.0, 0.0, 0.0))
        config = CompileConfig(round(TRIAL_MS / dt_ms), dt_ms, objective=objective)
        reference = Reference(network, config)
        values = {f"hidden.{name}": value for name, value in self.parameters.items()}
        arrays = {**(self.exact.weights if weights is None else weights), **values}
        reference.set_parameters({k: v.astype(np.float32) for k, v in arrays.items()})
        return reference


def _around(value: float, rng: np.random.Generator) -> Array:
    """A number for each neuron near a value, which float32 holds exactly."""
    spread = 0.04 * max(abs(value), 0.1)
    return (value + spread * rng.uniform(-1, 1, N_HIDDEN)).astype(np.float32).astype(np.float64)


def _learned(neuron: NeuronModel, substep_ms: float | None) -> NeuronModel:
    """The neuron, with all its parameters learned, and other sub-steps if they are given."""
    found, fields = {}, {}
    for p in neuron.description.parameters:
        value = typical(p.value_in(neuron))
        room = 0.5 * max(abs(value), 0.1)
        low, high = value - room, value + room
        found[p.name] = Trainable(
            value, max(low, (p.low + value) / 2), min(high, (p.high + value) / 2)
        )
        fields[p.attribute or p.name] = found[p.name]
    if substep_ms is None:
        if isinstance(neuron, Neuron):
            return replace(neuron, parameters=found)
        return replace(neuron, **fields)  # type: ignore[type-var]
    equations = neuron.dynamics
    assert equations is not None
    return Neuron(
        equations.text,
        equations.spike,
        equations.reset,
        found,
        equations.initial,
        equations.scheme,
        substep_ms,
        neuron.refractory_ms,
        neuron.description.name,
    )
