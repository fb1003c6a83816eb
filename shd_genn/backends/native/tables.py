"""Rates of gates, which are functions of the voltage alone, as tables of polynomials.

In a step of exponential Euler a gate x, whose equation is linear in it, goes to x + Q - R x. R and
Q depend on the voltage only, and cost most of the step: exponentials and divisions. NEURON reads
them from a table (``TABLE minf FROM -100 TO 100``). So does this backend, with a polynomial in each
interval, because straight lines would not be exact enough for derivatives. A table of 16 intervals
is as wide as a register of AVX-512, which looks up 16 neurons at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from shd_genn.backends.native.neuron_code import Tables
from shd_genn.network.neurons.expressions import Program
from shd_genn.network.neurons.symbolic import Printer
from shd_genn.support.errors import ConfigError

Expr = Any
"""A SymPy expression; SymPy's own types say too little to check more."""

INTERVALS = 16

TOLERANCE = 1e-6
"""The largest error of a polynomial, in relation to R, which is how fast a gate changes."""

HIGHEST_DEGREE = 8


def gates_of(step: Mapping[Expr, Expr], voltage: Expr) -> dict[Expr, tuple[Expr, Expr]]:
    """R and Q of the state variables whose step has costly functions of the voltage alone.

    Args:
        step: State variable → its value after a step.
        voltage: The state variable that rates depend on.
    """
    found = {}
    for x, after in step.items():
        if x == voltage:
            continue
        stays = sympy.diff(after, x)
        rates = 1 - stays, after.xreplace({x: sympy.Integer(0)})
        if all(r.free_symbols == {voltage} for r in rates) and any(
            r.has(sympy.Function) for r in rates
        ):
            found[x] = rates
    return found


def fit(
    gates: Mapping[Expr, tuple[Expr, Expr]], states: Sequence[Expr], table: tuple[str, float, float]
) -> Tables:
    """Polynomials for R and Q of each gate.

    Args:
        gates: Gate → its R and Q.
        states: The symbols of all state variables.
        table: The symbol of the voltage, and its lowest and highest value.

    Raises:
        ConfigError: if no polynomial is near enough.
    """
    voltage, (low, length) = table[0], _raster(*table[1:])
    text = Printer().doprint
    rates = [
        Program((voltage,), (), (("R", text(leaves)), ("Q", text(enters))))
        for leaves, enters in gates.values()
    ]
    names = [str(s) for s in states]
    return Tables(
        state=names.index(voltage),
        low=low,
        length=length,
        gates=tuple(names.index(str(x)) for x in gates),
        leaves=tuple(_polynomials(r, "R", voltage, low, length) for r in rates),
        enters=tuple(_polynomials(r, "Q", voltage, low, length) for r in rates),
    )


def values_of(
    polynomials: Sequence[Sequence[Sequence[float]]], tables: Tables, v: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Functions at voltages between the bounds, as C++ reads them, (functions, voltages)."""
    interval = np.clip(np.floor((v - tables.low) / tables.length).astype(int), 0, INTERVALS - 1)
    t = v - (tables.low + (interval + 0.5) * tables.length)
    return np.array(
        [sum(np.array(row)[interval] * t**k for k, row in enumerate(p)) for p in polynomials]
    )


def _raster(low: float, high: float) -> tuple[float, float]:
    """Where the intervals begin, and their length.

    Their middles are multiples of the length, so that rounding finds the interval.
    """
    length = (high - low) / INTERVALS
    return (round(low / length + 0.5) - 0.5) * length, length


def _polynomials(
    rates: Program, name: str, voltage: str, low: float, length: float
) -> tuple[tuple[float, ...], ...]:
    """The polynomials of lowest degree that are near enough in every interval."""
    middles = low + (np.arange(INTERVALS) + 0.5) * length
    many = np.linspace(-0.5, 0.5, 101)
    exact = rates.evaluate({voltage: middles + many[:, None] * length})
    for degree in range(1, HIGHEST_DEGREE + 1):
        nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1)) / 2  # Chebyshev's
        at_nodes = rates.evaluate({voltage: middles + nodes[:, None] * length})[name]
        powers = np.vander(nodes, increasing=True)
        found = np.linalg.solve(powers, at_nodes)
        error = np.vander(many, degree + 1, increasing=True) @ found - exact[name]
        if np.all(np.abs(error) <= TOLERANCE * np.abs(exact["R"])):
            of_distance = found / length ** np.arange(degree + 1)[:, None]
            return tuple(tuple(row) for row in of_distance.tolist())
    raise ConfigError(
        f"rates of gates must vary little within one of the {INTERVALS} intervals of a table, but "
        f"vary too much in {length:g}; bring the bounds of table closer together, or leave it out"
    )
