"""`python -m shd_genn.check NEURON`: the proof that what is derived of a neuron is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, NullLocator
from rich.table import Table

from shd_genn import backends
from shd_genn.backends.proof import STEPS_MS, Convergence, Finding, Proof
from shd_genn.network.neurons.named import neurons_of
from shd_genn.support.cli import command, parse, print_table
from shd_genn.support.errors import ConfigError, refuse_unless
from shd_genn.support.files import require_ending, require_writable
from shd_genn.support.pictures import save_picture
from shd_genn.support.progress import progress


@dataclass(frozen=True)
class Options:
    """Prove the gradient of a neuron: built-in by its name, or of your own file.

    A small random recurrent network of the neuron is solved event by event. Its adjoint is compared
    with finite differences, the gradient in steps with the adjoint, and the backends with the
    reference.
    """

    neuron: Annotated[str, tyro.conf.Positional]
    """lif, alif, adlif, qif, izhikevich, hodgkin_huxley, or a file that defines neurons."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Also draw the errors into this picture (PNG, PDF or SVG)."""
    backends: tuple[str, ...] = ("native",)
    """The backends to compare with the reference."""
    seed: int = 0
    """Of the random network."""


@dataclass(frozen=True)
class Proved:
    """What the proof of one neuron found.

    Attributes:
        findings: All comparisons.
        convergence: How the gradient in steps comes to the adjoint.
        advice: What the neuron's sub-steps should be; empty if they do.
        spikes: How many there were.
    """

    findings: list[Finding]
    convergence: Convergence
    advice: str
    spikes: int


def main() -> None:
    """Prove each neuron that the command line names."""
    options = parse(Options, prog="python -m shd_genn.check")
    if options.output is not None:
        require_ending(options.output)
        require_writable(options.output)
    proved = {}
    wrong = []
    for name, neuron in neurons_of(options.neuron).items():
        reason = neuron.dynamics.only_in_steps if neuron.dynamics else ""
        refuse_unless(
            not reason,
            f"check proves EventProp's adjoint, which {name} has none of, because {reason}",
            "train it with method=surrogate or eprop, or choose another neuron",
        )
        proved[name] = prove(Proof(neuron, options.seed), options.backends)
        print_table(_table(name, proved[name].findings))
        print(verdict(name, proved[name]))
        wrong += [f"{name}: {f.what}" for f in proved[name].findings if not f.holds]
    if options.output is not None:
        curves = {name: each.convergence for name, each in proved.items()}
        save_picture(options.output, lambda: draw(curves))
        print(f"figure              {options.output}")
    if wrong:
        raise ConfigError(
            f"what is derived does not agree in {'; '.join(wrong)}; take shorter steps "
            "(substep_ms), another --seed, or report it with the equations"
        )


def prove(proof: Proof, names: Sequence[str]) -> Proved:
    """All comparisons.

    Args:
        proof: Of a neuron.
        names: The backends to compare with the reference.

    Raises:
        ConfigError: if the neuron cannot be made to spike.
    """
    work = f"Checking {proof.neuron.description.name}"
    with progress(work, 4 + len(names), "comparisons") as advance:
        findings = [proof.derivatives(), proof.order_of_step()]
        advance()
        findings += proof.finite_differences()
        advance()
        convergence = proof.convergence()
        findings.append(convergence.finding)
        advance()
        substeps = proof.substeps()
        findings += [substeps.finding] if substeps else []
        advance()
        for name in names:
            try:
                findings += proof.backend(name, backends.load(name))
            except ConfigError as error:
                print(f"{name} is left out: {error}")
            advance()
    advice = substeps.advice if substeps else ""
    return Proved(findings, convergence, advice, len(proof.trajectory.spikes()))


def verdict(name: str, proved: Proved) -> str:
    """One sentence that says whether the neuron can be trusted, and one about its sub-steps."""
    worst = max(f.value for f in proved.findings if f.what.startswith("adjoint"))
    failed = [f.what for f in proved.findings if not f.holds]
    sentence = (
        f"{name} passes: over {proved.spikes} spikes its adjoint agrees with finite differences by "
        f"every weight and parameter to {worst:.1e}, and its gradient in steps converges to it."
    )
    if failed:
        beyond = "is beyond its limit" if len(failed) == 1 else "are beyond their limits"
        sentence = f"{name} fails: {', '.join(failed)} {beyond}."
    return sentence + (f" Its {proved.advice}." if proved.advice else "")


def _table(name: str, findings: Sequence[Finding]) -> Table:
    table = Table(title=f"Proof of {name}")
    for column in ("compared", "found", "limit", ""):
        table.add_column(column, justify="left" if column in ("compared", "") else "right")
    for finding in findings:
        is_order = finding.what.startswith("order")
        form = ".2f" if is_order else ".1e"
        shown = [format(value, form) for value in (finding.value, finding.limit)]
        relation = "≥" if is_order else "≤"
        table.add_row(
            finding.what, shown[0], f"{relation} {shown[1]}", "holds" if finding.holds else "FAILS"
        )
    return table


def draw(curves: Mapping[str, Convergence]) -> Figure:
    """The error of the gradient in steps against the length of a step."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        axes.loglog(curve.steps_ms, curve.errors, "o-", label=name)
    steps = np.array(STEPS_MS)
    first = max(curve.errors[0] for curve in curves.values())
    axes.loglog(steps, first * steps / steps[0], "k:", label="in proportion to dt")
    axes.set(
        xlabel="time step dt (ms); sub-steps in proportion",
        ylabel="relative error of the gradient",
    )
    axes.set_xticks(steps, [f"{step:g}" for step in steps], minor=False)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(LogFormatter())  # matplotlib's own writes formulas
    axes.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
    axes.legend()
    return figure


if __name__ == "__main__":
    command(main)
