"""Plan → one self-contained CUDA source: the topology, then the files of `kernels/`."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from shd_genn.backends.cuda.lower import Plan, PopulationPlan
from shd_genn.backends.native.constants import CONSTANTS
from shd_genn.backends.native.names import KERNELS as NATIVE_KERNELS
from shd_genn.backends.native.neuron_code import FIXED
from shd_genn.backends.reference.sensitivities import DERIVATIVES
from shd_genn.support.interface import INCLUDE, templates

KERNELS = Path(__file__).parent / "kernels"
DIRECTIVE = re.compile(r'#include "([^"]+)"')


def render(plan: Plan, input_name: str) -> str:
    """Write out what depends on the topology, and the kernels round it.

    Sizes are a part of the text: a thread's neurons then stay in registers. Time constants,
    thresholds and the length of a trial are none.

    Args:
        plan: The network.
        input_name: What its input is called.
    """
    return _assemble("engine.cu", {"topology.cuh": _topology(plan, input_name)})


def _topology(plan: Plan, input_name: str) -> str:
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string((KERNELS / "topology.cuh.jinja").read_text("utf-8"))
    edges = (*plan.input_connections, *plan.connections)
    neurons = {p.name for p in plan.populations if not p.code}  # leaky integrators
    learned = {a.parameter.kind for a in plan.learned if a.parameter.key.split(".")[0] in neurons}
    return template.render(
        title=", ".join(f"{c.source} -> {c.target}" for c in edges) + f"; readout {plan.form}",
        constants=CONSTANTS,
        n_constants=plan.n_constants,
        derived=plan.derived,
        most_states=plan.most_states,
        n_kept=plan.n_kept,
        tau_syn_row=FIXED.index("tau_syn"),
        equations=[_equations(p) for p in plan.derived],
        lanes_per_thread=plan.lanes_per_thread,
        lanes=plan.lanes,
        at_once=plan.at_once,
        ahead=4 if plan.lanes <= 1536 else 1,
        list_size=plan.list_size,
        form=plan.form,
        learned_kinds=[kind for kind in DERIVATIVES if kind in learned],
        n_values=plan.n_values,
        n_learned=plan.n_learned,
        n_arrays=len(plan.arrays),
        n_arrays_learned=len(plan.learned),
        input={"name": input_name, "size": plan.n_inputs},
        stepped=plan.populations,
        output=plan.output,
        input_connections=plan.input_connections,
        connections=plan.connections,
    )


def _equations(population: PopulationPlan) -> str:
    """The functions of neurons that are described by equations: the native engine's."""
    environment = templates(NATIVE_KERNELS)
    environment.filters["cpp"] = lambda value: str(bool(value)).lower()
    return environment.get_template("neuron.h.j2").render(
        name=f"equations_of_{population.name}",
        title=population.name,
        code=population.code,
        plan={"rule": None},
        function="__device__ __forceinline__ static",
    )


def _assemble(name: str, written: dict[str, str]) -> str:
    """Put every ``#include "file"`` in its place, each file once.

    One self-contained text is easy to read when something is wrong with it, and its digest covers
    all that it is made of. ``#line`` makes compilers and debuggers name the files.

    Args:
        name: The file to begin with, of `KERNELS`; others may be of those that all kernels share.
        written: Files that are not there: name → text.
    """
    seen: set[str] = set()

    def lines_of(name: str) -> list[str]:
        seen.add(name)
        folder = KERNELS if (KERNELS / name).exists() else INCLUDE
        text = written.get(name) or (folder / name).read_text(encoding="utf-8")
        lines = [f'#line 1 "{name}"']
        for number, line in enumerate(text.splitlines(), 1):
            include = DIRECTIVE.fullmatch(line)
            if line == "#pragma once":
                lines.append("")
            elif not include:
                lines.append(line)
            elif include[1] not in seen:
                lines += [*lines_of(include[1]), f'#line {number + 1} "{name}"']
            else:
                lines.append("")
        return lines

    return "\n".join(lines_of(name)) + "\n"
