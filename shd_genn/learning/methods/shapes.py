"""Shapes of surrogate derivatives: what stands for the derivative of a spike by the voltage.

A spike is Θ(V - θ), whose derivative is 0 or infinite. A surrogate ψ(x) takes its place, with
x = V - θ. s is the slope (how narrow ψ is), c the scale (a factor; 1 if not stated):

| shape            | ψ(x)                                  | usual s, c | source              |
|------------------|---------------------------------------|------------|---------------------|
| `superspike`     | c / (1 + s|x|)²                       | 100, 1     | Zenke & Ganguli     |
| `fast_sigmoid`   | c (s/2) / (1 + s|x|)²                 | 2, 1       | its area is c       |
| `atan`           | c (s/2) / (1 + (π s x/2)²)            | 2, 1       | Fang et al.; area c |
| `sigmoid`        | c s σ(s x) (1 - σ(s x))               | 4, 1       | its area is c       |
| `triangle`       | c max(0, 1 - s|x|/θ) / θ              | 1, 0.3     | Bellec et al.: c = γ|
| `boxcar`         | c s where s|x| < 1/2, else 0          | 1, 1       | its area is c       |
| `multi_gaussian` | c ((1+h) N(x; 0, σ) - h N(x; ±σ, 6σ)) | 2, 1       | Yin et al.          |

Sources: Zenke & Ganguli 2018; Fang et al. 2021; Bellec et al. 2020; Yin, Corradi & Bohté 2021.
σ(·) is the logistic function; N(x; m, σ) the density of a normal distribution, σ = 1/s, h = 0.15,
and the last term is of both signs. `superspike` and snnTorch's ``fast_sigmoid`` are the same; the
`fast_sigmoid` here is the derivative of that function (SpikingJelly's ``SoftSign``). `triangle` and
`boxcar` are 0 beyond a distance from the threshold, so that neurons there need no computation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

ShapeName = Literal[
    "superspike", "fast_sigmoid", "atan", "sigmoid", "triangle", "boxcar", "multi_gaussian"
]

SIDE_HEIGHT, SIDE_WIDTH = 0.15, 6.0
"""h of the multi-Gaussian, and how much wider its side lobes are than its peak."""


@dataclass(frozen=True)
class Shape:
    """A shape of surrogate derivatives.

    Attributes:
        derivative: ψ/c from s, x and θ; arrays keep their precision.
        slope: The usual s.
        scale: The usual c.
        bounded: Whether ψ is 0 beyond a distance from the threshold.
    """

    derivative: Callable[[float, Array, Array], Array]
    slope: float
    scale: float = 1.0
    bounded: bool = False


def _superspike(slope: float, x: Array, v_thresh: Array) -> Array:
    return 1 / (1 + slope * np.abs(x)) ** 2


def _fast_sigmoid(slope: float, x: Array, v_thresh: Array) -> Array:
    return slope / 2 / (1 + slope * np.abs(x)) ** 2


def _atan(slope: float, x: Array, v_thresh: Array) -> Array:
    return slope / 2 / (1 + (math.pi * slope / 2 * x) ** 2)


def _sigmoid(slope: float, x: Array, v_thresh: Array) -> Array:
    low: Array = np.exp(-np.abs(slope * x))  # σ(u) (1 - σ(u)) is even, and this cannot overflow
    return slope * low / (1 + low) ** 2


def _triangle(slope: float, x: Array, v_thresh: Array) -> Array:
    psi: Array = np.maximum(0, 1 - slope * np.abs(x) / v_thresh) / v_thresh
    return psi


def _boxcar(slope: float, x: Array, v_thresh: Array) -> Array:
    return slope * (slope * np.abs(x) < 0.5).astype(x.dtype)


def _multi_gaussian(slope: float, x: Array, v_thresh: Array) -> Array:
    def normal(u: Array, width: float) -> Array:
        peak = slope / (width * math.sqrt(2 * math.pi))
        density: Array = peak * np.exp(-0.5 * (u / width) ** 2)
        return density

    u = slope * x
    sides = normal(u - 1, SIDE_WIDTH) + normal(u + 1, SIDE_WIDTH)
    return (1 + SIDE_HEIGHT) * normal(u, 1) - SIDE_HEIGHT * sides


SHAPES: dict[ShapeName, Shape] = {
    "superspike": Shape(_superspike, 100.0),
    "fast_sigmoid": Shape(_fast_sigmoid, 2.0),
    "atan": Shape(_atan, 2.0),
    "sigmoid": Shape(_sigmoid, 4.0),
    "triangle": Shape(_triangle, 1.0, 0.3, bounded=True),
    "boxcar": Shape(_boxcar, 1.0, bounded=True),
    "multi_gaussian": Shape(_multi_gaussian, 2.0),
}
"""All shapes by name."""


@dataclass(frozen=True)
class Pseudo:
    """A surrogate derivative with its constants.

    Attributes:
        name: The shape's name.
        slope: s.
        scale: c.
    """

    name: ShapeName
    slope: float
    scale: float

    @staticmethod
    def of(name: ShapeName, slope: float | None, scale: float | None) -> Pseudo:
        """A shape with its usual constants where none are given."""
        shape = SHAPES[name]
        return Pseudo(
            name,
            shape.slope if slope is None else slope,
            shape.scale if scale is None else scale,
        )

    @property
    def bounded(self) -> bool:
        """Whether it is 0 beyond a distance from the threshold."""
        return SHAPES[self.name].bounded

    def __call__(self, x: Array, v_thresh: Array) -> Array:
        """ψ of x = V - θ, in their precision; the arrays have the same shape."""
        return self.scale * SHAPES[self.name].derivative(self.slope, x, v_thresh)
