"""Initial values of a network's parameters, named as in mlGeNN, and which of them are learned.

A time constant, threshold or delay is one number for all neurons or synapses, or an initialiser
that draws a number for each, or a `Trainable`, which is learned:

    LeakyIntegrateFire(tau_mem=20.0)
    LeakyIntegrateFire(tau_mem=Clipped(Gamma(3, 20 / 3), low=3.0, high=60.0))
    LeakyIntegrateFire(tau_mem=Trainable(20.0, low=3.0))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.support.errors import refuse_unless, require

AT_A_TIME = 1 << 14
"""How many numbers are drawn at a time; the numbers do not depend on it."""


@dataclass(frozen=True)
class Normal:
    """Numbers drawn from a normal distribution."""

    mean: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        refuse_unless(
            math.isfinite(self.mean),
            f"the mean of Normal must be finite, but got {self.mean}",
            "correct it",
        )
        require(
            0 <= self.sd < math.inf,
            "0 <= sd of Normal < inf",
            self.sd,
            "a standard deviation of 0 makes all numbers equal",
        )

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest number that can be drawn."""
        return (-math.inf, math.inf) if self.sd else (self.mean, self.mean)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw a float32 array of the given shape."""
        return _filled(shape, lambda n: rng.normal(self.mean, self.sd, n))


@dataclass(frozen=True)
class Uniform:
    """Numbers drawn uniformly from [low, high)."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        _check_bounds("Uniform", self.low, self.high)
        refuse_unless(
            math.isfinite(self.low) and math.isfinite(self.high),
            f"low and high of Uniform must be finite, but got {self.low} and {self.high}",
            "correct them",
        )

    @property
    def mean(self) -> float:
        """The distribution's mean."""
        return (self.low + self.high) / 2

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest number that can be drawn."""
        return self.low, self.high

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw a float32 array of the given shape."""
        return _filled(shape, lambda n: rng.uniform(self.low, self.high, n))


@dataclass(frozen=True)
class Gamma:
    """Numbers drawn from a Gamma distribution, whose mean is shape · scale.

    Perez-Nieves et al. (2021) and Nowotny, Turner & Knight (2025) draw time constants from
    Gamma(3, tau / 3), clipped.
    """

    shape: float = 3.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("shape", self.shape), ("scale", self.scale)):
            require(
                0 < value < math.inf,
                f"0 < {name} of Gamma < inf",
                value,
                "the mean is shape · scale",
            )

    @property
    def mean(self) -> float:
        """The distribution's mean."""
        return self.shape * self.scale

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest number that can be drawn."""
        return 0.0, math.inf

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw a float32 array of the given shape."""
        return _filled(shape, lambda n: rng.gamma(self.shape, self.scale, n))


@dataclass(frozen=True)
class Clipped:
    """Numbers of another initialiser, clipped to bounds."""

    initialiser: Normal | Uniform | Gamma
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        _check_bounds("Clipped", self.low, self.high)

    @property
    def mean(self) -> float:
        """The mean before clipping, itself clipped."""
        return min(max(self.initialiser.mean, self.low), self.high)

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest number that can be drawn."""
        low, high = self.initialiser.bounds
        return min(max(low, self.low), self.high), max(min(high, self.high), self.low)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw a float32 array of the given shape."""
        drawn = self.initialiser.draw(shape, rng)
        return np.clip(drawn, np.float32(self.low), np.float32(self.high))


@dataclass(frozen=True)
class Given:
    """Numbers that are given one by one, in the order of the array."""

    numbers: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(np.mean(self.numbers))

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which all numbers lie."""
        return min(self.numbers), max(self.numbers)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        """A float32 array of the given shape; nothing is drawn."""
        return np.array(self.numbers, np.float32).reshape(shape)


Initialiser = Normal | Uniform | Gamma | Clipped | Given


@dataclass(frozen=True)
class Trainable:
    """A parameter that is learned.

    Attributes:
        initial: The initial value: one number for all, or an initialiser whose numbers are clipped
            to the bounds.
        low: Lower bound; an update that leads below it sets the parameter to it.
        high: Upper bound; an update that leads above it sets the parameter to it.
    """

    initial: float | Initialiser
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        _check_bounds("Trainable", self.low, self.high)
        if isinstance(self.initial, float | int):
            require(
                self.low <= self.initial <= self.high,
                "low <= initial <= high of Trainable",
                f"low {self.low}, initial {self.initial}, high {self.high}",
                "start within the bounds, or move them",
            )


Value = float | Initialiser | Trainable
"""One number for all, an initialiser that draws a number for each, or a learned parameter."""


def bounds_of(value: Value) -> tuple[float, float]:
    """The smallest and the largest number that a value can take, before and during training."""
    if isinstance(value, Trainable):
        return value.low, value.high
    return (value, value) if isinstance(value, float | int) else value.bounds


def typical(value: Value) -> float:
    """One number that represents a value: its mean before training."""
    if isinstance(value, Trainable):
        return min(max(typical(value.initial), value.low), value.high)
    return value if isinstance(value, float | int) else value.mean


def draw(value: Value, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw initial numbers: a float32 array of the given shape."""
    if isinstance(value, Trainable):
        drawn = draw(value.initial, shape, rng)
        return np.clip(drawn, np.float32(value.low), np.float32(value.high))
    if isinstance(value, float | int):
        return np.full(shape, value, np.float32)
    return value.draw(shape, rng)


Kind = str
"""A kind of parameter: ``weight`` and ``delay`` of a synapse, or a parameter of neurons such as
``tau_mem``; see `shd_genn.network.neurons.NEURON_KINDS`."""


@dataclass(frozen=True)
class Parameter:
    """A parameter array of a network: weights, delays, or a number for each neuron.

    Attributes:
        key: ``CONNECTION`` for weights, ``CONNECTION.delay``, ``POPULATION.tau_mem`` …
        shape: (source neurons, target neurons) for synapses, (neurons,) for neurons and for delays
            that neurons share.
        initial: The initial value.
        trained: Whether it is learned.
        low, high: Bounds that updates keep.
    """

    key: str
    shape: tuple[int, ...]
    initial: Value
    trained: bool = True
    low: float = -math.inf
    high: float = math.inf

    @property
    def kind(self) -> Kind:
        """The kind of parameter."""
        return kind_of(self.key)


def kind_of(key: str) -> Kind:
    """The kind of a parameter from its key: ``input_hidden0.delay`` is a delay."""
    _, dot, kind = key.partition(".")
    return kind if dot else "weight"


def population_of(key: str) -> str | None:
    """The population that a parameter belongs to, from its key; None if it is of synapses."""
    population, dot, kind = key.partition(".")
    return population if dot and kind != "delay" else None


def _filled(
    shape: tuple[int, ...], draw_some: Callable[[int], NDArray[np.float64]]
) -> NDArray[np.float32]:
    """Draw an array piece by piece, so that memory for a second array is not needed."""
    numbers = np.empty(shape, np.float32)
    flat = numbers.reshape(-1)
    for start in range(0, flat.size, AT_A_TIME):
        some = flat[start : start + AT_A_TIME]
        some[...] = draw_some(some.size)
    return numbers


def _check_bounds(name: str, low: float, high: float) -> None:
    require(
        low <= high, f"low <= high of {name}", f"low {low}, high {high}", "swap or correct them"
    )
