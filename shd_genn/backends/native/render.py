"""Plan → one readable, self-contained C++ source."""

from __future__ import annotations

from collections.abc import Collection

from shd_genn.backends.native.layout import INTERFACE, STRIP
from shd_genn.backends.native.lower import Plan
from shd_genn.backends.native.names import KERNELS
from shd_genn.backends.reference.sensitivities import DERIVATIVES
from shd_genn.network import Kind
from shd_genn.support.builder import assemble
from shd_genn.support.interface import templates


def render(plan: Plan) -> str:
    """Write out kernels/engine.cpp.j2 for a network, and put all headers in their places."""
    environment = templates(KERNELS)
    environment.filters |= {
        "cpp": _boolean,
        "float_literal": _float_literal,
        "learned_parameters": _learned_parameters,
    }
    template = environment.get_template("engine.cpp.j2")
    text = template.render(plan=plan, strip=STRIP, neuron_parameters=DERIVATIVES)
    return assemble(_without_gaps(text), "engine.cpp", KERNELS, interface=INTERFACE)


def _without_gaps(text: str) -> str:
    """Drop the empty lines that macros leave inside of functions."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    follows = [*lines[1:], ""]
    kept = [
        line
        for line, next_line in zip(lines, follows, strict=True)
        if line or (next_line and len(next_line) - len(next_line.lstrip()) <= 4)
    ]
    return "\n".join(kept) + "\n"


def _boolean(value: bool) -> str:
    return str(bool(value)).lower()


def _float_literal(value: float) -> str:
    return f"{value:.9e}f"


def _learned_parameters(kinds: Collection[Kind]) -> str:
    """The template argument of `PerNeuron`: which kinds of parameters are learned."""
    chosen = [f"learns(PARAMETER_{kind.upper()})" for kind in DERIVATIVES if kind in kinds]
    return " | ".join(chosen) or "0"
