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
from shd_genn.backends.native.tables import fit, gates_of
from shd_genn.network.neurons.derived import Derived
from shd_genn.network.neurons.equations import CURRENT
from shd_genn.network.neurons.expressions import Program, tree_of
from shd_genn.network.neurons.symbolic import Printer, expression_of, symbol


def translate(
    derived: Derived, learned: tuple[str, ...], substeps: int, substep_ms: float | None
) -> NeuronCode:
    """Write the functions of a neuron; arguments as in `neuron_code`."""
    return _Translation(derived, learned, substep_ms).code(substeps)


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

    def __init__(
        self, derived: Derived, learned: tuple[str, ...], substep_ms: float | None
    ) -> None:
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
        self.kept: dict[str, int] = {}
        self.gates = self.find_gates(substep_ms) if derived.table and substep_ms else {}

    def find_gates(self, substep_ms: float) -> dict[Expr, tuple[Expr, Expr]]:
        """The gates that tables may have; their rates depend on the voltage and on dt."""
        assert self.derived.table
        dt = _given("dt")
        length = {dt: sympy.Float(substep_ms, 17)}
        numbers = length | {
            _given(name): e.xreplace(length)
            for name, e in self.read(self.derived.constants).items()
            if e.free_symbols == {dt}
        }
        step = {self.names[q]: e.xreplace(numbers) for q, e in self.step.items()}
        return gates_of(step, self.names[self.derived.table[0]])

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
        tables = None
        if d.table and self.gates:
            tables = fit(self.gates, self.s, (str(self.names[d.table[0]]), *d.table[1:]))
            bodies |= self.by_tables()
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
        copied |= {
            f"{x}_{i}": f"gate_{i}.{x}"
            for i in range(len(self.s))
            for x in ("change", "leaves", "slope")
        }
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
            tables=tables,
        )

    def by_tables(self) -> dict[str, dict[str, Expr]]:
        """The step, and its derivatives with it, where gates are read from tables."""
        assert self.derived.table
        voltage = self.derived.table[0]
        step, matrix = dict(self.step), dict(self.matrix)
        for i, (q, x) in enumerate(zip(self.derived.states, self.s, strict=True)):
            if x in self.gates:
                change, leaves, slope = (symbol(f"{n}_{i}") for n in ("change", "leaves", "slope"))
                self.table.varying |= {change, leaves, slope}
                step[q], matrix[f"J_{q}_{q}"], matrix[f"J_{q}_{voltage}"] = (
                    x + change,
                    1 - leaves,
                    slope,
                )
        entries = {
            f"j[{i}]": self.kept_of(name, matrix[name]) for i, name in enumerate(self.entry_names)
        }
        after = {f"s[{i}]": step[q] for i, q in enumerate(self.derived.states)}
        return {
            "step_by_tables": self.hoisted(after),
            "linearise_by_tables": self.hoisted(entries | after),
        }

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
            self.entry_names = list(varying)
            entry = {name: symbol(f"j[{i}]") for i, name in enumerate(varying)}
            for q in d.states if not d.exact else ():
                name = f"J_{q}_{q}"  # what is kept of the diagonal is how far it is from 1
                if name in entry:
                    sign = -1 if self.names[q] in self.gates else 1
                    entry[name] = 1 + sign * entry[name]
                    self.kept[name] = sign
            self.entries = [self.kept_of(name, e) for name, e in varying.items()]
            entry = {**self.matrix, **entry}
        elif d.scheme == "rk2":
            return self.midpoint()
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
        if self.kept:
            back = {place: sympy.expand(e) for place, e in back.items()}
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

    def midpoint(self) -> dict[str, dict[str, Expr]]:
        """The midpoint rule, back through its two halves.

        With f' at the state in the middle, k = dt f'^T m, and then m += k + dt/2 f'^T k with f' at
        the state before the step. States in the middle are kept, so that nothing is computed twice.
        """
        d, dt = self.derived, _given("dt")
        rates, inflow = self.read(d.rates), self.read(d.input)
        partials = {
            name: e
            for name, e in self.read(d.partials).items()
            if name.startswith("A_") or name.rpartition("__")[2] in self.learned
        }
        middle = {s: s + dt / 2 * rates[q] for q, s in zip(d.states, self.s, strict=True)}
        after = {
            f"s[{i}]": s + dt * rates[q].xreplace(middle)
            for i, (q, s) in enumerate(zip(d.states, self.s, strict=True))
        }
        read = set[Expr]().union(*(e.free_symbols for e in partials.values()))
        known = [s for s in self.s if s in read]
        self.entries = [*known, *(middle[s] for s in known)]
        places = [symbol(f"j[{i}]") for i in range(len(self.entries))]
        self.table.varying |= {*places}
        before = dict(zip(known, places, strict=False))
        halfway = dict(zip(known, places[len(known) :], strict=True))

        def back(at: Mapping[Expr, Expr], m: Mapping[str, Expr]) -> dict[str, Expr]:
            """f'^T m, by the state, the current and parameters."""
            columns = {
                r: sum(partials.get(f"A_{q}_{r}", 0) * m[q] for q in d.states) for r in d.states
            }
            columns |= {
                p: sum(partials.get(f"f_{q}__{p}", 0) * m[q] for q in d.states)
                for p in self.learned
            }
            columns[CURRENT] = sum(inflow.get(f"b_{q}", 0) * m[q] for q in d.states)
            return {name: sympy.sympify(e).xreplace(at) for name, e in columns.items()}

        m = dict(zip(d.states, self.m, strict=True))
        second = {name: dt * e for name, e in back(halfway, m).items()}
        first = {name: dt / 2 * e for name, e in back(before, second).items()}
        found = {f"m[{i}]": m[q] + second[q] + first[q] for i, q in enumerate(d.states)}
        found["by_current +"] = second[CURRENT] + first[CURRENT]
        found |= {
            f"by_parameter[{i}] +": second[p] + first[p]
            for i, p in enumerate(self.learned)
            if second[p] + first[p] != 0
        }
        linearise = {f"j[{i}]": e for i, e in enumerate(self.entries)} | after
        none = {"return": sympy.Integer(0)}
        return {
            "step": self.hoisted(after),
            "linearise": self.hoisted(linearise),
            "back": self.hoisted(found),
            "into_current": none,
            "into_decaying": none,
            "learn": {},
        }

    def kept_of(self, name: str, entry: Expr) -> Expr:
        """What is kept of an entry of the linearised step."""
        return self.kept[name] * (entry - 1) if name in self.kept else entry

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
