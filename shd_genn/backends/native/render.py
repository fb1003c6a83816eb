"""Plan → one readable, self-contained C++ source."""

from __future__ import annotations

from pathlib import Path
from string import Template

from shd_genn.backends.native.build import assemble
from shd_genn.backends.native.lower import Plan
from shd_genn.readouts import Form

KERNELS = Path(__file__).parent / "kernels"

# What each form of readout does with the output after a step, forward, and what it then drives the
# output's adjoint with; first spikes are no drive but jumps.
READ: dict[Form, str] = {
    "weighted": "read_weighted(pop[OUTPUT], state[OUTPUT], read_weight[step], trial.readout);",
    "each_step": "read_weighted(pop[OUTPUT], state[OUTPUT], read_weight[step], trial.readout);",
    "max": "read_max(pop[OUTPUT], state[OUTPUT], step, trial.readout);",
    "first_spike": "read_first_spikes(tape[OUTPUT], step, dt_ms, trial.readout);",
}
DRIVE: dict[Form, str] = {
    "weighted": "drive[j] * drive_weight[step]",
    "each_step": "drive[step * pop[OUTPUT].size + j] * drive_weight[step]",
    "max": "step == trial.readout.step[j] ? drive[j] * drive_weight[step] : 0",
}


def render(plan: Plan) -> str:
    """Write out what depends on the topology, around the kernels.

    Sizes, time constants and thresholds are no part of the text, so that a sweep over them
    compiles once.
    """
    template = Template((KERNELS / "engine.cpp.in").read_text(encoding="utf-8"))
    names = [p.name for p in plan.populations]
    edges = ", ".join(f"{names[c.source]} -> {names[c.target]}" for c in plan.connections)
    source = template.substitute(
        title=f"{edges}; readout {plan.form}",
        n_populations=len(plan.populations),
        n_connections=len(plan.connections),
        input=plan.input,
        output=plan.output,
        output_spikes="true" if plan.output in plan.spiking else "false",
        drives="n_steps * pop[OUTPUT].size" if plan.form == "each_step" else "pop[OUTPUT].size",
        sources=", ".join(str(c.source) for c in plan.connections),
        forward=_forward(plan),
        kick=_kick(plan),
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
    for p in dict.fromkeys((*plan.spiking, plan.output)):
        lines.append(f"{{  // {plan.populations[p].name}")
        if p in plan.spiking:
            # before the arrivals, which point into the tape if the population feeds itself
            lines.append(f"    tape[{p}].reserve(pop[{p}].padded);")
        lines.append(f"    const Arrivals in[] = {{{_arrivals(plan, p)}}};")
        if p in plan.spiking:
            lines.append(f"    lif_step(pop[{p}], state[{p}], in, step, tape[{p}]);")
        else:
            lines.append(f"    li_step(pop[{p}], state[{p}], in);")
        if p == plan.output:
            lines.append(f"    {READ[plan.form]}")
        lines.append("}")
    return _block(lines, 12)


def _kick(plan: Plan) -> str:
    if plan.output not in plan.spiking:
        return ""
    return _block(["kick_silent(pop[OUTPUT], state[OUTPUT], drive, n_steps, trial.readout);"], 8)


def _arrivals(plan: Plan, population: int) -> str:
    return ", ".join(
        f"arrivals(con[{c}], tape[{plan.connections[c].source}], step)"
        for c in plan.inputs_of(population)
    )


def _feedback(plan: Plan) -> str:
    lines = []
    for p in plan.spiking:
        lines += [
            f"feedback[{p}].clear();  // {plan.populations[p].name}",
            f"for (int k = tape[{p}].begin[step]; k < tape[{p}].begin[step + 1]; k++) {{",
            f"    const int neuron = tape[{p}].neuron[k];",
            "    float caused = 0;",
        ]
        for c in plan.outputs_of(p):
            t = plan.connections[c].target
            lines.append(f"    caused += spike_feedback(con[{c}], pop[{t}], state[{t}], neuron);")
        if p == plan.output:
            lines.append("    if (trial.readout.step[neuron] == step) caused += drive[neuron];")
        lines += [f"    feedback[{p}].push_back(caused);", "}"]
    return _block(lines, 12)


def _adjoint(plan: Plan) -> str:
    o, lines = plan.output, []
    if o not in plan.spiking:
        lines += [
            "for (int j = 0; j < pop[OUTPUT].size; j++)",
            f"    output_drive.get()[j] = {DRIVE[plan.form]};",
            f"li_adjoint(pop[{o}], state[{o}], output_drive.get(), step, n_steps, "
            f"history[{o}].get());",
        ]
    lines += [
        f"lif_adjoint(pop[{p}], state[{p}], step, n_steps, history[{p}].get());"
        for p in plan.spiking
    ]
    return _block(lines, 12)


def _jumps(plan: Plan) -> str:
    lines = [
        f"lif_jumps(pop[{p}], state[{p}], tape[{p}], step, feedback[{p}], regulariser[{p}]);"
        for p in plan.spiking
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
