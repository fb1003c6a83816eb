"""Network → Plan: populations and connections by number, with their constants."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shd_genn.backends import CompileConfig
from shd_genn.network import LeakyIntegrate, LeakyIntegrateFire, Network, Population, SpikeInput
from shd_genn.readouts import READOUTS, Form

STRIP = 64
"""Neurons that the kernels walk at a time (simd.h); arrays are padded to whole strips."""


@dataclass(frozen=True)
class PopulationPlan:
    """A population as the kernels see it; see `Population` of population.h for the constants."""

    name: str
    kind: type[SpikeInput | LeakyIntegrateFire | LeakyIntegrate]
    size: int
    padded: int
    alpha: float = 0.0
    beta: float = 0.0
    gain: float = 0.0
    adjoint_gain: float = 0.0
    tau_syn: float = 0.0
    v_thresh: float = 0.0


@dataclass(frozen=True)
class ConnectionPlan:
    """A connection between two populations, given by their numbers."""

    name: str
    source: int
    target: int


@dataclass(frozen=True)
class Plan:
    """A network as numbers: what `render` writes code for and `engine` fills in."""

    populations: tuple[PopulationPlan, ...]
    connections: tuple[ConnectionPlan, ...]
    input: int
    output: int
    form: Form

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
    """Number the parts of a network and work out their constants."""
    number = {population.name: i for i, population in enumerate(network.populations)}
    return Plan(
        populations=tuple(_lower_population(network, p, config) for p in network.populations),
        connections=tuple(
            ConnectionPlan(c.name, number[c.source.name], number[c.target.name])
            for c in network.connections
        ),
        input=number[network.input.name],
        output=number[network.output.name],
        form=READOUTS[network.readout].form,
    )


def _lower_population(
    network: Network, population: Population, config: CompileConfig
) -> PopulationPlan:
    neuron = population.neuron
    padded = math.ceil(population.size / STRIP) * STRIP
    if isinstance(neuron, SpikeInput):
        return PopulationPlan(population.name, SpikeInput, population.size, padded)
    tau_mem, tau_syn = neuron.tau_mem, network.tau_syn(population)
    alpha, beta = math.exp(-config.dt_ms / tau_mem), math.exp(-config.dt_ms / tau_syn)
    return PopulationPlan(
        name=population.name,
        kind=type(neuron),
        size=population.size,
        padded=padded,
        alpha=alpha,
        beta=beta,
        gain=(1 - alpha) * tau_syn / config.dt_ms * (1 - beta),
        adjoint_gain=tau_mem / (tau_mem - tau_syn) * (alpha - beta),
        tau_syn=tau_syn,
        v_thresh=neuron.v_thresh if isinstance(neuron, LeakyIntegrateFire) else math.inf,
    )
