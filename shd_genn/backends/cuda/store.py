"""A network's arrays, one after the other as the GPU has them, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.cuda.lower import ArrayPlan, Plan
from shd_genn.backends.native.constants import CONSTANTS, constants, derived_constants
from shd_genn.backends.protocols import Parameters
from shd_genn.network import Network

FloatArray = NDArray[np.float32]


def packed(arrays: Sequence[ArrayPlan], values: Mapping[str, NDArray[np.generic]]) -> FloatArray:
    """Numbers of arrays that lie one after the other, float32; 0 where there are none.

    Args:
        arrays: The arrays, without gaps.
        values: Key → array; what is missing becomes 0.
    """
    first, last = arrays[0], arrays[-1]
    flat = np.zeros(last.begin + last.rows * last.width - first.begin, np.float32)
    for array, rows in _views(arrays, flat):
        if array.parameter.key in values:
            rows[...] = values[array.parameter.key]
    return flat


def unpacked(arrays: Sequence[ArrayPlan], flat: FloatArray) -> Parameters:
    """Copies of the arrays that `packed` put together."""
    return {array.parameter.key: rows.copy() for array, rows in _views(arrays, flat)}


def _views(arrays: Sequence[ArrayPlan], flat: FloatArray) -> list[tuple[ArrayPlan, FloatArray]]:
    """Each array and its part of the flat one, in its own shape."""
    views = []
    for array in arrays:
        begin, shape = array.begin - arrays[0].begin, array.parameter.shape
        part = flat[begin : begin + array.rows * array.width].reshape(array.rows, array.width)
        rows = part[: shape[0], : shape[1]] if len(shape) == 2 else part[0, : shape[0]]
        views.append((array, rows))
    return views


def constants_of_lanes(
    network: Network, plan: Plan, parameters: Mapping[str, FloatArray], dt_ms: float
) -> FloatArray:
    """The constants of every lane, (constants, lanes); a lane without a neuron never spikes.

    Those of leaky integrators are `CONSTANTS`, others are what their code needs.
    """
    rows = np.zeros((plan.n_constants, plan.lanes), np.float32)
    rows[CONSTANTS.index("v_thresh")] = np.inf
    populations = {p.name: p for p in network.populations}
    for p in plan.populations:
        of_kind = derived_constants if p.code else constants
        mine = of_kind(network, populations[p.name], parameters, dt_ms)
        rows[: len(mine), p.first : p.first + p.size] = mine
    return rows
