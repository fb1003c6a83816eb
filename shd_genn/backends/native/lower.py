"""Network → Plan: populations and connections by number, with their constants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.eventprop import constants_of
from shd_genn.network import (
    Kind,
    LeakyIntegrateFire,
    Network,
    Neuron,
    Population,
    SpikeInput,
    kind_of,
)
from shd_genn.network.initialisers import Parameter
from shd_genn.network.readouts import READOUTS, Form

STRIP = 64
"""Neurons that the kernels walk at a time (simd.h); arrays are padded to whole strips."""


CONSTANTS = (
    *("alpha", "beta", "gain", "adjoint_gain", "tau_syn", "v_thresh"),
    *("by_syn_ratio", "tau_mem", "by_mem_unit", "by_syn_unit"),
)
"""Those of `Own` of population.h, in order; the first six are those of `Alike`."""


@dataclass(frozen=True)
class PopulationPlan:
    """A population as the kernels see it.

    Attributes:
        constants: The first six of `CONSTANTS`, if all neurons are alike; else none.
        learned: Kind → its place among `Plan.learned`.
    """

    name: str
    kind: type[Neuron]
    size: int
    padded: int
    constants: tuple[float, ...] = ()
    learned: Mapping[Kind, int] = field(default_factory=dict)

    @property
    def alike(self) -> bool:
        """Whether all neurons have the same constants, and go on having them."""
        return len(self.constants) > 0


@dataclass(frozen=True)
class ConnectionPlan:
    """A connection between two populations, given by their numbers.

    Attributes:
        delayed: Whether its synapses have delays.
        learned_delay: The place of its delays among `Plan.learned`; None if they are fixed.
    """

    name: str
    source: int
    target: int
    delayed: bool
    learned_delay: int | None


@dataclass(frozen=True)
class Plan:
    """A network as numbers: what `render` writes code for and `engine` fills in.

    Attributes:
        learned: What is learned, in order: what synapses have, then what neurons have.
    """

    populations: tuple[PopulationPlan, ...]
    connections: tuple[ConnectionPlan, ...]
    input: int
    output: int
    form: Form
    learned: tuple[Parameter, ...]

    @property
    def spiking(self) -> tuple[int, ...]:
        """Numbers of the spiking populations that are not the input; the output may be one."""
        return tuple(i for i, p in enumerate(self.populations) if p.kind is LeakyIntegrateFire)

    def inputs_of(self, population: int) -> tuple[int, ...]:
        """Numbers of the connections that end in a population."""
        return tuple(i for i, c in enumerate(self.connections) if c.target == population)

    def outputs_of(self, population: int) -> tuple[int, ...]:
        """Numbers of the connections that start in a population."""
        return tuple(i for i, c in enumerate(self.connections) if c.source == population)


def lower(network: Network, config: CompileConfig) -> Plan:
    """Number the parts of a network and work out the constants that are fixed."""
    number = {population.name: i for i, population in enumerate(network.populations)}
    learned = tuple(p for p in network.parameters if p.trained)
    place = {p.key: i for i, p in enumerate(learned)}
    return Plan(
        populations=tuple(
            _lower_population(network, p, config, place) for p in network.populations
        ),
        connections=tuple(
            ConnectionPlan(
                c.name,
                number[c.source.name],
                number[c.target.name],
                c.delayed,
                place.get(f"{c.name}.delay"),
            )
            for c in network.connections
        ),
        input=number[network.input.name],
        output=number[network.output.name],
        form=READOUTS[network.readout].form,
        learned=learned,
    )


def constants(
    network: Network,
    population: Population,
    parameters: Mapping[str, NDArray[np.floating]],
    dt_ms: float,
) -> NDArray[np.float64]:
    """`CONSTANTS` of each neuron of a population, (constants, neurons)."""
    k = constants_of(network, population, parameters, dt_ms)
    # GeNN subtracts the alpha that it has rounded. The exact difference is 6e-7 apart: enough to
    # move a spike near the threshold in 1 of 100 trials, always to the same side
    alpha = k.alpha.astype(np.float32).astype(np.float64)
    rows = {
        "gain": (1 - alpha) * k.scale,
        "adjoint_gain": k.cross,
        "by_syn_ratio": k.d_scale / (k.scale * k.d_beta) / ((1 - alpha) * k.scale),
        "by_mem_unit": k.d_alpha / (1 - k.alpha),
        "by_syn_unit": (1 - k.alpha) * k.scale * k.d_beta,
    }
    return np.array([rows[name] if name in rows else getattr(k, name) for name in CONSTANTS])


def padded(size: int) -> int:
    """A number of neurons, rounded up to whole strips."""
    return math.ceil(size / STRIP) * STRIP


def _lower_population(
    network: Network, population: Population, config: CompileConfig, place: Mapping[str, int]
) -> PopulationPlan:
    name, neuron, size = population.name, population.neuron, population.size
    if isinstance(neuron, SpikeInput):
        return PopulationPlan(name, SpikeInput, size, padded(size))
    own = [p.key for p in network.parameters if p.key.startswith(f"{name}.")]
    of_first: tuple[float, ...] = ()
    if not own:
        of_first = tuple(constants(network, population, {}, config.dt_ms)[:6, 0].tolist())
    learned = {kind_of(key): place[key] for key in own if key in place}
    return PopulationPlan(name, type(neuron), size, padded(size), of_first, learned)
