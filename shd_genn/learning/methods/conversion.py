"""Conversion: a network of rates is trained, then becomes a spiking network."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from shd_genn.network import Exponential, LeakyIntegrate, LeakyIntegrateFire, Network
from shd_genn.support.errors import refuse_unless
from shd_genn.support.settings import Choice, Cure

ConversionName = Literal["percentile", "qcfs", "few-spike"]
"""What becomes of a rectified linear unit; see `shd_genn.backends.reference.converted`."""

SIMULATION_STEPS: dict[ConversionName, int] = {"percentile": 64, "qcfs": 16, "few-spike": 10}
"""Usual steps of the spiking network."""


@dataclass(frozen=True)
class Conversion(Choice, kind="conversion"):
    """A network of rectified linear units learns, and spiking neurons take their places.

    The input is the whole trial at once: spikes, counted in bins of time and groups of channels.
    The spiking network sees it as a constant current. Training needs PyTorch.
    """

    conversion: ConversionName = "percentile"
    """What a unit becomes: percentile (an integrate-and-fire neuron whose threshold is a percentile
    of the unit's activity), qcfs (the same, trained with activities in steps) or few-spike (a
    neuron that codes an activity in binary)."""
    simulation_steps: Annotated[int, Ge(1), Le(10_000), Cure("leave it out")] | None = None
    """Time steps of the spiking network; by default 64 with percentile, 16 with qcfs, 10 with
    few-spike."""
    bin_ms: Annotated[float, Gt(0), Cure("20 to 25 ms is usual")] = 25.0
    """Length of the bins that input spikes are counted in, in ms."""
    bin_channels: Annotated[int, Ge(1), Cure("5 to 10 is usual")] = 10
    """Neighbouring channels whose spikes are counted together."""
    rate_dropout: Annotated[float, Ge(0), Lt(1), Cure("0.3 to 0.5 is usual")] = 0.3
    """Probability that a unit is silent for a training sample."""
    rate_bias: bool = True
    """Units have biases; without them a run can be the start of one that learns with spikes
    (start_from)."""
    percentile: Annotated[float, Gt(50), Le(100), Cure("99.9 is usual")] = 99.9
    """The percentile of a layer's activities that its spiking neurons can code at most."""
    qcfs_levels: Annotated[int, Ge(1), Le(256), Cure("4 to 16 is usual")] = 8
    """With qcfs: steps of an activity while the network is trained."""

    @property
    def steps(self) -> int:
        """Time steps of the spiking network."""
        return self.simulation_steps or SIMULATION_STEPS[self.conversion]

    def check(self, network: Network) -> None:
        """Refuse a network that is not one layer after the other.

        Raises:
            ConfigError: if it has other connections, neurons or delays.
        """
        layers = [network.input, *network.hidden, network.output]
        chain = list(itertools.pairwise(layers))
        refuse_unless(
            sorted((c.source.name, c.target.name) for c in network.connections)
            == sorted((a.name, b.name) for a, b in chain),
            "conversion trains layers that are connected to the next layer only, but the "
            f"connections are {', '.join(c.name for c in network.connections)}",
            "take model=feedforward",
        )
        simple = all(
            isinstance(p.neuron, LeakyIntegrateFire) and p.neuron.hand_written
            for p in network.hidden
        )
        refuse_unless(
            simple and isinstance(network.output.neuron, LeakyIntegrate),
            "conversion replaces neurons by its own, but the network asks for "
            f"{', '.join(dict.fromkeys(type(p.neuron).__name__ for p in layers[1:]))} and the "
            f"readout {network.readout}",
            "leave neuron and readout as they are by default",
        )
        own = [p.key for p in network.parameters if p.kind != "weight"]
        exponential = all(isinstance(c.synapse, Exponential) for c in network.connections)
        refuse_unless(
            exponential and not own and network.readout_parameter is None,
            "conversion learns weights, biases and scales, but the network has "
            f"{', '.join(own) or 'a learned readout or other synapses'}, too",
            "leave out delays and what differs from neuron to neuron",
        )
