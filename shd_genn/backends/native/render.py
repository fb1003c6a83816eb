"""Plan → one readable, self-contained C++ source."""

from __future__ import annotations

from pathlib import Path
from string import Template

from shd_genn.backends.native.lower import Plan
from shd_genn.network import Kind
from shd_genn.network.readouts import Form
from shd_genn.support.builder import assemble

KERNELS = Path(__file__).parent / "kernels"

# What each form of readout does with the output after a step, forward, and what it then drives the
# output's adjoint with; where all steps have their fixed weight, drive differs by nothing else, and
# first spikes are no drive but jumps.
READ: dict[Form, str] = {
    "weighted": "read_weighted(pop[OUTPUT], state[OUTPUT], read_weight[step], trial.readout);",
    "each_step": "read_weighted(pop[OUTPUT], state[OUTPUT], read_weight[step], trial.readout);",
    "max": "read_max(pop[OUTPUT], state[OUTPUT], step, trial.readout);",
    "first_spike": "read_first_spikes(tape[OUTPUT], step, dt_ms, trial.readout);",
}
# What it keeps of an output whose time constants are learned.
KEEP: dict[Form, str] = {
    "weighted": "keep_sensitivity<true>({neurons}, state[OUTPUT], 0, drive_weight[step], "
    "trial.readout);",
    "each_step": "keep_sensitivity<false>({neurons}, state[OUTPUT], step, 1, trial.readout);",
    "max": "keep_sensitivity<false>({neurons}, state[OUTPUT], step, 1, trial.readout);",
    "first_spike": "keep_sensitivity<false>({neurons}, state[OUTPUT], 0, 1, trial.readout);",
}
DRIVE: dict[Form, str] = {
    "each_step": "drive[step * pop[OUTPUT].size + j] * drive_weight[step]",
    "max": "step == trial.readout.step[j] ? drive[j] * drive_weight[step] : 0",
}


NEURON_KINDS: tuple[Kind, ...] = ("tau_mem", "tau_syn", "v_thresh")
"""What can be learned of neurons, in the order of `Own` and `OwnGradient` of population.h."""


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
        output_is_linear=str(_output_is_linear(plan)).lower(),
        read_spikes=_of_linear_output(
            plan,
            "read_spikes(linear, con[{i}], tape[{s}], pop[{s}], pop[OUTPUT],",
            "            trial.readout.value.data());",
        ),
        weigh_drive=_of_linear_output(
            plan,
            "weigh_drive(con[{i}], pop[{s}], pop[OUTPUT], output_drive.get(), weighed_drive[{s}]);",
        ),
        sensitivity_rows=_sensitivity_rows(plan),
        drives="n_steps * pop[OUTPUT].size" if plan.form == "each_step" else "pop[OUTPUT].size",
        n_learned=len(plan.learned),
        n_synaptic=sum(len(p.shape) == 2 for p in plan.learned),
        prepare=_prepare(plan),
        send_inputs=_send_inputs(plan),
        forward=_forward(plan),
        start_drive=_start_drive(plan),
        feedback=_feedback(plan),
        adjoint=_adjoint(plan),
        jumps=_jumps(plan),
        remember=_remember(plan),
        late_targets=", ".join(map(str, _late_targets(plan))),
        gradients=_gradients(plan),
        restart_turns=_restart_turns(plan),
    )
    return assemble(source, KERNELS)


def _output_is_linear(plan: Plan) -> bool:
    """Whether outputs need take no steps; see linear.h."""
    delayed = any(plan.connections[i].delayed for i in plan.inputs_of(plan.output))
    return plan.form == "weighted" and plan.populations[plan.output].alike and not delayed


def _of_linear_output(plan: Plan, *lines: str) -> str:
    """Lines for every connection i, of source s, to outputs that take no steps."""
    if not _output_is_linear(plan):
        return ""
    return _block(
        [
            line.format(i=i, s=plan.connections[i].source)
            for i in plan.inputs_of(plan.output)
            for line in lines
        ],
        8,
    )


def _block(lines: list[str], indent: int) -> str:
    return "\n".join(" " * indent + line for line in lines)


def _forward(plan: Plan) -> str:
    lines = []
    for p in dict.fromkeys((*plan.spiking, plan.output)):
        lines.append(f"{{  // {plan.populations[p].name}")
        if p in plan.spiking:
            # before the arrivals, which point into the tape if the population feeds itself
            learns = str(bool(plan.populations[p].learned)).lower()
            lines.append(f"    tape[{p}].reserve(pop[{p}].padded + 2, {learns});")
        lines.append(f"    const Arrivals in[] = {{{_arrivals(plan, p)}}};")
        if p in plan.spiking:
            lines.append(f"    lif_step({_neurons(plan, p)}, state[{p}], in, step, tape[{p}]);")
        elif _output_is_linear(plan):
            lines.append(f"    if (voltages) li_step({_neurons(plan, p)}, state[{p}], in);")
        else:
            lines.append(f"    li_step({_neurons(plan, p)}, state[{p}], in);")
        if p == plan.output and not _output_is_linear(plan):
            lines.append(f"    {READ[plan.form]}")
            if plan.populations[p].learned:
                lines.append("    " + KEEP[plan.form].format(neurons=_neurons(plan, p)))
        lines += [
            f"    under_way[{i}].clear_row(step);"
            for i in plan.inputs_of(p)
            if plan.connections[i].delayed and plan.connections[i].source != plan.input
        ]
        lines += [
            f"    send(con[{i}], delays[{i}], tape[{p}], step, under_way[{i}]);"
            for i in plan.outputs_of(p)
            if plan.connections[i].delayed
        ]
        lines.append("}")
    return _block(lines, 12)


def _prepare(plan: Plan) -> str:
    lines = [
        f"delays[{i}].prepare(con[{i}], pop[{c.source}], pop[{c.target}], {c.source} == INPUT);"
        for i, c in enumerate(plan.connections)
        if c.delayed
    ]
    return _block(lines, 8)


def _send_inputs(plan: Plan) -> str:
    """What is under way at the start: all spikes of the input, and none of the others."""
    lines = []
    for i, c in enumerate(plan.connections):
        if c.delayed and c.source == plan.input:
            lines += [
                f"under_way[{i}].make(n_steps, pop[{c.target}]);",
                f"send_inputs(con[{i}], delays[{i}], tape[INPUT], pop[INPUT], pop[{c.target}],",
                f"            n_steps, scratches[thread], under_way[{i}]);",
            ]
        elif c.delayed:
            lines += [
                f"under_way[{i}].make(delays[{i}].longest + 2, pop[{c.target}]);",
                f"under_way[{i}].clear_rows();",
            ]
    return _block(lines, 8)


def _late_targets(plan: Plan) -> list[int]:
    """Populations that connections with delays end in."""
    return sorted({c.target for c in plan.connections if c.delayed})


def _remember(plan: Plan) -> str:
    lines = [
        f"remember(pop[{p}], state[{p}], step, differences[{p}]);" for p in _late_targets(plan)
    ]
    return _block(lines, 12)


def _neurons(plan: Plan, population: int) -> str:
    """How the kernels get at a population's constants."""
    p = plan.populations[population]
    if p.alike:
        return f"Alike{{pop[{population}]}}"
    flags = ", ".join(str(kind in p.learned).lower() for kind in NEURON_KINDS)
    return f"Own<{flags}>{{pop[{population}]}}"


def _own_gradient(plan: Plan, population: int) -> str:
    places = [plan.populations[population].learned.get(kind) for kind in NEURON_KINDS]
    pointers = ["nullptr" if i is None else f"gradient[{i}]" for i in places]
    return f"OwnGradient{{{', '.join(pointers)}}}"


def _sensitivity_rows(plan: Plan) -> str:
    if not plan.populations[plan.output].learned:
        return "0"
    return "1" if plan.form in ("weighted", "first_spike") else "n_steps"


def _li_learn(plan: Plan, row: str) -> list[str]:
    """What is learned of an output that does not spike."""
    return [
        f"li_learn({_neurons(plan, plan.output)}, output_drive.get(), {row}, dt_ms, trial.readout,",
        f"         {_own_gradient(plan, plan.output)});",
    ]


def _start_drive(plan: Plan) -> str:
    """The drive of an output whose steps have fixed weights: the same from the start."""
    if plan.form != "weighted":
        return ""
    lines = ["std::copy_n(drive, pop[OUTPUT].size, output_drive.get());"]
    if plan.populations[plan.output].learned:
        lines += _li_learn(plan, "0")
    return _block(lines, 8)


def _arrivals(plan: Plan, population: int) -> str:
    return ", ".join(
        f"late_arrivals(under_way[{c}], step)"
        if plan.connections[c].delayed
        else f"arrivals(con[{c}], tape[{plan.connections[c].source}], step)"
        for c in plan.inputs_of(population)
    )


def _feedback(plan: Plan) -> str:
    lines = []
    for p in plan.spiking:
        lines += [
            f"feedback[{p}].clear();  // {plan.populations[p].name}",
            f"for (int k = tape[{p}].begin[step]; k < tape[{p}].begin[step + 1]; k++) {{",
            f"    const int neuron = tape[{p}].neuron[k];",
            "    Vector caused[VECTORS] = {};",
        ]
        kick = ""
        if p == plan.output:
            kick = " + (trial.readout.step[neuron] == step ? drive[neuron] : 0)"
        for c in plan.outputs_of(p):
            t = plan.connections[c].target
            if t == plan.output and _output_is_linear(plan):
                kick = f" + weighed_drive[{p}][neuron] * linear.difference[step + 1]"
                continue
            lines.append(
                f"    add_late_feedback(con[{c}], delays[{c}], pop[{t}], differences[{t}], neuron, "
                "step, n_steps, caused);"
                if plan.connections[c].delayed
                else f"    add_feedback(con[{c}], pop[{t}], state[{t}], neuron, caused);"
            )
        lines += [f"    feedback[{p}].push_back(sum(caused){kick});", "}"]
    return _block(lines, 12)


def _adjoint(plan: Plan) -> str:
    o, lines = plan.output, []
    if _output_is_linear(plan):
        pass  # known beforehand
    elif o not in plan.spiking:
        weight = "drive_weight[step]"
        if plan.form != "weighted":
            weight = "1"
            lines += [
                "for (int j = 0; j < pop[OUTPUT].size; j++)",
                f"    output_drive.get()[j] = {DRIVE[plan.form]};",
            ]
        lines += [
            f"li_adjoint({_neurons(plan, o)}, state[{o}], output_drive.get(), {weight}, step,",
            f"           n_steps, history[{o}].get());",
        ]
        if plan.populations[o].learned and plan.form != "weighted":
            lines += _li_learn(plan, "step")
    else:  # after the spikes of the last step, which the kick knows nothing of
        lines += [
            "if (step == n_steps - 1)",
            f"    kick_silent({_neurons(plan, o)}, state[{o}], drive, n_steps, trial.readout,",
            f"                {_own_gradient(plan, o)});",
        ]
    lines += [
        f"lif_adjoint({_neurons(plan, p)}, state[{p}], step, n_steps, history[{p}].get());"
        for p in plan.spiking
    ]
    return _block(lines, 12)


def _jumps(plan: Plan) -> str:
    lines = []
    for p in plan.spiking:
        lines += [
            f"lif_jumps({_neurons(plan, p)}, state[{p}], tape[{p}], step, n_steps,",
            f"          history[{p}].get(), feedback[{p}], regulariser[{p}],",
            f"          {_own_gradient(plan, p)});",
        ]
    return _block(lines, 12)


def _restart_turns(plan: Plan) -> str:
    lines = [
        f"turns[{i}].restart(InOrder::places(pop[{c.source}], pop[{c.target}]));"
        for i, c in enumerate(plan.connections)
    ]
    return _block(lines, 8)


def _gradients(plan: Plan) -> str:
    lines = []
    for i, c in enumerate(plan.connections):
        s, t, order = c.source, c.target, f"InOrder{{turns[{i}], i, threads.size}}"
        if t == plan.output and _output_is_linear(plan):
            lines += [
                f"add_linear_gradient(linear, trial.tape[{s}], pop[{s}], pop[OUTPUT], drive,"
                f"  // {c.name}",
                f"                    gradient[{i}], con[{i}].stride, {order});",
            ]
            continue
        if c.delayed:
            learns, place = c.learned_delay is not None, c.learned_delay
            lines += [
                f"add_late_gradient<{str(learns).lower()}>(  // {c.name}",
                f"    {_neurons(plan, t)}, con[{i}], delays[{i}], trial.tape[{s}], pop[{s}],",
                f"    history[{t}], differences[{t}], n_steps, dt_ms, scratches[thread],",
                f"    gradient[{i}], {f'gradient[{place}]' if learns else 'nullptr'}, {order});",
            ]
            continue
        lines += [
            f"add_gradient({_neurons(plan, t)}, trial.tape[{s}], pop[{s}],  // {c.name}",
            f"             history[{t}].get(), n_steps, gradient[{i}], con[{i}].stride, {order});",
        ]
    return _block(lines, 8)
