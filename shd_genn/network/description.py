"""Inert descriptions of networks, in mlGeNN's words; nothing here knows a backend.

A network is populations and connections, both plain values:

    inputs = Population("input", SpikeInput(), 700)
    hidden = Population("hidden", LeakyIntegrateFire(tau_mem=20.0), 256)
    output = Population("output", LeakyIntegrate(tau_mem=20.0), 20)
    network = Network(
        (inputs, hidden, output),
        (
            Connection(inputs, hidden, Dense(Normal(0.03, 0.01)), Exponential(5.0)),
            Connection(hidden, hidden, Dense(Normal(0.0, 0.02)), Exponential(5.0)),
            Connection(hidden, output, Dense(Normal(0.0, 0.03)), Exponential(5.0)),
        ),
    )

All times are in ms, but delays in steps. Every connection delivers a spike one time step after it
was emitted, as in GeNN, plus its delay; so a graph of any shape, loops included, is well defined.

Time constants, thresholds and delays may differ from neuron to neuron or synapse to synapse, and
may be learned; see `shd_genn.network.initialisers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shd_genn.network.formulas import Formula
from shd_genn.network.initialisers import (
    Given,
    Kind,
    Parameter,
    Trainable,
    Value,
    bounds_of,
    draw,
    kind_of,
    typical,
)
from shd_genn.network.learned_weight import KEY, LearnedWeight
from shd_genn.network.parts import Connection, Population
from shd_genn.network.readouts import Array, Readout, drive_weights, read_weights
from shd_genn.support.errors import refuse_unless, require


@dataclass(frozen=True)
class Network:
    """Populations and the connections between them.

    One population is the input. Which connections there are is free: layers, loops, shortcuts. A
    training method may allow less; see `shd_genn.learning.methods`.

    Attributes:
        populations: All populations.
        connections: All connections, at most one from one population to another.

    Raises:
        ConfigError: if they make no network; the message says why.
    """

    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]

    def __post_init__(self) -> None:
        _refuse_duplicates("population", [p.name for p in self.populations])
        _refuse_duplicates("connection", [c.name for c in self.connections])
        inputs = [p.name for p in self.populations if not p.neuron.description.receives]
        refuse_unless(
            len(inputs) == 1,
            f"a network has one population of SpikeInput, but this one has {_listed(inputs)}",
            "add one" if not inputs else "keep one",
        )
        for connection in self.connections:
            _check_connection(connection, self.populations)
        for population in self.populations:
            refuse_unless(
                population == self.input or len(self.inputs_of(population)) > 0,
                f"no connection ends in population {population.name}",
                "connect something to it, or leave it out",
            )

    def inputs_of(self, population: Population) -> tuple[Connection, ...]:
        """The connections that end in a population, in order."""
        return tuple(c for c in self.connections if c.target == population)

    def outputs_of(self, population: Population) -> tuple[Connection, ...]:
        """The connections that start in a population, in order."""
        return tuple(c for c in self.connections if c.source == population)

    @cached_property
    def input(self) -> Population:
        """The population that emits the input's spikes."""
        return next(p for p in self.populations if not p.neuron.description.receives)

    @cached_property
    def hidden(self) -> tuple[Population, ...]:
        """The populations that are neither input nor output, in order."""
        return tuple(p for p in self.populations if p != self.input and p not in self.outputs)

    @cached_property
    def outputs(self) -> tuple[Population, ...]:
        """The populations that have a readout, in order."""
        return tuple(p for p in self.populations if p.neuron.readout is not None)

    @cached_property
    def output(self) -> Population:
        """The only population that has a readout.

        Raises:
            ConfigError: if none or more than one has.
        """
        names = [p.name for p in self.outputs]
        refuse_unless(
            len(names) == 1,
            f"a network is trained on one output, but this one has {_listed(names)}",
            "give one population a readout" if not names else "keep the readout of one of them",
        )
        return self.outputs[0]

    @cached_property
    def spiking(self) -> tuple[Population, ...]:
        """The populations that spike, but for the input; an output that spikes is among them."""
        return tuple(p for p in self.populations if p.neuron.description.spikes and p != self.input)

    @property
    def readout(self) -> Readout:
        """How the output is read."""
        readout = self.output.neuron.readout
        assert readout is not None
        return readout

    def read_weights(self, n_steps: int) -> Array:
        """Weight of the output voltage of each step; see `readouts.read_weights`."""
        return read_weights(self.readout, n_steps, self._weight)

    def drive_weights(self, n_steps: int, dt_ms: float) -> Array:
        """Weight of the drive of each step; see `readouts.drive_weights`."""
        return drive_weights(self.readout, n_steps, dt_ms, self.tau_mem_out, self._weight)

    @property
    def _weight(self) -> Formula | None:
        weight = getattr(self.output.neuron, "weight", None)
        return weight if isinstance(weight, Formula) else None

    @property
    def learned_weight(self) -> LearnedWeight | None:
        """What the readout learns; None if nothing."""
        weights = [getattr(p.neuron, "weight", None) for p in self.outputs]
        return next((w for w in weights if isinstance(w, LearnedWeight)), None)

    @property
    def readout_parameter(self) -> Parameter | None:
        """The parameter of the readout, which no engine simulates; None if it has none."""
        weight = self.learned_weight
        if weight is None:
            return None
        n_classes = self.output.size
        initial = weight.initial(n_classes).astype(np.float32).ravel().tolist()
        return Parameter(
            f"{self.output.name}.{KEY}",
            weight.shape(n_classes),
            Given(tuple(initial)),
        )

    @property
    def all_parameters(self) -> tuple[Parameter, ...]:
        """`parameters`, and that of the readout."""
        of_readout = self.readout_parameter
        return self.parameters if of_readout is None else (*self.parameters, of_readout)

    @property
    def tau_mem_out(self) -> float:
        """Membrane time constant of the output in ms; their mean at the start, if they differ."""
        return typical(self.values_of(self.output)["tau_mem"])

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All arrays of numbers: weights, and what differs between synapses or neurons."""
        weights = [Parameter(c.name, c.shape, c.connectivity.weight) for c in self.connections]
        delays = [
            Parameter(
                f"{c.name}.delay", c.delay_shape, c.delay, c.train_delay, 0, c.max_delay_steps
            )
            for c in sorted(self.connections, key=lambda c: c.shares_delays)
            if c.delayed
        ]
        of_neurons = [
            Parameter(
                f"{p.name}.{kind}",
                (p.size,),
                value,
                isinstance(value, Trainable),
                *(bounds_of(value) if isinstance(value, Trainable) else ()),
            )
            for p in self.populations
            for kind, value in self.values_of(p).items()
            if not isinstance(value, float | int)
        ]
        return (*weights, *delays, *of_neurons)

    def values_of(self, population: Population) -> dict[Kind, Value]:
        """The constants of a population's neurons and of the synapses that end in them."""
        neuron, inputs = population.neuron, self.inputs_of(population)
        values = {p.name: p.value_in(neuron) for p in neuron.description.parameters}
        for synapse in (connection.synapse for connection in inputs[:1]):
            values |= {p.name: p.value_in(synapse) for p in synapse.description.parameters}
        return values

    def initial_parameters(self, seed: int) -> dict[str, NDArray[np.float32]]:
        """Draw the parameters that training starts from.

        Each depends on the seed and on its key alone, so that they are the same for every backend
        and stay the same when something is added to the network.

        Args:
            seed: The run's seed.

        Returns:
            Key → float32 array; see `parameters`.
        """
        return {
            p.key: draw(p.initial, p.shape, np.random.default_rng([seed, *p.key.encode()]))
            for p in self.all_parameters
        }

    def check_parameters(self, parameters: Mapping[str, NDArray[np.float32]]) -> None:
        """Refuse parameters that do not fit this network. Weights must be there; others may.

        Raises:
            ConfigError: if names or shapes differ, or a number is not finite or out of bounds.
        """
        known = {p.key: p.shape for p in self.all_parameters}
        weights = {key for key in known if kind_of(key) == "weight"}
        given = {key: array.shape for key, array in parameters.items()}
        refuse_unless(
            weights <= given.keys() and given.items() <= known.items(),
            f"the network has parameters of shapes {known}, but got {given}",
            "load parameters of a network of the same sizes and connections",
        )
        for p in self.all_parameters:
            if p.key in parameters:
                _check_numbers(p, parameters[p.key])


def _check_numbers(parameter: Parameter, array: NDArray[np.float32]) -> None:
    key, lowest, highest = parameter.key, array.min(), array.max()  # nan if one of them is
    refuse_unless(
        bool(np.isfinite(lowest) and np.isfinite(highest)),
        f"all parameters must be finite, but {np.sum(~np.isfinite(array))} of {key} are not",
        "load a checkpoint from before the training diverged",
    )
    # 1e-6: a bound is a float64, what was clipped to it a float32
    low = parameter.low - 1e-6 * abs(parameter.low)
    high = parameter.high + 1e-6 * abs(parameter.high)
    require(
        bool(low <= lowest and highest <= high),
        f"{parameter.low} <= parameters {key} <= {parameter.high}",
        f"{lowest} to {highest}",
        "clip them, or widen the bounds of the network",
    )


def _check_connection(connection: Connection, populations: tuple[Population, ...]) -> None:
    name, source, target = connection.name, connection.source, connection.target
    for end in (source, target):
        refuse_unless(
            end in populations,
            f"connection {name} has an end in {end.name}, which is no population of the network",
            "add it to the populations",
        )
    refuse_unless(
        source.neuron.description.spikes,
        f"connection {name} starts in neurons of {source.neuron.description.name}, which never "
        "spike",
        "connect from the input or from neurons that spike",
    )
    refuse_unless(
        target.neuron.description.receives,
        f"connection {name} ends in neurons of {target.neuron.description.name}, which receive no "
        "spikes",
        "connect to another population",
    )


def _refuse_duplicates(what: str, names: list[str]) -> None:
    several = sorted({name for name in names if names.count(name) > 1})
    refuse_unless(
        not several,
        f"more than one {what} has the name {_listed(several)}",
        "rename or merge them",
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
