"""From the text of equations to SymPy's expressions, and from these to programs.

SymPy is imported here and in `derive` only, and these only when a neuron is derived for the first
time.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from typing import Any

import sympy
from sympy.printing.str import StrPrinter

from shd_genn.network.neurons.equations import CURRENT, Equations
from shd_genn.network.neurons.expressions import Program
from shd_genn.support.errors import refuse_unless

Expr = Any
"""A SymPy expression; SymPy's own types say too little to check more."""

EMPTY = Program((), (), ())


class exprel(sympy.Function):  # noqa: N801  # its name in equations
    """(exp(x) - 1) / x."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Its derivative."""
        return exprel_slope(self.args[0])


class exprel_slope(sympy.Function):  # noqa: N801
    """The derivative of `exprel`."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Its derivative, for x that are not 0."""
        x = self.args[0]
        return (sympy.exp(x) - 2 * exprel_slope(x)) / x


class relu(sympy.Function):  # noqa: N801
    """x where it is more than 0, else 0."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Its derivative."""
        return relu_slope(self.args[0])


class relu_slope(sympy.Function):  # noqa: N801
    """The derivative of `relu`, 0 at 0."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Its derivative, for x that are not 0."""
        return sympy.Integer(0)


class Printer(StrPrinter):
    """SymPy's text, in the language of `expressions`."""

    def _print_Abs(self, expr: Expr) -> str:  # noqa: N802  # SymPy's names
        return f"abs({self._print(expr.args[0])})"

    def _print_PowerOfTwo(self, expr: Expr) -> str:  # noqa: N802  # of the native backend
        return f"exp({math.log(2)!r} * ({self._print(expr.args[0])}))"

    def _print_Rational(self, expr: Expr) -> str:  # noqa: N802
        return repr(float(expr))

    def _print_Float(self, expr: Expr) -> str:  # noqa: N802
        return repr(float(expr))


FUNCTIONS = (
    {
        name: getattr(sympy, name)
        for name in ("exp", "log", "sqrt", "sin", "cos", "sinh", "cosh", "tanh", "sign")
    }
    | {"abs": sympy.Abs, "exprel": exprel, "exprel_slope": exprel_slope}
    | {
        "relu": relu,
        "relu_slope": relu_slope,
    }
)


def symbol(name: str) -> Expr:
    """The real symbol of a name."""
    return sympy.Symbol(name, real=True)


def expression_of(node: ast.expr, names: Mapping[str, Expr]) -> Expr:
    """SymPy's expression of a parsed one, whose names stand for the given expressions."""
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, int | float)
        return sympy.Integer(node.value) if isinstance(node.value, int) else sympy.Float(node.value)
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.UnaryOp):
        operand = expression_of(node.operand, names)
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return FUNCTIONS[node.func.id](expression_of(node.args[0], names))
    assert isinstance(node, ast.BinOp)
    left, right = expression_of(node.left, names), expression_of(node.right, names)
    if isinstance(node.op, ast.Add):
        return left + right
    if isinstance(node.op, ast.Sub):
        return left - right
    if isinstance(node.op, ast.Mult):
        return left * right
    return left / right if isinstance(node.op, ast.Div) else left**right


def program_of(outputs: Mapping[str, Expr], order: Iterable[str]) -> Program:
    """Outputs as a program; what they share, and is more than a name, is named once."""
    names = (symbol(f"t{i}") for i in range(10_000))
    temporaries, reduced = sympy.cse(list(outputs.values()), symbols=names, order="none")
    text = Printer().doprint
    used = set().union(*(expr.free_symbols for expr in outputs.values())) if outputs else set()
    found = {s.name for s in used}
    return Program(
        tuple(name for name in order if name in found),
        tuple((name.name, text(expr)) for name, expr in temporaries),
        tuple((name, text(expr)) for name, expr in zip(outputs, reduced, strict=True)),
    )


def check_names(equations: Equations, parameters: tuple[str, ...]) -> None:
    """Refuse names in equations that nobody defines, that nobody uses, or that mean two things.

    Raises:
        ConfigError: if there are any.
    """
    used, given = equations.names(), set(parameters)
    unknown, idle = sorted(used - given), sorted(given - used)
    known = ", ".join((*equations.states, *equations.definitions, *parameters, CURRENT))
    refuse_unless(
        not unknown,
        f"the equations use {', '.join(unknown)}, which is neither a state variable nor a "
        f"parameter nor defined (known: {known})",
        "give it as a parameter, or correct its name",
    )
    refuse_unless(
        not idle,
        f"no equation uses the parameter {', '.join(idle)}",
        "leave it out, or use it",
    )
    for name in (*equations.states, *equations.definitions, *parameters):
        refuse_unless(
            name not in (CURRENT, "dt", "tau_syn", *FUNCTIONS),
            f"{name} has a meaning of its own in equations",
            "choose another name",
        )
    twice = set(parameters) & {*equations.states, *equations.definitions}
    refuse_unless(
        not twice,
        f"{', '.join(sorted(twice))} is a parameter and has an equation, too",
        "choose another name for one of them",
    )
