"""Synapses that move the voltage at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shd_genn.network.neurons.description import Synapse, SynapseDescription


@dataclass(frozen=True)
class Delta(Synapse):
    """A spike adds its synapse's weight to V at once (mlGeNN `Delta`); there is no current.

    So V crosses its threshold at the very time at which a spike arrives, and the time of such a
    spike has no derivative by weights. Therefore EventProp cannot train it; surrogate gradients and
    e-prop, which differentiate time steps, can.
    """

    description: ClassVar = SynapseDescription("Delta", parameters=(), state=())
