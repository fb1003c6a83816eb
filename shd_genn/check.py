"""`python -m shd_genn.check NEURON`: the proof that what is derived of a neuron is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from matplotlib.figure import Figure
from rich.table import Table

from shd_genn import backends
from shd_genn.backends.conformance.neuron_proof import STEPS_MS, Finding, Proof
from shd_genn.network.neurons.named import neurons_of
from shd_genn.support.cli import command, parse, print_table
from shd_genn.support.errors import ConfigError
from shd_genn.support.files import require_ending, require_writable, written_aside
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
    quick: bool = False
    """Finite differences in one random direction for each kind of parameter, not by every one."""
    backends: tuple[str, ...] = ("native",)
    """The backends to compare with the reference."""
    seed: int = 0
    """Of the random network."""


def main() -> None:
    """Prove each neuron that the command line names."""
    options = parse(Options, prog="python -m shd_genn.check")
    if options.output is not None:
        require_ending(options.output)
        require_writable(options.output)
    curves: dict[str, Sequence[float]] = {}
    wrong = []
    for name, neuron in neurons_of(options.neuron).items():
        proof = Proof(neuron, seed=options.seed)
        findings, curves[name] = findings_of(proof, options)
        print_table(_table(name, findings))
        failed = [finding.what for finding in findings if not finding.holds]
        print(verdict(name, proof, findings))
        wrong += [f"{name}: {what}" for what in failed]
    if options.output is not None:
        draw(curves, options.output)
        print(f"figure              {options.output}")
    if wrong:
        raise ConfigError(
            f"what is derived does not agree in {'; '.join(wrong)}; take shorter steps "
            "(substep_ms), another --seed, or report it with the equations"
        )


def findings_of(proof: Proof, options: Options) -> tuple[list[Finding], list[float]]:
    """All comparisons, and the errors of the stepped gradient."""
    work = f"Checking {proof.neuron.description.name}"
    with progress(work, 3 + len(options.backends), "comparisons") as advance:
        findings = [proof.derivatives(), proof.order_of_step()]
        advance()
        findings += proof.finite_differences(every=not options.quick)
        advance()
        order, errors = proof.stepped()
        findings.append(order)
        advance()
        for name in options.backends:
            try:
                findings += proof.backend(name, backends.load(name))
            except ConfigError as error:
                print(f"{name} is left out: {error}")
            advance()
    return findings, errors


def verdict(name: str, proof: Proof, findings: Sequence[Finding]) -> str:
    """One sentence that says whether the neuron can be trusted."""
    worst = max(f.value for f in findings if f.what.startswith("adjoint"))
    failed = [f.what for f in findings if not f.holds]
    spikes = len(proof.trajectory.spikes())
    if failed:
        return f"{name} fails: {', '.join(failed)} are beyond their limits."
    return (
        f"{name} passes: over {spikes} spikes its adjoint agrees with finite differences to "
        f"{worst:.1e}, and its gradient in steps converges to it."
    )


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


def draw(curves: dict[str, Sequence[float]], output: Path) -> None:
    """The error of the gradient in steps against the length of a step."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    steps = np.array(STEPS_MS)
    for name, errors in curves.items():
        axes.loglog(steps, errors, "o-", label=name)
    first = max(errors[0] for errors in curves.values())
    axes.loglog(steps, first * steps / steps[0], "k:", label="in proportion to dt")
    axes.set(xlabel="time step dt (ms)", ylabel="relative error of the gradient")
    axes.set_xticks(steps, [f"{step:g}" for step in steps], minor=False)
    axes.minorticks_off()
    axes.legend()
    with written_aside(output) as aside:
        figure.savefig(aside, dpi=150)


if __name__ == "__main__":
    command(main)
