"""Weights in few bits: whole numbers, and one scale for each row of a target neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import Parameters
from shd_genn.network import Network

Bits = Literal[32, 8, 4]
"""Bits of a weight; 32 is float32."""
CLIPPING = np.linspace(0.3, 1.0, 15)
"""Parts of a row's largest weight that are tried as its largest number; the rest is clipped."""


@dataclass(frozen=True)
class Quantised:
    """Weights of a connection in few bits.

    Attributes:
        values: int8, (sources, targets), from -largest to largest.
        scale: float32, (targets,): a weight is its value times the scale of its target neuron, so
            that what arrives at a neuron can be added up in whole numbers.
    """

    values: NDArray[np.int8]
    scale: NDArray[np.float32]

    @property
    def weights(self) -> NDArray[np.float32]:
        """The weights that they stand for, (sources, targets)."""
        return self.values * self.scale


def largest(bits: Bits) -> int:
    """The largest number of so many bits; the smallest is its negative."""
    return (1 << (bits - 1)) - 1


def quantise(weights: NDArray[np.float32], bits: Bits) -> Quantised:
    """Round weights to whole numbers, with the scale of least squared error for each target.

    Args:
        weights: (sources, targets).
        bits: 8 or 4.
    """
    top = largest(bits)
    highest = np.abs(weights).max(axis=0)
    best = np.full(weights.shape[1], np.inf)
    scale = np.ones(weights.shape[1], np.float32)
    for part in CLIPPING:
        tried = np.where(highest > 0, highest * part / top, 1).astype(np.float32)
        error = np.square(weights - np.clip(np.rint(weights / tried), -top, top) * tried).sum(0)
        scale = np.where(error < best, tried, scale)
        best = np.minimum(error, best)
    values = np.clip(np.rint(weights / scale), -top, top).astype(np.int8)
    return Quantised(values, scale.astype(np.float32))


def rounded(network: Network, parameters: Parameters, bits: Bits) -> Parameters:
    """The same parameters with all weights as so many bits hold them; 32: unchanged."""
    if bits == 32:
        return dict(parameters)
    names = {c.name for c in network.connections}
    return {
        key: quantise(array, bits).weights if key in names else array
        for key, array in parameters.items()
    }
