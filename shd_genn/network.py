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

All times are in ms. Every connection delivers a spike one time step after it was emitted, as in
GeNN; so a graph of any shape, loops included, is well defined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from shd_genn.errors import ConfigError, require
from shd_genn.readouts import READOUTS, Readout

Kind = Literal["weight", "delay", "tau_mem", "tau_syn", "v_thresh"]
"""What can be learned: of synapses weights and delays, of neurons the others."""


def kind_of(key: str) -> Kind:
    """The kind of a parameter from its key: ``input_hidden0.delay`` is a delay."""
    _, dot, kind = key.partition(".")
    return cast(Kind, kind) if dot else "weight"


@dataclass(frozen=True)
class SpikeInput:
    """Neurons that emit given spikes, at most one each per step (mlGeNN `SpikeInput`).

    Spikes of one neuron that fall into the same step are not merged: they leave in the steps that
    follow.
    """


@dataclass(frozen=True)
class LeakyIntegrateFire:
    """Leaky integrate-and-fire neuron (mlGeNN `LeakyIntegrateFire`): tau_mem dV/dt = -V + I.

    At V ≥ v_thresh it spikes and V is set to 0 at once; there is no refractory period.

    Attributes:
        tau_mem: Membrane time constant in ms.
        v_thresh: Firing threshold (dimensionless, as V).
        readout: For outputs: how the spikes become one number a class; see `shd_genn.readouts`.
    """

    tau_mem: float = 20.0
    v_thresh: float = 1.0
    readout: Readout | None = None

    def __post_init__(self) -> None:
        _require_positive("tau_mem", self.tau_mem, "time constants are in ms, usually 5 to 100")
        _require_positive("v_thresh", self.v_thresh, "the reset is at 0, so V must rise to spike")
        if self.readout is not None:
            _require_readout(self.readout, spiking=True)


@dataclass(frozen=True)
class LeakyIntegrate:
    """Leaky integrator without spikes (mlGeNN `LeakyIntegrate`), read out at the trial's end.

    Attributes:
        tau_mem: Membrane time constant in ms.
        readout: How the voltage becomes one number a class; see `shd_genn.readouts`.
    """

    tau_mem: float = 20.0
    readout: Readout = "avg_var_exp_weight"

    def __post_init__(self) -> None:
        _require_positive("tau_mem", self.tau_mem, "time constants are in ms, usually 5 to 100")
        _require_readout(self.readout, spiking=False)


Neuron = SpikeInput | LeakyIntegrateFire | LeakyIntegrate


def output_neuron(
    readout: Readout, tau_mem: float = 20.0, v_thresh: float = 1.0
) -> LeakyIntegrate | LeakyIntegrateFire:
    """The neuron that a readout is taken from; only one that spikes has a threshold."""
    if READOUTS[readout].spiking:
        return LeakyIntegrateFire(tau_mem, v_thresh, readout)
    return LeakyIntegrate(tau_mem, readout)


@dataclass(frozen=True)
class Exponential:
    """Exponentially decaying synaptic current (mlGeNN `Exponential` with ``scale_i``).

    Attributes:
        tau: Synaptic time constant in ms.
    """

    tau: float = 5.0

    def __post_init__(self) -> None:
        _require_positive("tau_syn", self.tau, "time constants are in ms, usually 2 to 20")


@dataclass(frozen=True)
class Normal:
    """Weights drawn from a normal distribution."""

    mean: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        require(
            math.isfinite(self.mean) and 0 <= self.sd < math.inf,
            "finite mean and 0 <= sd of Normal",
            f"mean {self.mean}, sd {self.sd}",
            "give a standard deviation of 0 or more",
        )

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """A float32 array of the given shape."""
        return rng.normal(self.mean, self.sd, shape).astype(np.float32)


@dataclass(frozen=True)
class Uniform:
    """Weights drawn uniformly from [low, high)."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        require(
            -math.inf < self.low <= self.high < math.inf,
            "low <= high of Uniform, both finite,",
            f"low {self.low}, high {self.high}",
            "swap or correct them",
        )

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """A float32 array of the given shape."""
        return rng.uniform(self.low, self.high, shape).astype(np.float32)


@dataclass(frozen=True)
class Dense:
    """All-to-all connectivity whose weights start as drawn from an initialiser."""

    weight: Normal | Uniform


@dataclass(frozen=True)
class Population:
    """A number of like neurons.

    Attributes:
        name: Identifies the population in weights, results and figures.
        neuron: The neuron model.
        size: The number of neurons.
    """

    name: str
    neuron: Neuron
    size: int

    def __post_init__(self) -> None:
        require(
            self.name.isidentifier(),
            "a population's name must be a Python identifier, which",
            repr(self.name),
            "use letters, digits and _",
        )
        require(
            1 <= self.size <= 65_535,
            f"1 <= size of population {self.name} <= 65535",
            self.size,
            "give it at least one neuron",
        )


@dataclass(frozen=True)
class Connection:
    """Synapses from every neuron of one population to every neuron of another, or of itself."""

    source: Population
    target: Population
    connectivity: Dense
    synapse: Exponential

    @property
    def name(self) -> str:
        """``source_target``: the key of its weights."""
        return f"{self.source.name}_{self.target.name}"

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of its weights: (source neurons, target neurons)."""
        return self.source.size, self.target.size


@dataclass(frozen=True)
class Network:
    """Populations and the connections between them.

    One population is a `SpikeInput`, one is the output: a `LeakyIntegrate`, or a
    `LeakyIntegrateFire` with a readout. The others are `LeakyIntegrateFire`. Which connections
    there are is free: layers, loops, shortcuts.

    Raises:
        ConfigError: if EventProp cannot be derived for it; the message says why.
    """

    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]

    def __post_init__(self) -> None:
        names = [population.name for population in self.populations]
        require(len(set(names)) == len(names), "unique population names", names, "rename one")
        for has, what in ((_is_input, "SpikeInput"), (_is_output, "output (with a readout)")):
            found = [p.name for p in self.populations if has(p)]
            require(len(found) == 1, f"exactly one {what}", found, "add or remove populations")
        keys = [connection.name for connection in self.connections]
        require(len(set(keys)) == len(keys), "one connection per pair", keys, "merge the two")
        for connection in self.connections:
            _check_connection(connection, self.populations)
        for population in self.populations:
            _check_inputs(population, self.inputs_of(population))

    def inputs_of(self, population: Population) -> tuple[Connection, ...]:
        """The connections that end in a population, in order."""
        return tuple(c for c in self.connections if c.target == population)

    def outputs_of(self, population: Population) -> tuple[Connection, ...]:
        """The connections that start in a population, in order."""
        return tuple(c for c in self.connections if c.source == population)

    def tau_syn(self, population: Population) -> float:
        """Synaptic time constant in ms of the connections that end in a population."""
        return self.inputs_of(population)[0].synapse.tau

    @property
    def input(self) -> Population:
        """The population of `SpikeInput`."""
        return next(p for p in self.populations if _is_input(p))

    @property
    def hidden(self) -> tuple[Population, ...]:
        """The populations of `LeakyIntegrateFire` that are not read out, in order."""
        return tuple(p for p in self.populations if not (_is_input(p) or _is_output(p)))

    @property
    def output(self) -> Population:
        """The population that is read out."""
        return next(p for p in self.populations if _is_output(p))

    @property
    def spiking(self) -> tuple[Population, ...]:
        """The populations of `LeakyIntegrateFire`, in order; a spiking output is among them."""
        return tuple(p for p in self.populations if isinstance(p.neuron, LeakyIntegrateFire))

    @property
    def readout(self) -> Readout:
        """How the output is read."""
        neuron = self.output.neuron
        assert not isinstance(neuron, SpikeInput) and neuron.readout is not None
        return neuron.readout

    @property
    def tau_mem_out(self) -> float:
        """Membrane time constant of the output in ms."""
        neuron = self.output.neuron
        assert not isinstance(neuron, SpikeInput)
        return neuron.tau_mem

    def initial_parameters(self, seed: int) -> dict[str, NDArray[np.float32]]:
        """Draw the parameters that training starts from.

        They depend on the seed and on the connection's name alone, so that they are the same for
        every backend and stay the same when other connections are added.

        Args:
            seed: The run's seed.

        Returns:
            Connection name → float32 array of shape (source neurons, target neurons).
        """
        return {
            connection.name: connection.connectivity.weight.draw(
                connection.shape, np.random.default_rng([seed, *connection.name.encode()])
            )
            for connection in self.connections
        }

    def check_parameters(self, parameters: Mapping[str, NDArray[np.float32]]) -> None:
        """Refuse parameters that are not of this network.

        Raises:
            ConfigError: if names or shapes differ, or a weight is not finite.
        """
        expected = {connection.name: connection.shape for connection in self.connections}
        given = {name: array.shape for name, array in parameters.items()}
        require(
            given == expected,
            f"weights of shapes {expected}",
            given,
            "load weights of a network of the same sizes and connections",
        )
        for name, array in parameters.items():
            if not np.isfinite(array).all():
                raise ConfigError(
                    f"weights {name} must be finite, but {np.sum(~np.isfinite(array))} are not; "
                    "load a checkpoint from before the training diverged"
                )


def _require_positive(name: str, value: float, cure: str) -> None:
    require(0 < value < math.inf, f"0 < {name} < inf", value, cure)


def _require_readout(readout: str, spiking: bool) -> None:
    mine = [name for name, kind in READOUTS.items() if kind.spiking == spiking]
    neuron, other = "LeakyIntegrate", "LeakyIntegrateFire"
    if spiking:
        neuron, other = other, neuron
    cure = f"read it from a {other}" if readout in READOUTS else "choose one of them"
    require(readout in mine, f"readout of {neuron} in {', '.join(mine)}", repr(readout), cure)


def _is_input(population: Population) -> bool:
    return isinstance(population.neuron, SpikeInput)


def _is_output(population: Population) -> bool:
    neuron = population.neuron
    return not isinstance(neuron, SpikeInput) and neuron.readout is not None


def _check_connection(connection: Connection, populations: tuple[Population, ...]) -> None:
    name = connection.name
    for end in (connection.source, connection.target):
        require(
            end in populations,
            f"both ends of connection {name} in the network",
            f"{end.name}, which is not",
            "add it to the populations",
        )
    require(
        not isinstance(connection.source.neuron, LeakyIntegrate),
        f"a spiking source of connection {name}",
        "LeakyIntegrate, which never spikes",
        "connect from the input or a LeakyIntegrateFire population",
    )
    require(
        not isinstance(connection.target.neuron, SpikeInput),
        f"a target of connection {name} that takes input",
        "SpikeInput",
        "connect to another population",
    )


def _check_inputs(population: Population, inputs: tuple[Connection, ...]) -> None:
    if isinstance(population.neuron, SpikeInput):
        return
    require(
        len(inputs) > 0,
        f"at least one connection into population {population.name}",
        "none",
        "connect something to it",
    )
    taus = sorted({connection.synapse.tau for connection in inputs})
    require(
        len(taus) == 1,
        f"one tau_syn for all connections into population {population.name}",
        taus,
        "EventProp keeps one synaptic current a neuron (as mlGeNN); make them equal",
    )
    tau_mem = population.neuron.tau_mem
    # tau_mem / (tau_mem - tau_syn) of the adjoint loses digits as the two meet
    require(
        abs(tau_mem - taus[0]) > 1e-3 * tau_mem,
        f"tau_mem != tau_syn of population {population.name}",
        f"tau_mem {tau_mem}, tau_syn {taus[0]}",
        "the solution divides by their difference; change one by at least 0.1 %",
    )
