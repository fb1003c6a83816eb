"""Formulas of a readout's weight over time, such as ``exp(-s)``: text, read safely.

A formula is text of a user, or of somebody else's ``config.toml``, so nothing of it is executed:
Python's parser makes a tree of it, only the nodes of `_evaluate` are allowed in that tree, and
NumPy computes them in float64, in the order in which they are written. (SymPy's parser executes the
text, and SymPy reorders terms, which would change the last bits of the named readouts.)
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.support.errors import ConfigError

Array = NDArray[np.float64]

CONSTANTS = ("a", "b", "c", "d", "m", "o")
"""Names of the numbers that a formula may have."""
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "min": np.minimum,
    "max": np.maximum,
}
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_C_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.USub: "-",
    ast.UAdd: "+",
}
_C_FUNCTIONS = {"abs": "fabs", "min": "fmin", "max": "fmax"}
LONGEST, MOST_NODES = 500, 200
"""Characters and operations that a formula may have."""
USABLE = (
    f"use s (t/T, from 0 to 1), numbers, pi, the constants {', '.join(CONSTANTS)}, + - * / ** and "
    f"{', '.join(FUNCTIONS)}"
)
GRID = np.linspace(0, 1, 1001)
"""Where a formula is checked before the length of a trial is known."""


@dataclass(frozen=True)
class Formula:
    """The weight w(s) of the output voltage at s = t/T, which runs from 0 to 1 over a trial.

    Attributes:
        text: For example ``o + d*(s-m)*exp(-(s-m)**2/(2*c**2))``.
        constants: Name and value of each of its constants.

    Raises:
        ConfigError: if the text is no such formula, or a constant is missing or has no effect.
    """

    text: str
    constants: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        names = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}
        used, given = names & set(CONSTANTS), {name for name, _ in self.constants}
        if missing := sorted(used - given):
            raise ConfigError(
                f"readout_weight = {self.text!r} needs values of {', '.join(missing)}; give "
                f"{', '.join(f'weight_{name}' for name in missing)}"
            )
        if unused := sorted(given - used):
            raise ConfigError(
                f"{', '.join(f'weight_{name}' for name in unused)} must have an effect, but "
                f"readout_weight = {self.text!r} has no {', '.join(unused)}; leave it out"
            )

    @cached_property
    def _tree(self) -> ast.expr:
        return _parse(self.text)

    def __call__(self, s: Array) -> Array:
        """The weight at s, float64 of the same shape; may be infinite or no number."""
        values = {name: np.float64(value) for name, value in self.constants}
        with np.errstate(all="ignore"):
            found = _evaluate(self._tree, {"s": s, "pi": np.float64(math.pi), **values})
        return np.array(np.broadcast_to(found, s.shape), np.float64)

    def check(self, s: Array = GRID) -> None:
        """Refuse a weight that no network can learn with.

        Args:
            s: Where it is used.

        Raises:
            ConfigError: if it is infinite or no number somewhere, or nowhere positive.
        """
        weight, name = self.finite(s), f"readout_weight = {self.text!r}"
        if not (weight > 0).any():
            best = int(weight.argmax())
            raise ConfigError(
                f"{name} must be positive for some s from 0 to 1, but its largest value is "
                f"{weight[best]:g} at s = {s[best]:g}; change its sign or its constants"
            )

    def finite(self, s: Array) -> Array:
        """The weight at s, float64 of the same shape.

        Raises:
            ConfigError: if it is infinite or no number somewhere.
        """
        weight, name = self(s), f"readout_weight = {self.text!r}"
        with np.errstate(over="ignore"):
            bad = np.flatnonzero(~np.isfinite(weight.astype(np.float32)))
        if len(bad):
            raise ConfigError(
                f"{name} must be a finite float32 for all s from 0 to 1, but is "
                f"{weight[bad[0]]:g} at s = {s[bad[0]]:g}; change the formula or its constants"
            )
        return weight

    def code(self, s: str) -> str:
        """The formula in C, for code generators.

        Args:
            s: C code of t/T.
        """
        values = {name: f"({value!r})" for name, value in self.constants}
        return _c_code(self._tree, {"s": f"({s})", "pi": repr(math.pi), **values})


def _parse(text: str) -> ast.expr:
    """The tree of a formula.

    Raises:
        ConfigError: if it is none.
    """
    shown = repr(text if len(text) <= 60 else f"{text[:60]}…")
    if not text.strip():
        raise ConfigError(f"readout_weight must be a formula of s, but is empty; {USABLE}")
    if len(text) > LONGEST:
        raise ConfigError(
            f"characters of readout_weight <= {LONGEST} must hold, but got {len(text)}; shorten it"
        )
    try:
        with warnings.catch_warnings():  # of literals that Python finds odd
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ConfigError(
            f"readout_weight must be a formula of s, but {shown} is none; {USABLE}"
        ) from error
    nodes = list(ast.walk(tree))
    if len(nodes) > MOST_NODES:
        raise ConfigError(
            f"operations of readout_weight <= {MOST_NODES} must hold, but got {len(nodes)}; "
            "shorten it"
        )
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    problems = (_problem(n) for n in nodes if not (isinstance(n, ast.Name) and id(n) in called))
    if problem := next(filter(None, problems), ""):
        raise ConfigError(f"readout_weight = {shown} must not have {problem}; {USABLE}")
    return tree


def _problem(node: ast.AST) -> str:
    """What is not allowed about a node; empty if nothing is."""
    match node:
        case ast.Constant(value=value):
            return "" if _is_finite_number(value) else f"the value {str(value)[:20]!r}"
        case ast.Name(id=name):
            return "" if name in ("s", "pi", *CONSTANTS) else f"the name {name[:20]!r}"
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            right = len(arguments) == (2 if name in ("min", "max") else 1)
            return "" if right else f"{len(arguments)} arguments of {name}"
        case ast.BinOp() | ast.UnaryOp() | ast.Load():
            return ""  # its operator is a node of its own
        case _ if type(node) in OPERATORS:
            return ""
    return f"a {type(node).__name__}"


def _is_finite_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _evaluate(node: ast.AST, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return np.float64(value)  # type: ignore[arg-type]  # a number, by _problem
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            return OPERATORS[type(op)](_evaluate(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name](*(_evaluate(argument, values) for argument in arguments))
    raise AssertionError(node)


def _c_code(node: ast.AST, values: Mapping[str, str]) -> str:
    match node:
        case ast.Constant(value=value):
            return repr(float(value))  # type: ignore[arg-type]  # a number, by _problem
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            return f"({_C_OPERATORS[type(op)]}{_c_code(operand, values)})"
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"pow({_c_code(left, values)}, {_c_code(right, values)})"
        case ast.BinOp(left=left, op=op, right=right):
            return f"({_c_code(left, values)} {_C_OPERATORS[type(op)]} {_c_code(right, values)})"
        case ast.Call(func=ast.Name(id=name), args=arguments):
            parts = ", ".join(_c_code(argument, values) for argument in arguments)
            return f"{_C_FUNCTIONS.get(name, name)}({parts})"
    raise AssertionError(node)
