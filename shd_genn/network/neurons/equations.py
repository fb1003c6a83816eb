"""The equations of a neuron as text, split into their parts. Nothing here needs SymPy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from shd_genn.network.neurons.expressions import names_in
from shd_genn.support.errors import ConfigError, refuse_unless

Scheme = Literal["auto", "exact", "exponential_euler", "rk2"]
"""How a step is computed. exact: the exact propagator, for equations that are linear in all state
variables; exponential_euler: for equations that are each linear in their own variable; rk2: the
midpoint rule, for all others; auto: the first of these that fits."""

CURRENT = "I"
"""The name of the synaptic current in equations."""

_DERIVATIVE = re.compile(r"^(?:(?P<factor>.+?)[\s*]+)?(?P<state>[^\W\d]\w*)\s*'$")
_QUOTIENT = re.compile(r"^d(?P<state>[^\W\d]\w*)\s*/\s*dt$")
_RESET = re.compile(r"^(?P<state>[^\W\d]\w*)\s*(?P<operator>[-+*/]?)=(?P<value>[^=].*)$")
_SPIKE = re.compile(r"^(?P<above>.+?)\s*(?:>=|>)\s*(?P<threshold>.+)$")


@dataclass(frozen=True)
class Equations:
    """What a neuron does, as text in the field's notation; times are in ms.

    An equation is ``V' = (I - V) / tau_mem``, ``tau_mem * V' = I - V`` or ``dV/dt = …``; a line
    without a derivative, such as ``rate = exp(-V)``, names an expression that later lines use.
    Lines are separated by line breaks or semicolons. `expressions` says what an expression is.
    I is the synaptic current, with which arriving spikes act.

    Attributes:
        text: A differential equation for each state variable.
        spike: When the neuron spikes: ``V >= v_thresh``, or an expression that is then 0 or more.
            Empty: it never does.
        reset: What a spike does to the state: ``V = 0; w += b``, all from the values before it. A
            neuron whose reset changes no variable of the spike condition spikes when that
            condition becomes true, and not in all steps in which it holds; ``V = V`` makes it spike
            in all of them.
        initial: The state at the start of a trial, ``V = c; u = b * c``; 0 where none is given.
        scheme: How a step is computed.
        substep_ms: The longest step in ms that is computed at once; a longer time step is divided
            into the fewest equal parts that are short enough. None: never divided.
        refractory: Whether the variables that I drives and the reset sets are held for some time
            after a spike.
        update: What each step does to the state after the equations and before the spike:
            ``V = k * V``, all from the values before it; it may use I. Such a neuron is one of time
            steps, and has no EventProp.
        random: Whether the neuron spikes at random in each step: with the probability
            1 / (1 + exp(-g)), where g is the spike condition.
        table: A state variable, and the lowest and highest value of it between which the native
            backend reads rates of gates, which are functions of that variable alone, from tables
            (NEURON has TABLE for this). Beyond, and without it, they are computed.
    """

    text: str
    spike: str = ""
    reset: str = ""
    initial: str = ""
    scheme: Scheme = "auto"
    substep_ms: float | None = None
    refractory: bool = False
    update: str = ""
    random: bool = False
    table: tuple[str, float, float] | None = None

    @cached_property
    def derivatives(self) -> dict[str, str]:
        """State variable → its derivative by time, in the order of the text."""
        found: dict[str, str] = {}
        for left, right in self._assignments:
            if (match := _DERIVATIVE.match(left)) or (match := _QUOTIENT.match(left)):
                state, factor = match["state"], match.groupdict().get("factor")
                refuse_unless(
                    state not in found,
                    f"{state} has two differential equations in {self.text!r}",
                    "keep one",
                )
                found[state] = f"({right}) / ({factor})" if factor else right
        refuse_unless(
            len(found) > 0,
            f"the equations {self.text!r} have no differential equation",
            "write one for each state variable, such as V' = (I - V) / tau_mem",
        )
        return found

    @cached_property
    def definitions(self) -> dict[str, str]:
        """Named expressions, in the order of the text."""
        found = {}
        for left, right in self._assignments:
            if not (_DERIVATIVE.match(left) or _QUOTIENT.match(left)):
                refuse_unless(
                    left.isidentifier(),
                    f"the left side {left!r} of an equation is neither a derivative nor a name",
                    "write V' = …, tau * V' = …, dV/dt = … or name = …",
                )
                found[left] = right
        return found

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The state variables, in the order of the text."""
        return tuple(self.derivatives)

    @cached_property
    def condition(self) -> str:
        """The expression that is 0 or more where the neuron spikes; empty if it never does."""
        match = _SPIKE.match(self.spike.strip())
        return f"({match['above']}) - ({match['threshold']})" if match else self.spike.strip()

    @cached_property
    def resets(self) -> dict[str, str]:
        """State variable → its value after a spike, of those that a spike changes."""
        return self._values("reset", self.reset)

    @cached_property
    def initials(self) -> dict[str, str]:
        """State variable → its value at the start of a trial, if it is given."""
        return self._values("initial", self.initial)

    @cached_property
    def updates(self) -> dict[str, str]:
        """State variable → its value after the update of a step, of those that it changes."""
        return self._values("update", self.update)

    @cached_property
    def only_in_steps(self) -> str:
        """Why there are no spikes in continuous time, as a clause; empty if there are."""
        kept = [q for q, value in self.resets.items() if value == q]
        if self.update:
            return "each step changes its state, besides its differential equations"
        if self.random:
            return "it spikes at random in each step"
        if kept:
            return f"a spike leaves {kept[0]} above the threshold, so that it spikes in every step"
        return ""

    def names(self) -> set[str]:
        """All names that are neither state variables, nor defined by the text, nor the current."""
        expressions = [*self.derivatives.values(), *self.definitions.values()]
        expressions += [*self.resets.values(), *self.initials.values(), *self.updates.values()]
        expressions += [self.condition] if self.condition else []
        found = set[str]().union(*(names_in(expression) for expression in expressions))
        return found - {*self.states, *self.definitions, CURRENT}

    @cached_property
    def _assignments(self) -> tuple[tuple[str, str], ...]:
        found = []
        for line in _lines(self.text):
            left, equals, right = (part.strip() for part in line.partition("="))
            refuse_unless(
                bool(equals and right),
                f"{line!r} is no equation",
                "write V' = … for a state variable, or name = … for an expression",
            )
            found.append((left, right))
        return tuple(found)

    def _values(self, what: str, text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in _lines(text):
            match = _RESET.match(line)
            if match is None:
                raise ConfigError(f"{what} {line!r} is no assignment; write V = 0 or V -= v_thresh")
            state, operator, value = match["state"], match["operator"], match["value"].strip()
            refuse_unless(
                state in self.states,
                f"{what} {line!r} sets {state}, which has no differential equation",
                f"set one of {', '.join(self.states)}",
            )
            refuse_unless(state not in found, f"{what} {text!r} sets {state} twice", "set it once")
            found[state] = f"{state} {operator} ({value})" if operator else value
        return found


def _lines(text: str) -> list[str]:
    """The lines of a text without comments; semicolons separate lines, too."""
    plain = [line.partition("#")[0] for line in text.replace("\u2212", "-").splitlines()]
    return [part.strip() for line in plain for part in line.split(";") if part.strip()]
