"""The parts of a network: populations of neurons, and connections between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shd_genn.network.initialisers import Initialiser, bounds_of
from shd_genn.network.neurons import NeuronModel, Synapse
from shd_genn.support.errors import refuse_unless, require

DelayKind = Literal["synaptic", "axonal", "dendritic"]
"""Which synapses of a connection share a delay: none (each has its own), those of a presynaptic
neuron, or those of a postsynaptic neuron."""


@dataclass(frozen=True)
class Dense:
    """All-to-all connectivity whose weights start as drawn from an initialiser."""

    weight: Initialiser


@dataclass(frozen=True)
class Population:
    """A number of like neurons.

    Attributes:
        name: Identifies the population in weights, results and figures.
        neuron: The neuron model.
        size: The number of neurons.
    """

    name: str
    neuron: NeuronModel
    size: int

    def __post_init__(self) -> None:
        refuse_unless(
            self.name.isidentifier(),
            f"a population's name must be a Python identifier, but got {self.name!r}",
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
    """Synapses from every neuron of one population to every neuron of another, or of itself.

    Attributes:
        source: Where spikes come from.
        target: Where they go to.
        connectivity: The initial weights.
        synapse: What a spike does there.
        delay: Steps that a spike takes longer than the one step that it always takes (mlGeNN's
            ``delay``); drawn for each synapse, or for each neuron if synapses share delays, and
            rounded to whole steps where it is used.
        max_delay_steps: The longest delay there can be.
        train_delay: Whether delays are learned (Mészáros et al. 2025); updates keep them within 0
            and ``max_delay_steps``.
        delay_kind: synaptic: each synapse has its own delay; axonal: all synapses of a presynaptic
            neuron have the same; dendritic: all synapses of a postsynaptic neuron have.
    """

    source: Population
    target: Population
    connectivity: Dense
    synapse: Synapse
    delay: float | Initialiser = 0.0
    max_delay_steps: int = 0
    train_delay: bool = False
    delay_kind: DelayKind = "synaptic"

    def __post_init__(self) -> None:
        low, high = bounds_of(self.delay)
        require(
            0 <= low and high <= self.max_delay_steps,
            f"0 <= delay <= max_delay_steps of connection {self.name}",
            f"delay {self.delay}, max_delay_steps {self.max_delay_steps}",
            "delays are in steps; raise max_delay_steps, or clip what is drawn",
        )
        refuse_unless(
            0 < self.max_delay_steps or not self.train_delay,
            f"the delays of connection {self.name} are learned, but its max_delay_steps is 0",
            "set it to the longest delay, in steps",
        )

    @property
    def delayed(self) -> bool:
        """Whether its spikes take longer than one step, or may come to."""
        return self.train_delay or bounds_of(self.delay) != (0, 0)

    @property
    def shares_delays(self) -> bool:
        """Whether its synapses have delays that neurons share."""
        return self.delayed and self.delay_kind != "synaptic"

    @property
    def delay_shape(self) -> tuple[int, ...]:
        """Shape of its delays: that of its weights, or (source neurons,) or (target neurons,)."""
        shapes = {"axonal": self.shape[:1], "dendritic": self.shape[1:]}
        return shapes.get(self.delay_kind, self.shape)

    def of_synapses(self, delays: NDArray[Any]) -> NDArray[Any]:
        """Delays of every synapse, (source neurons, target neurons), from its delays."""
        column = delays[:, np.newaxis] if self.delay_kind == "axonal" else delays
        return np.broadcast_to(column, self.shape)

    @property
    def name(self) -> str:
        """``source_target``: the key of its weights."""
        return f"{self.source.name}_{self.target.name}"

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of its weights: (source neurons, target neurons)."""
        return self.source.size, self.target.size
