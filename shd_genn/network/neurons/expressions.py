"""The language of equations: arithmetic on names, as text that Python, NumPy and C++ can read.

An expression such as ``(I - V) / tau_mem`` has numbers, names, ``+ - * / **`` (or ``^``), and the
functions of `FUNCTIONS`. It is read by Python's own parser, and nothing else is let through, so
that text from a file can be evaluated without harm.

A `Program` is a list of assignments. SymPy writes programs once (see `derive`); NumPy evaluates
them, and backends translate them (`tree_of` gives the syntax tree of an expression).
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.support.errors import ConfigError

Array = NDArray[np.floating]


def exprel(x: Array | float) -> Array:
    """(exp(x) - 1) / x, which is 1 at 0 (as in Brian2)."""
    x = np.asarray(x)
    near = np.abs(x) < 1e-5
    safe = np.where(near, 1.0, x)
    value: Array = np.where(near, 1 + x / 2 + x * x / 6, np.expm1(safe) / safe)
    return value


def exprel_slope(x: Array | float) -> Array:
    """The derivative of `exprel`: (exp(x) - exprel(x)) / x, which is 1/2 at 0."""
    x = np.asarray(x)
    near = np.abs(x) < 1e-2
    safe = np.where(near, 1.0, x)
    series = 0.5 + x * (1 / 3 + x * (1 / 8 + x * (1 / 30 + x / 144)))
    value: Array = np.where(near, series, (np.exp(safe) - exprel(safe)) / safe)
    return value


def relu(x: Array | float) -> Array:
    """The larger of x and 0."""
    value: Array = np.maximum(x, 0)
    return value


def relu_slope(x: Array | float) -> Array:
    """The derivative of `relu`, 0 at 0."""
    value: Array = np.where(np.asarray(x) > 0, 1.0, 0.0)
    return value


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "abs": np.abs,
    "sign": np.sign,
    "exprel": exprel,
    "exprel_slope": exprel_slope,
    "relu": relu,
    "relu_slope": relu_slope,
}
"""The functions that expressions may call, each of one argument."""

OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd)


@functools.cache
def tree_of(text: str) -> ast.expr:
    """The syntax tree of an expression; only names, numbers, operators and functions are in it.

    Raises:
        ConfigError: if the text is no expression, or has something else in it.
    """
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except SyntaxError as error:
        raise ConfigError(
            f"{text.strip()!r} is no expression ({error.msg}); write it as in Python, with * "
            "between factors"
        ) from None
    _check(tree, text)
    return tree


def names_in(text: str) -> set[str]:
    """The names of an expression that are no functions."""
    called = {id(node.func) for node in ast.walk(tree_of(text)) if isinstance(node, ast.Call)}
    return {
        node.id
        for node in ast.walk(tree_of(text))
        if isinstance(node, ast.Name) and id(node) not in called
    }


def _check(node: ast.AST, text: str) -> None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, OPERATORS):
        _check(node.left, text)
        _check(node.right, text)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, OPERATORS):
        _check(node.operand, text)
    elif isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        if name not in FUNCTIONS:
            known = ", ".join(f for f in FUNCTIONS if not f.endswith("_slope"))
            raise ConfigError(
                f"{name} in {text.strip()!r} is no function of the language; use {known}, and * "
                "between factors"
            )
        if len(node.args) != 1 or node.keywords:
            raise ConfigError(
                f"{name} in {text.strip()!r} must have one argument, but got {len(node.args)}; "
                "correct it"
            )
        _check(node.args[0], text)
    elif not (
        isinstance(node, ast.Name)
        or (isinstance(node, ast.Constant) and type(node.value) in (int, float))
    ):
        raise ConfigError(
            f"{ast.unparse(node)!r} in {text.strip()!r} is not part of the language of equations; "
            "use names, numbers, + - * / ** and functions"
        )


@dataclass(frozen=True)
class Program:
    """Assignments that lead from inputs to outputs; what several outputs share is named once.

    Attributes:
        inputs: The names that it reads.
        temporaries: (name, expression), in the order in which they are assigned.
        outputs: (name, expression); they may use inputs and temporaries, not one another.
    """

    inputs: tuple[str, ...]
    temporaries: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return tuple(name for name, _ in self.outputs)

    def evaluate(self, values: Mapping[str, Any]) -> dict[str, Array]:
        """All outputs, given at least all inputs; arrays are broadcast against each other."""
        return _compiled(self)(values)


@functools.cache
def _compiled(program: Program) -> Callable[[Mapping[str, Any]], dict[str, Array]]:
    """A program as a Python function."""
    for _, expression in (*program.temporaries, *program.outputs):
        tree_of(expression)  # refuses what is not of the language
    lines = ["def run(_values_):"]
    lines += [f"    {name} = _values_[{name!r}]" for name in program.inputs]
    lines += [f"    {name} = {text}" for name, text in program.temporaries]
    lines += [
        "    return {" + ", ".join(f"{name!r}: {text}" for name, text in program.outputs) + "}"
    ]
    space: dict[str, Any] = {**FUNCTIONS, "__builtins__": {}}
    exec("\n".join(lines), space)
    run: Callable[[Mapping[str, Any]], dict[str, Array]] = space["run"]
    return run
