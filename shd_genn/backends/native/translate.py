"""What is derived of a neuron → C++, by SymPy: the work behind `neuron_code`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy

from shd_genn.backends.native.expressions import (
    ConstantTable,
    Expr,
    share_exponentials,
    statements,
)
from shd_genn.backends.native.neuron_code import FIXED, NeuronCode
from shd_genn.network.neurons.derived import Derived
from shd_genn.network.neurons.equations import CURRENT
from shd_genn.network.neurons.expressions import Program, tree_of
from shd_genn.network.neurons.symbolic import Printer, expression_of, symbol


def translate(derived: Derived, learned: tuple[str, ...], substeps: int) -> NeuronCode:
    """Write the functions of a neuron; arguments as in `neuron_code`."""
    return _Translation(derived, learned).code(substeps)


def _given(name: str) -> Expr:
    """The symbol of a parameter or coefficient; no symbol of C++ is the same, whatever its name."""
    return sympy.Symbol(name)


def _is_costly(expressions: Sequence[Expr]) -> bool:
    """Whether a step has functions or divisions, which take as long as many multiplications."""
    return any(
        e.has(sympy.Function) or any(p.exp.is_negative for p in e.atoms(sympy.Pow))
        for e in expressions
    )


class _Translation:
    """A neuron's programs in C++'s names: states ``s0`` …, their adjoint ``m0`` …."""

    def __init__(self, derived: Derived, learned: tuple[str, ...]) -> None:
        self.derived, self.learned = derived, learned
        n = len(derived.states)
        self.s, self.m = ([symbol(f"{x}{i}") for i in range(n)] for x in ("s", "m"))
        self.current = symbol("current")
        self.names = {**dict(zip(derived.states, self.s, strict=True)), CURRENT: self.current}
        self.feedback = symbol("feedback")
        self.table = ConstantTable(frozenset([*self.s, *self.m, self.current, self.feedback]))
        for name in FIXED:
            self.table.found[_given(name)] = symbol(f"c{len(self.table.found)}")
        self.step = self.read(derived.step)
        self.matrix = self.read(derived.jacobian) | self.read(derived.by_current)
        by_parameter = self.read(derived.by_parameter)
        self.matrix |= {
            name: e for name, e in by_parameter.items() if name.rpartition("__")[2] in learned
        }

    def read(self, program: Program) -> dict[str, Expr]:
        """The outputs of a program, without temporaries; names of C++ in place of its own."""
        names = {name: self.names.get(name, _given(name)) for name in program.inputs}
        for name, text in program.temporaries:
            names[name] = expression_of(tree_of(text), names)
        return {name: expression_of(tree_of(text), names) for name, text in program.outputs}

    def code(self, substeps: int) -> NeuronCode:
        """All functions."""
        d = self.derived
        bodies = {"step": self.assigned(self.step), **self.adjoint()}
        if d.spikes:
            bodies |= {
                "condition": self.hoisted({"return": self.read(d.spike)["g"]}),
                "reset": self.assigned(self.read(d.reset)),
                **self.jump(),
            }
        initial = self.read(d.initial)
        start = {f"s[{i}]": initial.get(q, 0) for i, q in enumerate(d.states)}
        bodies["initial"] = self.hoisted(start)
        bodies["learn_initial"] = self.by_parameter(
            {
                p: self.weighed({q: initial.get(f"{q}__{p}", 0) for q in d.states})
                for p in self.learned
            }
        )
        inflow = self.read(d.input)
        lambda_v = -self.weighed({q: inflow.get(f"b_{q}", 0) for q in d.states})
        rates = self.read(d.rates)
        released = self.weighed({q: rates[q] for q in d.held})
        bodies["released"] = self.hoisted({"return": released})
        bodies["lambda_v"] = self.hoisted({"return": lambda_v})
        if d.spikes:  # last, so that they change no place of a constant
            bodies |= self.by_steps()
        constants = self.constants()
        names = [str(c) for c in self.table.found.values()]
        copied = {str(s): f"s[{i}]" for i, s in enumerate(self.s)}
        copied |= {str(m): f"m[{i}]" for i, m in enumerate(self.m)}
        lines = {name: statements(outputs, names, copied) for name, outputs in bodies.items()}
        return NeuronCode(
            states=d.states,
            learned=self.learned,
            constants=constants,
            bodies=lines,
            varying=len(self.entries),
            exact=d.exact,
            crossing=d.crossing,
            random=d.random,
            substeps=substeps,
            keeps_states=d.state_dependent or bool(self.learned or d.held),
            held=tuple(q in d.held for q in d.states),
        )

    def assigned(self, values: Mapping[str, Expr]) -> dict[str, Expr]:
        """State variables that get a new value."""
        places = {q: f"s[{i}]" for i, q in enumerate(self.derived.states)}
        return self.hoisted({places[q]: e for q, e in values.items() if q in places})

    def hoisted(self, values: Mapping[str, Expr]) -> dict[str, Expr]:
        """Expressions of what varies and of constants."""
        shared = share_exponentials({name: sympy.sympify(e) for name, e in values.items()})
        return {name: self.table.hoist(e) for name, e in shared.items()}

    def adjoint(self) -> dict[str, dict[str, Expr]]:
        """The step together with its derivatives, and the step back."""
        d = self.derived
        places = {q: f"s[{i}]" for i, q in enumerate(d.states)}
        after = {places[q]: e for q, e in self.step.items()}
        if d.exact or _is_costly([*self.step.values(), *self.matrix.values()]):
            # derivatives are computed with the step, because they share what takes long
            varying = {n: e for n, e in self.matrix.items() if e.free_symbols & self.table.varying}
            self.entries = list(varying.values())
            entry = {name: symbol(f"j[{i}]") for i, name in enumerate(varying)}
            entry = {**self.matrix, **entry}
        else:  # each is computed where it is multiplied by the adjoint, from the state
            self.entries = list(self.s) if d.state_dependent or self.learned else []
            at = {s: symbol(f"j[{i}]") for i, s in enumerate(self.entries)}
            entry = {name: e.xreplace(at) for name, e in self.matrix.items()}
        self.table.varying |= {symbol(f"j[{i}]") for i in range(len(self.entries))}
        linearise = {f"j[{i}]": e for i, e in enumerate(self.entries)} | after
        back = {
            f"m[{i}]": self.weighed({q: entry.get(f"J_{q}_{r}", 0) for q in d.states})
            for i, r in enumerate(d.states)
        }
        learn = {
            p: self.weighed({q: entry.get(f"D_{q}__{p}", 0) for q in d.states})
            for p in self.learned
        }
        learn = {f"by_parameter[{i}] +": learn[p] for i, p in enumerate(self.learned) if learn[p]}
        into_current = self.weighed({q: entry.get(f"B_{q}", 0) for q in d.states})
        if not d.exact:
            back |= {"by_current +": into_current, **learn}
            into_current, learn = sympy.Integer(0), {}
        # divided by tau_syn, because C++ keeps lambda_I = -nu / tau_syn
        decayed = {
            q: _given(f"k_{q}") / _given("tau_syn") for q in d.states if f"k_{q}" in d.coefficients
        }
        return {
            "linearise": self.hoisted(linearise),
            "back": self.hoisted(back),
            "into_current": self.hoisted({"return": into_current}),
            "into_decaying": self.hoisted({"return": self.weighed(decayed)}),
            "learn": self.hoisted(learn),
        }

    def weighed(self, of_state: Mapping[str, Expr]) -> Expr:
        """The sum over states of their adjoint, times something."""
        states = zip(self.derived.states, self.m, strict=True)
        return sympy.sympify(sum(m * of_state.get(q, 0) for q, m in states))

    def by_parameter(self, found: Mapping[str, Expr]) -> dict[str, Expr]:
        """What is added to the gradients of parameters."""
        return self.hoisted(
            {
                f"by_parameter[{i}] +": found[p]
                for i, p in enumerate(self.learned)
                if found.get(p, 0) != 0
            }
        )

    def jump(self) -> dict[str, dict[str, Expr]]:
        """Back over a spike; see `derived`."""
        d, jump, inflow = self.derived, self.read(self.derived.jump), self.read(self.derived.input)
        rates = self.read(d.rates)
        after = {q: jump.get(f"after_{q}", 0) for q in d.states}
        for q in d.held:  # the slope after the spike is that of its release, which is fed back
            after[q] = -sum(jump.get(f"R_{q}_{r}", 0) * rates[r] for r in d.states)
        moved = self.weighed(after) - self.feedback
        along = sum(jump.get(f"g_{q}", 0) * inflow.get(f"b_{q}", 0) for q in d.states)
        by_condition = symbol("by_condition")
        self.table.varying |= {by_condition}
        before = {
            f"m[{i}]": self.weighed({q: jump.get(f"R_{q}_{r}", 0) for q in d.states})
            + jump.get(f"g_{r}", 0) * by_condition
            for i, r in enumerate(d.states)
        }
        learned = {
            p: self.weighed({q: jump.get(f"r_{q}__{p}", 0) for q in d.states})
            + by_condition * jump.get(f"g__{p}", 0)
            for p in self.learned
        }
        return {
            "at_spike": self.hoisted(
                {"slope": jump["slope"], "moved": moved, "along": sympy.sympify(along)}
            ),
            "jump": {**self.hoisted(before), **self.by_parameter(learned)},
        }

    def by_steps(self) -> dict[str, dict[str, Expr]]:
        """Back over a spike of a step, for methods that differentiate steps; see derived_steps."""
        d, jump, inflow = self.derived, self.read(self.derived.jump), self.read(self.derived.input)
        condition, reset = self.read(d.by_state), self.read(d.reset)
        along = sum(condition.get(f"g_{q}", 0) * inflow.get(f"b_{q}", 0) for q in d.states)
        moved = {q: reset[q] - self.names[q] for q in reset}
        undriven = {q: e for q, e in moved.items() if q not in d.receives}
        if along == 0:  # no variable of the condition that the current drives
            along = 1
        threshold = _given("v_thresh") if "v_thresh" in d.parameters else sympy.Integer(1)
        by_condition = symbol("by_condition")
        return {
            "along": self.hoisted({"return": sympy.sympify(along)}),
            "moved_by_spike": self.hoisted({"return": self.weighed(moved)}),
            "moved_undriven": self.hoisted({"return": self.weighed(undriven)}),
            "threshold": self.hoisted({"return": threshold}),
            "reset_back": {
                **self.hoisted(
                    {
                        f"m[{i}]": self.weighed({q: jump.get(f"R_{q}_{r}", 0) for q in d.states})
                        for i, r in enumerate(d.states)
                    }
                ),
                **self.by_parameter(
                    {
                        p: self.weighed({q: jump.get(f"r_{q}__{p}", 0) for q in d.states})
                        for p in self.learned
                    }
                ),
            },
            "condition_back": {
                **self.hoisted(
                    {
                        f"m[{i}]": m + condition.get(f"g_{q}", 0) * by_condition
                        for i, (q, m) in enumerate(zip(d.states, self.m, strict=True))
                    }
                ),
                **self.by_parameter(
                    {p: by_condition * condition.get(f"g__{p}", 0) for p in self.learned}
                ),
            },
        }

    def constants(self) -> Program:
        """The program of all constants that were found."""
        text = Printer().doprint
        inputs = sorted({s.name for e in self.table.found for s in e.free_symbols})
        outputs = ((str(name), text(e)) for e, name in self.table.found.items())
        return Program(tuple(inputs), (), tuple(outputs))
