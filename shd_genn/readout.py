"""`python -m shd_genn.readout`: draw a formula as weight of output voltages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from matplotlib.figure import Figure

from shd_genn.network.formulas import GRID, Formula
from shd_genn.network.readouts import Readout, weight_of
from shd_genn.network.settings import Weighted
from shd_genn.support.cli import command, parse
from shd_genn.support.files import require_ending, require_file
from shd_genn.support.pictures import save_picture

NAMED: dict[Readout, str] = {
    "avg_var": ":",
    "avg_var_exp_weight": "--",
    "avg_var_linear_weight": "-.",
    "avg_var_sigmoid_weight": "-",
}
"""The readouts that are drawn for comparison, and how."""
GREY, ACCENT = "0.55", "#0072B2"  # blue that the colour-blind see as well


@dataclass(frozen=True)
class Options:
    """Draw the weight of output voltages over the trial, beside those of the named readouts.

    The options are those of --readout weighted of python -m shd_genn.run.
    """

    readout_weight: str = Weighted.readout_weight
    """A formula of s, which runs from 0 to 1 over a trial."""
    weight_a: float | None = None
    """The number a of the formula."""
    weight_b: float | None = None
    """The number b of the formula."""
    weight_c: float | None = None
    """The number c of the formula."""
    weight_d: float | None = None
    """The number d of the formula."""
    weight_m: float | None = None
    """The number m of the formula."""
    weight_o: float | None = None
    """The number o of the formula."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("readout.png")
    """The picture: .png, .pdf or .svg."""


def main() -> None:
    """Draw as the command line says, and print what the weight is."""
    values = asdict(parse(Options, prog="python -m shd_genn.readout"))
    output = values.pop("output")
    require_ending(output)
    require_file(output)
    formula = Weighted(**values).weight
    save_picture(output, lambda: plot(formula))
    print("\n".join(describe(formula)))
    print(f"figure       {output}")


def describe(formula: Formula) -> list[str]:
    """A weight in numbers: at the trial's start, middle and end, and its extremes."""
    weight = formula(GRID)
    at = [f"{s:g}: {formula(np.array([s]))[0]:.4g}" for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    low, high = int(weight.argmin()), int(weight.argmax())
    return [
        f"weight       {formula.text}",
        f"at s = {', '.join(at)}",
        f"largest      {weight[high]:.4g} at s = {GRID[high]:g}",
        f"smallest     {weight[low]:.4g} at s = {GRID[low]:g}",
    ]


def plot(formula: Formula) -> Figure:
    """The weight over the trial, and those of the named readouts in grey."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    ax = figure.subplots()
    for readout, dashes in NAMED.items():
        ax.plot(GRID, weight_of(readout)(GRID), color=GREY, ls=dashes, lw=1, label=readout)
    numbers = ", ".join(f"{name} = {value:g}" for name, value in formula.constants)
    label = f"{formula.text}\n{numbers}" if numbers else formula.text
    ax.plot(GRID, formula(GRID), color=ACCENT, lw=2, label=label)
    ax.axhline(0, color="0.8", lw=0.6, zorder=0)
    ax.set(xlabel="s = t/T", ylabel="weight of the output voltage", xlim=(0, 1))
    figure.legend(loc="outside lower center", frameon=False, ncols=2, fontsize="small")
    return figure


if __name__ == "__main__":
    command(main)
