"""A neuron that is described by equations → the bodies of its functions in C++.

`NeuronCode` is text, which kernels/neuron.h.j2 puts in its place; kernels/derived.h has the loops
that call it. SymPy writes it once; then it is in the cache, so that nothing has to import SymPy.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shd_genn.network.neurons.derived import Derived
from shd_genn.network.neurons.expressions import Program
from shd_genn.support.kept import kept_in_cache

FIXED = (
    "beta__syn",
    "scale__syn",
    "tau_syn",
    "beta__tau_syn",
    "scale__tau_syn",
    "refractory__steps",
)
"""The first constants of every neuron: β, S, τ_syn, ∂β/∂τ_syn and ∂S/∂τ_syn of its synapses, and
the steps for which variables are held after a spike."""


@dataclass(frozen=True)
class Tables:
    """How fast gates change, as polynomials of the voltage in intervals of equal length.

    A gate x goes to x + Q - R x in a sub-step. Polynomials are given by the coefficients of the
    powers of the distance from an interval's middle, from 0 up, each for all intervals.

    Attributes:
        state: The place of the voltage among the state variables.
        low: Where the first interval begins.
        length: How long an interval is; their middles are multiples of it.
        gates: The places of the gates.
        leaves: R of each gate, (gates, powers, intervals).
        enters: Q of each gate.
    """

    state: int
    low: float
    length: float
    gates: tuple[int, ...]
    leaves: tuple[tuple[tuple[float, ...], ...], ...]
    enters: tuple[tuple[tuple[float, ...], ...], ...]

    @property
    def middles(self) -> tuple[float, ...]:
        """The middles of the intervals."""
        return tuple(self.low + (i + 0.5) * self.length for i in range(len(self.leaves[0][0])))

    @property
    def first(self) -> int:
        """The number of the first interval, whose middle is so many lengths."""
        return round(self.low / self.length + 0.5)


@dataclass(frozen=True)
class NeuronCode:
    """The functions of a neuron in C++; kernels/neuron.h.j2 says what each of them does.

    Attributes:
        states: Its state variables; C++ has them in this order.
        learned: The parameters that derivatives are taken by, ``tau_syn`` included.
        constants: The program of its constants, in the order in which kernels find them.
        bodies: Function → its lines.
        varying: How many entries of the linearised step depend on the state.
        exact: Whether steps are exact propagators.
        crossing: Whether a spike is where the condition becomes true.
        random: Whether it spikes at random.
        substeps: Into how many sub-steps a time step is divided.
        keeps_states: Whether the backward pass needs the state of every step.
        held: For each state variable, whether it is held after a spike.
        tables: The rates that are read from tables; None if there are none.
    """

    states: tuple[str, ...]
    learned: tuple[str, ...]
    constants: Program
    bodies: Mapping[str, tuple[str, ...]]
    varying: int
    exact: bool
    crossing: bool
    random: bool
    substeps: int
    keeps_states: bool
    held: tuple[bool, ...]
    tables: Tables | None = None

    @property
    def rows(self) -> int:
        """Numbers that are kept of each neuron and step, where states are; see derived.h."""
        return len(self.states) + 1 + ("tau_syn" in self.learned) + any(self.held)


@functools.cache
def neuron_code(
    derived: Derived, learned: tuple[str, ...], substeps: int, substep_ms: float | None = None
) -> NeuronCode:
    """The code of a neuron, from the cache or, the first time, by SymPy.

    Args:
        derived: What is derived of its equations.
        learned: The parameters that are learned; ``tau_syn`` may be one.
        substeps: Into how many sub-steps a time step is divided.
        substep_ms: The length of a sub-step, for neurons with tables.
    """

    def work() -> NeuronCode:
        from shd_genn.backends.native.translate import translate  # SymPy takes a second to import

        return translate(derived, learned, substeps, substep_ms)

    return kept_in_cache((derived, learned, substeps, substep_ms, _sources()), NeuronCode, work)


@functools.cache
def _sources() -> str:
    """The text of what translates, so that a change of it is not answered from the cache."""
    folder = Path(__file__).parent
    files = [
        folder / name for name in ("expressions.py", "neuron_code.py", "tables.py", "translate.py")
    ]
    files.append(folder.parents[1] / "network/neurons/symbolic.py")  # prints constants
    return "".join(file.read_text(encoding="utf-8") for file in files)
