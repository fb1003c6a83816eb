"""Izhikevich's neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from shd_genn.network.initialisers import Value
from shd_genn.network.neurons.description import (
    NeuronDescription,
    NeuronModel,
    ParameterDescription,
)
from shd_genn.network.neurons.equations import Equations
from shd_genn.support.errors import refuse_unless

Cell = Literal["RS", "IB", "CH", "FS", "LTS"]
"""Izhikevich's names of cells: regular spiking, intrinsically bursting, chattering, fast spiking,
low-threshold spiking."""

CELLS: dict[Cell, dict[str, float]] = {
    "RS": {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0},
    "IB": {"a": 0.02, "b": 0.2, "c": -55.0, "d": 4.0},
    "CH": {"a": 0.02, "b": 0.2, "c": -50.0, "d": 2.0},
    "FS": {"a": 0.1, "b": 0.2, "c": -65.0, "d": 2.0},
    "LTS": {"a": 0.02, "b": 0.25, "c": -65.0, "d": 2.0},
}
"""Their parameters (Izhikevich 2003, figure 2)."""

_ADVICE = "choose a cell (RS, IB, CH, FS, LTS) for the paper's values"
RECOVERY = ParameterDescription("a", "1/ms", CELLS["RS"]["a"], _ADVICE, low=0.0, high=2.0)
SENSITIVITY = ParameterDescription("b", "", CELLS["RS"]["b"], _ADVICE)
AFTER = ParameterDescription("c", "mV", CELLS["RS"]["c"], _ADVICE, high=30.0)
JUMP = ParameterDescription("d", "mV/ms", CELLS["RS"]["d"], _ADVICE)
GAIN = ParameterDescription(
    "gain", "", default=10.0, low=0.0, advice="10 to 15 suit weights that suit LIF neurons"
)
"""The current, in the paper's unit, that I = 1 stands for."""


@dataclass(frozen=True)
class Izhikevich(NeuronModel):
    """Izhikevich's neuron (2003): V' = 0.04 V² + 5 V + 140 - u + gain I, u' = a (b V - u).

    At V ≥ 30 mV it spikes, V becomes c, and u rises by d. Trials start at V = -65 mV, u = b V.

    Attributes:
        cell: The kind of cell; it gives a, b, c and d where they are left out.
        a: How fast u recovers, in 1/ms.
        b: How much u follows V.
        c: V after a spike, in mV.
        d: What a spike adds to u, in mV/ms.
        gain: The current that I = 1 stands for. The paper's currents are 4 to 20, I of a LIF neuron
            with threshold 1 is about 1.
    """

    description: ClassVar = NeuronDescription.of(
        "Izhikevich",
        (RECOVERY, SENSITIVITY, AFTER, JUMP, GAIN),
        Equations(
            "V' = 0.04 * V**2 + 5 * V + 140 - u + gain * I; u' = a * (b * V - u)",
            spike="V >= 30",
            reset="V = c; u += d",
            initial="V = -65; u = -65 * b",
            substep_ms=0.25,
        ),
    )

    cell: Cell = "RS"
    a: Value | None = None
    b: Value | None = None
    c: Value | None = None
    d: Value | None = None
    gain: Value = GAIN.default

    def __post_init__(self) -> None:
        refuse_unless(
            self.cell in CELLS,
            f"cell of Izhikevich must be one of {', '.join(CELLS)}, but got {self.cell!r}",
            "choose one of them",
        )
        for name, value in CELLS[self.cell].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        super().__post_init__()
