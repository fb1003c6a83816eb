"""Plan → one readable, self-contained C++ source."""

from __future__ import annotations

from pathlib import Path
from string import Template

from shd_genn.backends.native.build import assemble
from shd_genn.backends.native.lower import Plan

KERNELS = Path(__file__).parent / "kernels"


def render(plan: Plan) -> str:
    """Write out what depends on the topology, around the kernels.

    Sizes, time constants and thresholds are no part of the text, so that a sweep over them
    compiles once.
    """
    template = Template((KERNELS / "engine.cpp.in").read_text(encoding="utf-8"))
    names = [p.name for p in plan.populations]
    edges = ", ".join(f"{names[c.source]} -> {names[c.target]}" for c in plan.connections)
    source = template.substitute(
        title=f"{edges}; readout {plan.readout}",
        n_populations=len(plan.populations),
        n_connections=len(plan.connections),
        input=plan.input,
        output=plan.output,
        sources=", ".join(str(c.source) for c in plan.connections),
        forward=_forward(plan),
        feedback=_feedback(plan),
        adjoint=_adjoint(plan),
        jumps=_jumps(plan),
        gradients=_gradients(plan),
    )
    return assemble(source, KERNELS)


def _block(lines: list[str], indent: int) -> str:
    return "\n".join(" " * indent + line for line in lines)


def _forward(plan: Plan) -> str:
    lines = []
    for p in (*plan.hidden, plan.output):
        lines.append(f"{{  // {plan.populations[p].name}")
        if p != plan.output:
            # before the arrivals, which point into the tape if the population feeds itself
            lines.append(f"    tape[{p}].reserve(pop[{p}].padded);")
        lines.append(f"    const Arrivals in[] = {{{_arrivals(plan, p)}}};")
        if p == plan.output:
            lines.append(f"    li_step(pop[{p}], state[{p}], in);")
            lines.append(f"    {_read(plan)}")
        else:
            lines.append(f"    lif_step(pop[{p}], state[{p}], in, step, tape[{p}]);")
        lines.append("}")
    return _block(lines, 12)


def _arrivals(plan: Plan, population: int) -> str:
    return ", ".join(
        f"arrivals(con[{c}], tape[{plan.connections[c].source}], step)"
        for c in plan.inputs_of(population)
    )


def _read(plan: Plan) -> str:
    if plan.readout == "max_var":
        return "read_max(pop[OUTPUT], state[OUTPUT], step, trial.readout);"
    return "read_weighted(pop[OUTPUT], state[OUTPUT], read_weight[step], trial.readout);"


def _feedback(plan: Plan) -> str:
    lines = []
    for p in plan.hidden:
        lines += [
            f"feedback[{p}].clear();  // {plan.populations[p].name}",
            f"for (int k = tape[{p}].begin[step]; k < tape[{p}].begin[step + 1]; k++) {{",
            f"    const int neuron = tape[{p}].neuron[k];",
            "    float caused = 0;",
        ]
        for c in plan.outputs_of(p):
            t = plan.connections[c].target
            lines.append(f"    caused += spike_feedback(con[{c}], pop[{t}], state[{t}], neuron);")
        lines += [f"    feedback[{p}].push_back(caused);", "}"]
    return _block(lines, 12)


def _adjoint(plan: Plan) -> str:
    if plan.readout == "max_var":
        drive = "step == trial.readout.max_step[j] ? drive[j] * drive_weight[step] : 0"
    else:
        drive = "drive[j] * drive_weight[step]"
    o = plan.output
    lines = [
        "for (int j = 0; j < pop[OUTPUT].size; j++)",
        f"    output_drive.get()[j] = {drive};",
        f"li_adjoint(pop[{o}], state[{o}], output_drive.get(), step, n_steps, history[{o}].get());",
    ]
    lines += [
        f"lif_adjoint(pop[{p}], state[{p}], step, n_steps, history[{p}].get());"
        for p in plan.hidden
    ]
    return _block(lines, 12)


def _jumps(plan: Plan) -> str:
    lines = [
        f"lif_jumps(pop[{p}], state[{p}], tape[{p}], step, feedback[{p}], regulariser[{p}]);"
        for p in plan.hidden
    ]
    return _block(lines, 12)


def _gradients(plan: Plan) -> str:
    lines = []
    for i, c in enumerate(plan.connections):
        s, t = c.source, c.target
        lines += [
            f"add_gradient(trial.tape[{s}], pop[{s}], pop[{t}], history[{t}].get(),  // {c.name}",
            f"             n_steps, gradient[{i}].get(), con[{i}].stride, first);",
        ]
    return _block(lines, 8)
