"""SymPy expressions → C++ on a number type that is a float or a `Vector` of support/include.

What depends on no state, current or adjoint is worked out before a trial, in float64, and becomes a
constant of the neuron. Exponentials whose exponents are multiples of each other become powers of
one. What occurs more than once is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy
from sympy.printing.str import StrPrinter

from shd_genn.network.neurons.symbolic import exprel, exprel_slope, symbol

Expr = Any
"""A SymPy expression; SymPy's own types say too little to check more."""

FUNCTIONS = {
    "exp": "exponential",
    "PowerOfTwo": "power_of_two",
    "log": "logarithm",
    "sin": "sine",
    "cos": "cosine",
    "sinh": "hyperbolic_sine",
    "cosh": "hyperbolic_cosine",
    "tanh": "hyperbolic_tangent",
    "sign": "sign",
    "Abs": "absolute",
    "exprel": "exprel",
    "exprel_slope": "exprel_slope",
    "relu": "relu",
    "relu_slope": "relu_slope",
    "Bernoulli": "bernoulli",
    "BernoulliSlope": "bernoulli_slope",
    "Reciprocal": "reciprocal",
}
"""SymPy's functions, and those of vector_math.h."""

LOG2_E = sympy.Float(1 / math.log(2), 17)
"""exp(x) is 2 to this power of x."""

HIGHEST_POWER = 8
"""An exponential becomes a power of another up to this one: each doubling costs one bit."""


class PowerOfTwo(sympy.Function):
    """2^x, of which SymPy does not know that a power of it is another one."""


class Bernoulli(sympy.Function):
    """x / (exp(x) - 1) = 1 / exprel(x), given x and exp(x)."""


class BernoulliSlope(sympy.Function):
    """The derivative of `Bernoulli`, given x and exp(x)."""


class Reciprocal(sympy.Function):
    """1 / x, of which SymPy does not know that powers of it are powers of x."""


class CppPrinter(StrPrinter):
    """Prints one expression; all numbers are floats. SymPy calls its methods by these names."""

    def _print_Integer(self, expr: Expr) -> str:
        return f"{int(expr)}.0f"

    def _print_Rational(self, expr: Expr) -> str:
        return _literal(float(expr))

    _print_Half = _print_Float = _print_NumberSymbol = _print_Rational

    def _print_Add(self, expr: Expr, order: Any = None) -> str:
        positive = [self._factor(a) for a in expr.args if not a.could_extract_minus_sign()]
        negative = [self._factor(-a) for a in expr.args if a.could_extract_minus_sign()]
        if not positive:
            return f"-({' + '.join(negative)})"
        return " + ".join(positive) + "".join(f" - {term}" for term in negative)

    def _print_Mul(self, expr: Expr) -> str:
        if expr.could_extract_minus_sign():
            return f"-{self._factor(-expr)}"
        below = [a for a in expr.args if _is_divisor(a)]
        above = [a for a in expr.args if not _is_divisor(a)]
        text = " * ".join(map(self._factor, above)) or "1.0f"
        if not below:
            return text
        return f"quotient({text}, {' * '.join(self._factor(1 / a) for a in below)})"

    def _factor(self, expr: Expr) -> str:
        text: str = self._print(expr)
        return f"({text})" if expr.is_Add or expr.could_extract_minus_sign() else text

    def _print_Pow(self, expr: Expr, rational: bool = False) -> str:
        base, exponent = expr.args
        if _is_divisor(expr):
            return f"quotient(1.0f, {self._print(1 / expr)})"
        if exponent == sympy.S.Half:
            return f"square_root({self._print(base)})"
        if exponent.is_Integer:
            return f"power<{int(exponent)}>({self._print(base)})"
        return f"raised({self._print(base)}, {self._print(exponent)})"

    def _print_Function(self, expr: Expr) -> str:
        name = FUNCTIONS[type(expr).__name__]
        return f"{name}({', '.join(map(self._print, expr.args))})"

    _print_exp = _print_Abs = _print_Function


def _is_divisor(expr: Expr) -> bool:
    return bool(expr.is_Pow and expr.exp.is_number and expr.exp.is_negative)


def _literal(value: float) -> str:
    text = repr(value)
    return f"{text}f" if any(c in text for c in ".en") else f"{text}.0f"


@dataclass
class ConstantTable:
    """Expressions of parameters alone, and the symbols that stand for them.

    Attributes:
        varying: Symbols of all that changes during a trial.
        found: Expression → its symbol, in the order in which they were found.
    """

    varying: frozenset[Expr]
    found: dict[Expr, Expr] = field(default_factory=dict)

    def hoist(self, expression: Expr) -> Expr:
        """The expression, with symbols in place of what does not change during a trial."""
        if expression.is_Number or expression in self.varying:
            return expression
        if not expression.free_symbols & self.varying:
            return self.constant(expression)
        if expression.is_Add or expression.is_Mul:
            fixed = [a for a in expression.args if not a.free_symbols & self.varying]
            changing = [self.hoist(a) for a in expression.args if a.free_symbols & self.varying]
            return expression.func(self.hoist(expression.func(*fixed)), *changing)
        if expression.is_Pow and expression.exp.is_Integer:
            return self.hoist(expression.base) ** expression.exp
        return expression.func(*(self.hoist(argument) for argument in expression.args))

    def constant(self, expression: Expr) -> Expr:
        """The symbol of an expression that does not change."""
        if expression.is_number:
            return sympy.Float(expression.evalf(17), 17)
        if expression.could_extract_minus_sign():
            return -self.constant(-expression)
        return self.found.setdefault(expression, symbol(f"c{len(self.found)}"))


def share_exponentials(expressions: Mapping[str, Expr]) -> dict[str, Expr]:
    """Write exponentials whose exponents are whole multiples of each other as powers of one.

    Hodgkin and Huxley's rates have six exponentials of V, of which two remain.
    """
    texts = {name: _with_bernoulli(e) for name, e in expressions.items()}
    found = set().union(*(e.atoms(sympy.exp) for e in texts.values())) if texts else set()
    families: dict[Expr, list[tuple[Expr, Expr, Expr]]] = {}
    for each in (e for e in found if not e.args[0].has(sympy.exp)):
        offset, slope = each.args[0].expand().as_independent(*each.free_symbols, as_Add=True)
        number, shape = slope.as_coeff_Mul()
        number = sympy.nsimplify(number, rational=True)
        families.setdefault(shape, []).append((number, offset, each))
    shared = {}
    for shape, members in families.items():
        bases: list[Expr] = []
        for number, offset, each in sorted(members, key=lambda m: (abs(m[0]), str(m[1]))):
            base = next((b for b in bases if _times(number, b)), None)
            if base is None:
                bases.append(number)
                base = number
            power = PowerOfTwo(base * shape * LOG2_E) ** _times(number, base)
            shared[each] = sympy.exp(offset) * power
    return {name: e.xreplace(shared) for name, e in texts.items()}


def _times(number: Expr, base: Expr) -> int:
    """How many times a number is another, if that is a whole number, and not too large; or 0."""
    ratio = number / base
    return int(ratio) if ratio.is_Integer and 1 <= ratio <= HIGHEST_POWER else 0


def _with_bernoulli(expression: Expr) -> Expr:
    """1 / exprel(x), which takes two divisions, as a Bernoulli function, which takes one."""
    inverted = {
        each.args[0]
        for power in expression.atoms(sympy.Pow)
        if isinstance(each := power.base, exprel) and power.exp.is_negative
    }
    replaced = {}
    for x in inverted:
        given = x, sympy.exp(x)
        replaced[exprel(x)] = 1 / Bernoulli(*given)
        replaced[exprel_slope(x)] = -BernoulliSlope(*given) / Bernoulli(*given) ** 2
    return expression.xreplace(replaced)


def _with_reciprocals(expressions: Sequence[Expr]) -> list[Expr]:
    """1/x and 1/x², where both occur, as powers of one 1/x: one division in place of two."""
    divisors: dict[Expr, set[Expr]] = {}
    for each in set().union(*(e.atoms(sympy.Pow) for e in expressions)):
        if _is_divisor(each) and each.exp.is_Integer:
            divisors.setdefault(each.base, set()).add(each)
    several = {
        power: Reciprocal(base) ** -power.exp
        for base, powers in divisors.items()
        for power in powers
        if len(powers) > 1
    }
    return [e.xreplace(several) for e in expressions]


def statements(
    outputs: Mapping[str, Expr], constants: Sequence[str], copied: Mapping[str, str]
) -> tuple[str, ...]:
    """The lines of C++ that compute some expressions.

    Args:
        outputs: What is assigned to, or ``return`` → the expression.
        constants: The names of all constants; ``k(3)`` reads the third.
        copied: Symbol → where its value stands, of what is read before anything is written.
    """
    steps, results = sympy.cse(
        _with_reciprocals([*outputs.values()]),
        symbols=(symbol(f"t{i}") for i in range(100_000)),
        order="none",
    )
    used = {s.name for e in (*(e for _, e in steps), *results) for s in e.free_symbols}
    text = CppPrinter().doprint
    lines = [f"const auto {c} = k({i});" for i, c in enumerate(constants) if c in used]
    lines += [f"const auto {name} = {place};" for name, place in copied.items() if name in used]
    lines += [f"const auto {name} = {text(e)};" for name, e in steps]
    fixed = {*constants}
    for (to, plain), e in zip(outputs.items(), results, strict=True):
        varies = bool({s.name for s in plain.free_symbols} - fixed)
        value = text(e) if varies else f"as<Number>({text(e)})"
        lines.append(
            f"return {value};" if to == "return" else f"{to} = {value};".replace("+ =", "+=")
        )
    return tuple(lines)
