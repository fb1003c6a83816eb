"""Neurons that emit the spikes of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shd_genn.network.neurons.description import NeuronDescription, NeuronModel


@dataclass(frozen=True)
class SpikeInput(NeuronModel):
    """Neurons that emit given spikes, at most one each per step (mlGeNN `SpikeInput`).

    Spikes of one neuron that fall into the same step are not merged: they leave in the steps that
    follow.
    """

    description: ClassVar = NeuronDescription(
        "SpikeInput", parameters=(), state=(), spikes=True, receives=False
    )

    @property
    def hand_written(self) -> bool:
        """It is; it has no equations."""
        return True
