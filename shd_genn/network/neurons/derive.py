"""From equations to their step, derivatives and jump, by SymPy; see `derived` for what comes out.

This module is imported only when a neuron is derived for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy

from shd_genn.network.neurons.derived import Derived
from shd_genn.network.neurons.equations import CURRENT, Equations
from shd_genn.network.neurons.expressions import tree_of
from shd_genn.network.neurons.refusals import held_variables, refuse_without_adjoint
from shd_genn.network.neurons.symbolic import (
    EMPTY,
    Expr,
    check_names,
    exprel,
    exprel_slope,
    expression_of,
    program_of,
    symbol,
)
from shd_genn.support.errors import refuse_unless


@dataclass
class Derivation:
    """The expressions of a neuron on the way to its programs."""

    equations: Equations
    parameters: tuple[str, ...]
    learnable: tuple[str, ...]
    hoisted: dict[Expr, Expr] = field(default_factory=dict)

    def __post_init__(self) -> None:
        states = self.equations.states
        check_names(self.equations, self.parameters)
        self.x = {name: symbol(name) for name in states}
        self.p = {name: symbol(name) for name in self.parameters}
        self.current, self.dt = symbol(CURRENT), symbol("dt")
        names: dict[str, Expr] = {**self.x, **self.p, CURRENT: self.current}
        self.names = names
        for name, text in self.equations.definitions.items():
            names[name] = expression_of(tree_of(text), names)
        read = lambda text: expression_of(tree_of(text), names)  # noqa: E731
        self.f = {q: read(text) for q, text in self.equations.derivatives.items()}
        condition = self.equations.condition
        self.g: Any = read(condition) if condition else None
        self.r = {q: read(text) for q, text in self.equations.resets.items()}
        self.x0 = {q: read(text) for q, text in self.equations.initials.items()}
        self.u = {q: read(text) for q, text in self.equations.updates.items()}
        self.varying = {*self.x.values(), self.current}
        self.b = {q: self._plain(sympy.diff(f, self.current)) for q, f in self.f.items()}
        self.A = {
            (q, r): self._plain(sympy.diff(f, x))
            for q, f in self.f.items()
            for r, x in self.x.items()
        }

    def _plain(self, expr: Expr) -> Expr:
        """An expression, multiplied out if it then no longer depends on the state."""
        if not expr.free_symbols & self.varying:
            return expr
        expanded = sympy.expand(expr)
        return expr if expanded.free_symbols & self.varying else expanded

    # ------------------------------------------------------------------ what fits

    @cached_property
    def scheme(self) -> str:
        """How a step is computed: ``exact``, ``exponential_euler`` or ``rk2``."""
        linear = not any(a.free_symbols & self.varying for a in self.A.values()) and not self.u
        own = not any(self.A[q, q].free_symbols & {x} for q, x in self.x.items())
        fits = {"exact": linear, "exponential_euler": own, "rk2": True}
        chosen = self.equations.scheme
        if chosen == "auto":
            return next(name for name, holds in fits.items() if holds)
        reason = {
            "exact": "the equations are not linear in all state variables, or steps are updated",
            "exponential_euler": "an equation is not linear in its own variable",
            "rk2": "",
        }[chosen]
        refuse_unless(
            fits[chosen],
            f"scheme {chosen} does not fit, because {reason}",
            "leave scheme out, then the best one that fits is taken",
        )
        return chosen

    @cached_property
    def crossing(self) -> bool:
        """Whether a spike is where the condition becomes true, not where it is true."""
        return self.g is not None and not any(self.g.has(self.x[q]) for q in self.r)

    # ------------------------------------------------------------------ programs

    @property
    def order(self) -> list[str]:
        """All names that programs may read, in the order of their inputs."""
        return [*self.x, CURRENT, *self.p, *(k.name for k in self.hoisted.values()), "dt"]

    def hoist(self, expr: Expr) -> Expr:
        """An expression, with its largest parts of parameters and dt replaced by coefficients."""
        fixed = {*self.p.values(), self.dt}
        if not expr.args or expr.is_Number:
            return expr
        if expr.free_symbols and expr.free_symbols <= fixed:
            return self._coefficient(expr)
        if expr.is_Add or expr.is_Mul:
            constant = [a for a in expr.args if a.free_symbols <= fixed]
            rest = [self.hoist(a) for a in expr.args if not a.free_symbols <= fixed]
            part = expr.func(*constant)
            if part.free_symbols and part.args:
                part = self._coefficient(part)
            return expr.func(part, *rest)
        return expr.func(*(self.hoist(a) for a in expr.args))

    def _coefficient(self, expr: Expr) -> Expr:
        plain = -expr if expr.could_extract_minus_sign() else expr
        if not plain.args:
            return expr
        if plain not in self.hoisted:
            self.hoisted[plain] = symbol(f"K{len(self.hoisted)}")
        return self.hoisted[plain] if plain is expr else -self.hoisted[plain]

    def linear_part(self) -> dict[str, Expr]:
        """A, b and c of x' = A x + b I + c, and their derivatives by parameters."""
        rest = dict.fromkeys(self.varying, 0)
        found = {f"A_{q}_{r}": a for (q, r), a in self.A.items()}
        found |= {f"b_{q}": b for q, b in self.b.items()}
        found |= {f"c_{q}": sympy.expand(f.subs(rest)) for q, f in self.f.items()}
        found |= {
            f"{name}__{p}": sympy.diff(expr, self.p[p])
            for name, expr in found.items()
            for p in self.learnable
        }
        return {name: expr for name, expr in found.items() if expr != 0}

    def propagator(self) -> tuple[dict[str, Expr], dict[str, Expr], list[str]]:
        """The step of the exact scheme, its derivatives by parameters, and all coefficients."""
        linear, states = self.linear_part(), list(self.x)
        reach = {(q, r) for q in states for r in states if q == r or f"A_{q}_{r}" in linear}
        for k in states:
            reach |= {(q, r) for q in states for r in states if {(q, k), (k, r)} <= reach}
        driven = {q for q in states if any((q, r) in reach and f"b_{r}" in linear for r in states)}
        offset = {q for q in states if any((q, r) in reach and f"c_{r}" in linear for r in states)}
        step = {
            q: sum(
                [symbol(f"P_{q}_{r}") * self.x[r] for r in states if (q, r) in reach]
                + [symbol(f"q_{q}") * self.current] * (q in driven)
                + [symbol(f"o_{q}")] * (q in offset)
            )
            for q in states
        }
        by_parameter: dict[str, Expr] = {}
        for p in self.learnable:
            moved = {(k, m) for k in states for m in states if f"A_{k}_{m}__{p}" in linear}
            through = {
                (q, m) for q in states for k, m in moved if (q, k) in reach
            }  # q feels a change of how m acts
            changes = {(q, r) for q, m in through for r in states if (m, r) in reach}
            for q in states:
                terms = [symbol(f"P_{q}_{r}__{p}") * self.x[r] for r in states if (q, r) in changes]
                direct = any((q, k) in reach and f"b_{k}__{p}" in linear for k in states)
                if direct or any((q, m) in through and m in driven for m in states):
                    terms.append(symbol(f"q_{q}__{p}") * self.current)
                direct = any((q, k) in reach and f"c_{k}__{p}" in linear for k in states)
                if direct or any((q, m) in through and m in offset for m in states):
                    terms.append(symbol(f"o_{q}__{p}"))
                if terms:
                    by_parameter[f"D_{q}__{p}"] = sum(terms)
        used = set().union(*(e.free_symbols for e in (*step.values(), *by_parameter.values())))
        names = sorted(s.name for s in used - self.varying) + [
            f"k_{q}" for q in states if q in driven
        ]
        return step, by_parameter, names

    def numerical_step(self) -> dict[str, Expr]:
        """The step of the other schemes, in parameters and dt."""
        dt = self.dt
        if self.scheme == "exponential_euler":
            return self._updated({q: self._exponential_euler(q) for q in self.f})
        half = {self.x[q]: self.x[q] + dt / 2 * f for q, f in self.f.items()}
        return self._updated(
            {q: self.x[q] + dt * f.subs(half, simultaneous=True) for q, f in self.f.items()}
        )

    def _updated(self, step: dict[str, Expr]) -> dict[str, Expr]:
        """A step with the update after it."""
        after = {self.x[q]: e for q, e in step.items()}
        updated = {q: u.subs(after, simultaneous=True) for q, u in self.u.items()}
        return {**step, **updated}

    def _exponential_euler(self, q: str) -> Expr:
        """X + (c dt + A dt x) exprel(A dt), where x' = A x + c; A dt is one exponent, term by term.

        So what A and c share, such as the rate of a gate, is multiplied by dt once.
        """
        exponent, change = self._exponent_and_change(q)
        return self.x[q] + (change if exponent == 0 else change * exprel(exponent))

    def _exponent_and_change(self, q: str) -> tuple[Expr, Expr]:
        """A dt, and x' dt at the start of the step."""
        x = self.x[q]
        exponent = self._times_dt(self.A[q, q])
        return exponent, self._times_dt(self.f[q].subs(x, 0)) + exponent * x

    def _times_dt(self, expr: Expr) -> Expr:
        plain = expr if expr.has(sympy.Function) else sympy.expand(expr)
        return sympy.Add(*(self.dt * term for term in sympy.Add.make_args(plain)))

    def jacobian(self, step: Mapping[str, Expr]) -> dict[str, Expr]:
        """The derivatives of a step, which is given as it is computed.

        Those of exponential Euler by another variable r are written as a_r ((c_r/a_r + x) exprel(a)
        + x' dt exprel_slope(a)), a = A dt, where c_r/a_r is a number, such as a reversal potential:
        then what stands in the brackets is shared by all gates of a current.
        """
        found = {(q, r): sympy.diff(e, s) for q, e in step.items() for r, s in self.x.items()}
        if self.scheme == "exponential_euler":
            for q, r in found:
                bracketed = self._bracketed(q, r) if q != r else None
                if bracketed is not None:
                    found[q, r] = self.hoist(bracketed)
        return {f"J_{q}_{r}": e for (q, r), e in found.items() if e != 0}

    def _bracketed(self, q: str, r: str) -> Expr | None:
        exponent, change = self._exponent_and_change(q)
        by_r = sympy.diff(exponent, self.x[r])
        if by_r == 0 or by_r.has(sympy.Function):
            return None
        c_r = sympy.diff(change, self.x[r]) - by_r * self.x[q]
        ratio = sympy.cancel(c_r / by_r)
        if ratio.free_symbols & self.varying:
            return None
        bracket = (ratio + self.x[q]) * exprel(exponent) + change * exprel_slope(exponent)
        return by_r * bracket

    def jump(self) -> dict[str, Expr]:
        """What the adjoint of a spike takes."""
        x = self.x
        r = {q: self.r.get(q, x[q]) for q in x}
        R = {(q, s): sympy.diff(r[q], x[s]) for q in x for s in x}
        after = {x[q]: value for q, value in self._state_after().items()}
        slope = sum(sympy.diff(self.g, x[q]) * f for q, f in self.f.items())
        found = {"slope": slope}
        for q, f in self.f.items():
            carried = sum(R[q, s] * self.f[s] for s in x)
            found[f"after_{q}"] = sympy.expand(f.subs(after, simultaneous=True) - carried)
        found |= self.by_state()
        found |= {f"R_{q}_{s}": value for (q, s), value in R.items()}
        found |= {f"r_{q}__{p}": sympy.diff(r[q], self.p[p]) for q in x for p in self.learnable}
        return {name: sympy.sympify(e) for name, e in found.items() if name == "slope" or e != 0}

    def _state_after(self) -> dict[str, Expr]:
        """The state at which f⁺ is taken.

        In the exact scheme the state at a spike lies beyond the threshold by what is left of the
        step. It keeps this distance through the reset, as in mlGeNN: x⁻ + r(x̂) - x̂, where x̂ is
        x⁻ with the variable of the condition moved to the threshold.
        """
        x = self.x
        plain = {q: self.r.get(q, x[q]) for q in x}
        if self.scheme != "exact":
            return plain
        linear = [
            q
            for q in x
            if (slope := sympy.diff(self.g, x[q])) != 0 and not slope.free_symbols & self.varying
        ]
        if not linear:
            return plain
        q = next((q for q in linear if self.b[q] != 0), linear[0])
        at = {x[q]: sympy.solve(self.g, x[q])[0]}
        return {q: sympy.expand(x[q] + (plain[q] - x[q]).subs(at)) for q in x}

    def by_state(self) -> dict[str, Expr]:
        """The derivatives of the spike condition."""
        found = {f"g_{q}": sympy.diff(self.g, x) for q, x in self.x.items()}
        found |= {f"g__{p}": sympy.diff(self.g, self.p[p]) for p in self.learnable}
        return {name: e for name, e in found.items() if e != 0}


def derive(
    equations: Equations, parameters: tuple[str, ...], learnable: tuple[str, ...]
) -> Derived:
    """Derive everything of a neuron.

    Args:
        equations: Its equations.
        parameters: The names of its parameters.
        learnable: Those of them that derivatives are taken by.

    Raises:
        ConfigError: if the equations cannot be read, or have no adjoint.
    """
    d = Derivation(equations, parameters, learnable)
    refuse_without_adjoint(d)
    x = d.x
    linear = EMPTY
    coefficients: list[str] = []
    if d.scheme == "exact":
        step, by_parameter, coefficients = d.propagator()
        linear = program_of(d.linear_part(), d.order)
        d.hoisted = {symbol(name): symbol(name) for name in coefficients}  # for the order of names
    else:
        plain = d.numerical_step()
        by_parameter = {
            f"D_{q}__{p}": d.hoist(sympy.diff(e, d.p[p]))
            for q, e in plain.items()
            for p in learnable
            if e.has(d.p[p])
        }
        step = {q: d.hoist(e) for q, e in plain.items()}
    jacobian = d.jacobian(step)
    by_current = {f"B_{q}": sympy.diff(e, d.current) for q, e in step.items()}
    by_current = {name: e for name, e in by_current.items() if e != 0}
    constants = EMPTY
    if d.scheme != "exact":
        constants = program_of({k.name: e for e, k in d.hoisted.items()}, [*d.p, "dt"])
        coefficients = list(constants.names)
    order = d.order
    moved = set().union(*(e.free_symbols for e in (*jacobian.values(), *by_current.values())))
    initial = dict(d.x0)
    initial |= {f"{q}__{p}": sympy.diff(e, d.p[p]) for q, e in d.x0.items() for p in learnable}
    partials = {f"A_{q}_{r}": a for (q, r), a in d.A.items() if a != 0}
    partials |= {
        f"f_{q}__{p}": sympy.diff(f, d.p[p])
        for q, f in d.f.items()
        for p in learnable
        if f.has(d.p[p])
    }
    spikes = d.g is not None
    jump = program_of(d.jump(), order) if spikes else EMPTY
    return Derived(
        states=tuple(x),
        parameters=parameters,
        learnable=learnable,
        receives=tuple(q for q, b in d.b.items() if b != 0 or (q in d.u and d.u[q].has(d.current))),
        scheme=d.scheme,
        substep_ms=equations.substep_ms,
        spikes=spikes,
        crossing=d.crossing,
        random=equations.random,
        state_dependent=bool(moved & d.varying),
        kept_at_spikes=tuple(name for name in (*x, CURRENT) if name in jump.inputs),
        coefficients=tuple(coefficients),
        held=held_variables(d) if equations.refractory else (),
        constants=constants,
        linear=linear,
        step=program_of(step, order),
        jacobian=program_of(jacobian, order),
        by_current=program_of(by_current, order),
        by_parameter=program_of({name: e for name, e in by_parameter.items() if e != 0}, order),
        spike=program_of({"g": d.g}, order) if spikes else EMPTY,
        by_state=program_of(d.by_state(), order) if spikes else EMPTY,
        jump=jump,
        reset=program_of(d.r, order) if spikes else EMPTY,
        initial=program_of({name: e for name, e in initial.items() if e != 0}, order),
        input=program_of({f"b_{q}": b for q, b in d.b.items() if b != 0}, order),
        rates=program_of(d.f, order),
        partials=program_of(partials, order),
    )
