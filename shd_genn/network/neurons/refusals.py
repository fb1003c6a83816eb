"""Refusals of equations that have no adjoint, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shd_genn.support.errors import ConfigError, refuse_unless

if TYPE_CHECKING:
    from shd_genn.network.neurons.derive import Derivation


def refuse_without_adjoint(d: Derivation) -> None:
    """Refuse equations of which no adjoint can be derived.

    Raises:
        ConfigError: with the reason.
    """
    for q, b in d.b.items():
        depends = sorted(s.name for s in b.free_symbols & d.varying)
        refuse_unless(
            not depends,
            f"the current I enters the equation of {q} with a factor that depends on "
            f"{', '.join(depends)}",
            "let I enter linearly, with a factor of parameters only, because the adjoint of a "
            "spike would need the state of its targets otherwise",
        )
    refuse_unless(
        any(b != 0 for b in d.b.values()) or any(u.has(d.current) for u in d.u.values()),
        "the current I enters no equation, so that spikes would have no effect",
        "add I to the equation of the voltage",
    )
    for q, start in d.x0.items():
        refuse_unless(
            not start.free_symbols & d.varying,
            f"the initial value of {q} depends on state variables or I",
            "give it by parameters and numbers",
        )
    if d.g is not None:
        _check_condition(d)


def _check_condition(d: Derivation) -> None:
    condition = d.equations.spike.strip()
    refuse_unless(
        not d.g.has(d.current),
        f"the spike condition {condition} depends on the current I, which jumps",
        "write it with state variables and parameters",
    )
    read = [q for q, x in d.x.items() if d.g.has(x)]
    driven = {q for q, b in d.b.items() if b != 0}
    driven |= {q for q, u in d.u.items() if u.has(d.current)}
    for _ in d.x:
        driven |= {q for (q, r), a in d.A.items() if r in driven and a != 0}
        driven |= {q for q, u in d.u.items() if any(u.has(d.x[r]) for r in driven)}
    refuse_unless(
        any(q in driven for q in read),
        f"no input can reach the spike condition {condition}, because I drives none of its "
        "variables",
        f"write it with one of {', '.join(sorted(driven))}",
    )


def held_variables(d: Derivation) -> tuple[str, ...]:
    """The variables that are held during the refractory time.

    Raises:
        ConfigError: if there is none.
    """
    held = tuple(q for q in d.r if d.b[q] != 0)
    if not held:
        raise ConfigError(
            "the neuron has a refractory time, but its reset sets no variable that I drives; set "
            "one, because it is held for that time"
        )
    return held
