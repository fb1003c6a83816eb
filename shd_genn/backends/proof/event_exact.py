"""A small network of any neuron, solved event by event, with its adjoint solved so, too.

This is the limit dt → 0 of what backends compute in steps: between events the equations are solved
by SciPy to ten digits, spikes are where the spike condition crosses 0, and they act at once. The
gradient is that of `shd_genn.network.neurons.derived`, with derivatives and jumps as derived;
central finite differences of `loss`, which uses the equations only, prove it.

A network is input → hidden (recurrent) → output. The output is a leaky integrator, read by the
average of exp(-t/T) V, and learned by the cross-entropy of a softmax.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import OdeSolution, solve_ivp

from shd_genn.network.neurons.derived import Derived
from shd_genn.network.neurons.expressions import Program

Array = NDArray[np.float64]
Values = dict[str, Array]

TOLERANCE = 1e-10
"""Of the solution between two events, relative to the numbers."""


LONGEST_STEP_MS = 0.25
"""Of the solution: a condition that is true for longer than this is noticed at a step's end."""


@dataclass(frozen=True)
class EventNetwork:
    """The network, with its parameters.

    Attributes:
        derived: The neuron.
        parameters: Parameter, or ``tau_syn`` → value of each hidden neuron.
        weights: ``input_hidden``, ``hidden_hidden``, ``hidden_output`` → (source, target).
        trial_ms: Length of a trial.
        tau_mem_out, tau_syn_out: Time constants of the output in ms.
        temperature: Of the softmax.
        refractory_ms: How long held variables are held after a spike.
    """

    derived: Derived
    parameters: Values
    weights: Values
    trial_ms: float
    tau_mem_out: float = 20.0
    tau_syn_out: float = 5.0
    temperature: float = 1.0
    refractory_ms: float = 0.0

    @property
    def n_hidden(self) -> int:
        """The number of hidden neurons."""
        return len(self.weights["hidden_hidden"])

    @property
    def n_outputs(self) -> int:
        """The number of outputs."""
        return int(self.weights["hidden_output"].shape[1])

    def evaluate(self, program: Program, values: Values) -> Values:
        """All outputs of a program for all hidden neurons."""
        found = program.evaluate({**self.parameters, **values})
        for name, value in found.items():
            if np.ndim(value) == 0:
                found[name] = np.full(self.n_hidden, float(value))
        return {name: np.asarray(value, np.float64) for name, value in found.items()}

    def split(self, y: Array) -> tuple[Values, list[Array]]:
        """From one array: the states and I of hidden neurons; V, I and readout of outputs."""
        n, k, names = self.n_hidden, self.n_outputs, (*self.derived.states, "I")
        states = {name: y[i * n : (i + 1) * n] for i, name in enumerate(names)}
        rest = y[len(names) * n :]
        return states, [rest[i * k : (i + 1) * k] for i in range(3)]

    def joined(self, states: Values, outputs: list[Array]) -> Array:
        """The reverse of `split`."""
        return np.concatenate([*states.values(), *outputs])


@dataclass(frozen=True)
class Event:
    """Something that happens at a time.

    Attributes:
        time: In ms.
        kind: ``input`` (a spike of input neuron ``index``), ``spike`` (of a hidden neuron),
            ``release`` (of what was held after one), ``armed`` (it may spike again).
        index: The neuron.
        before: The states and I of all hidden neurons just before.
    """

    time: float
    kind: str
    index: int
    before: Values


@dataclass(frozen=True)
class Segment:
    """The time between two events: its solution, and which neurons are held."""

    start: float
    end: float
    solution: OdeSolution
    held: NDArray[np.bool_]


@dataclass
class Trajectory:
    """What happened: segments, each followed by the event of the same index; and the readout."""

    segments: list[Segment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    readout: Array = field(default_factory=lambda: np.zeros(0))

    def spikes(self) -> list[tuple[float, int]]:
        """(time, neuron) of all hidden spikes."""
        return [(e.time, e.index) for e in self.events if e.kind == "spike"]


class _Simulation:
    def __init__(self, net: EventNetwork, inputs: list[tuple[float, int]]) -> None:
        self.net, self.derived = net, net.derived
        self.held = np.zeros(net.n_hidden, bool)
        self.armed = np.ones(net.n_hidden, bool)
        self.pending = sorted((t, "input", i) for t, i in inputs if t < net.trial_ms)
        self.pending.append((net.trial_ms, "end", 0))
        initial = net.evaluate(self.derived.initial, {})
        zeros = np.zeros(net.n_hidden)
        states = {q: initial.get(q, zeros) for q in (*self.derived.states, "I")}
        self.y = net.joined(states, [np.zeros(net.n_outputs)] * 3)
        self.found = Trajectory()

    def run(self) -> Trajectory:
        now = 0.0
        while self.pending:
            until, kind, index = self.pending[0]
            solved: Any = solve_ivp(  # type: ignore[call-overload]
                self._rates,
                (now, until),
                self.y,
                method="DOP853",
                rtol=TOLERANCE,
                atol=TOLERANCE / 100,
                max_step=LONGEST_STEP_MS,
                events=[self._condition(j) for j in range(self.net.n_hidden)],
                dense_output=True,
            )
            crossed = [j for j, times in enumerate(solved.t_events) if len(times)]
            if crossed:
                index = crossed[0]
                until, self.y = solved.t_events[index][0], solved.y_events[index][0].copy()
                kind = "spike" if self.armed[index] else "armed"
            else:
                self.pending.pop(0)
                self.y = solved.y[:, -1].copy()
            self.found.segments.append(Segment(now, until, solved.sol, self.held.copy()))
            if kind != "end":
                self._event(until, kind, index)
            now = until
        self.found.readout = self.net.split(self.y)[1][2]
        return self.found

    def _rates(self, t: float, y: Array) -> Array:
        net = self.net
        states, (v, current, _) = net.split(y)
        f = net.evaluate(self.derived.rates, states)
        moved = {q: f[q] for q in self.derived.states}
        for q in self.derived.held:
            moved[q] = np.where(self.held, 0, f[q])
        moved["I"] = -states["I"] / net.parameters["tau_syn"]
        read = np.exp(-t / net.trial_ms) * v / net.trial_ms
        return net.joined(
            moved, [(current - v) / net.tau_mem_out, -current / net.tau_syn_out, read]
        )

    def _condition(self, j: int) -> object:
        def condition(t: float, y: Array) -> float:
            if self.held[j]:
                return -1.0
            g = self.net.evaluate(self.derived.spike, self.net.split(y)[0])["g"]
            return float(g[j])

        condition.terminal = True  # type: ignore[attr-defined]  # SciPy's way
        condition.direction = 1.0 if self.armed[j] else -1.0  # type: ignore[attr-defined]
        return condition

    def _event(self, time: float, kind: str, index: int) -> None:
        net, derived = self.net, self.derived
        states, outputs = net.split(self.y)
        before = {name: value.copy() for name, value in states.items()}
        self.found.events.append(Event(time, kind, index, before))
        if kind == "input":
            states["I"][:] += net.weights["input_hidden"][index]
        elif kind == "release":
            self.held[index] = False
        elif kind == "armed":
            self.armed[index] = True
        else:
            for q, value in net.evaluate(derived.reset, before).items():
                states[q][index] = value[index]
            states["I"][:] += net.weights["hidden_hidden"][index]
            outputs[1][:] += net.weights["hidden_output"][index]
            self.armed[index] = not derived.crossing
            if net.refractory_ms:
                self.held[index] = True
                release = (time + net.refractory_ms, "release", index)
                if release[0] < net.trial_ms:
                    self.pending = sorted([*self.pending, release])


def simulate(net: EventNetwork, inputs: list[tuple[float, int]]) -> Trajectory:
    """Run a network on input spikes, (time in ms, neuron)."""
    return _Simulation(net, inputs).run()


def loss_of(net: EventNetwork, trajectory: Trajectory, label: int) -> float:
    """The loss of a trial."""
    scaled = trajectory.readout / net.temperature
    return float(np.log(np.exp(scaled - scaled.max()).sum()) + scaled.max() - scaled[label])


def gradient(net: EventNetwork, trajectory: Trajectory, label: int) -> Values:
    """dL/dw of all weights, and dL/dp of ``tau_syn`` and all parameters that can be learned."""
    return _Adjoint(net, trajectory, label).run()


class _Adjoint:
    """μ and ν of hidden neurons, those of outputs, and dL/dp, solved backwards in time."""

    def __init__(self, net: EventNetwork, trajectory: Trajectory, label: int) -> None:
        self.net, self.derived, self.found = net, net.derived, trajectory
        scaled = np.exp((trajectory.readout - trajectory.readout.max()) / net.temperature)
        self.drive = (scaled / scaled.sum() - (np.arange(len(scaled)) == label)) / net.temperature
        self.kinds = (*self.derived.learnable, "tau_syn")
        n = net.n_hidden
        self.mu: Values = {q: np.zeros(n) for q in (*self.derived.states, "I")}
        self.out_v, self.out_i = np.zeros(net.n_outputs), np.zeros(net.n_outputs)
        self.by: Values = {kind: np.zeros(n) for kind in self.kinds}
        self.by_release = np.zeros(n)
        self.b = {
            name.removeprefix("b_"): value
            for name, value in net.evaluate(self.derived.input, {}).items()
        }
        self.weights = {name: np.zeros_like(w) for name, w in net.weights.items()}

    def run(self) -> Values:
        events = [*self.found.events, None]
        for segment, event in zip(reversed(self.found.segments), reversed(events), strict=True):
            if event is not None:
                self._cross(event)
            self._back(segment)
        for name, value in self.net.evaluate(self.derived.initial, {}).items():
            q, _, kind = name.rpartition("__")
            if q and kind in self.by:
                self.by[kind] = self.by[kind] + value * self.mu[q]
        return self.weights | self.by

    def _joined(self) -> Array:
        return np.concatenate([*self.mu.values(), self.out_v, self.out_i, *self.by.values()])

    def _split(self, y: Array) -> tuple[Values, Array, Array, Values]:
        n, k = self.net.n_hidden, self.net.n_outputs
        mu = {q: y[i * n : (i + 1) * n] for i, q in enumerate(self.mu)}
        rest = y[len(mu) * n :]
        by = {kind: rest[2 * k + i * n :][:n] for i, kind in enumerate(self.by)}
        return mu, rest[:k], rest[k : 2 * k], by

    def _back(self, segment: Segment) -> None:
        if segment.end <= segment.start:
            return
        net, derived = self.net, self.derived
        tau_syn = net.parameters["tau_syn"]

        def rates(t: float, y: Array) -> Array:
            states, _ = net.split(segment.solution(t))
            mu, out_v, out_i, _ = self._split(y)
            free = {
                q: np.where(segment.held, 0, mu[q]) if q in derived.held else mu[q]
                for q in derived.states
            }
            partials = net.evaluate(derived.partials, states)
            moved = {q: np.zeros(net.n_hidden) for q in mu}
            by = {kind: np.zeros(net.n_hidden) for kind in self.by}
            for q in derived.states:
                for r in derived.states:
                    if f"A_{q}_{r}" in partials:
                        moved[r] = moved[r] - partials[f"A_{q}_{r}"] * free[q]
                for kind in derived.learnable:
                    if f"f_{q}__{kind}" in partials:
                        by[kind] = by[kind] - partials[f"f_{q}__{kind}"] * free[q]
                if q in self.b:
                    moved["I"] = moved["I"] - self.b[q] * free[q]
            moved["I"] = moved["I"] + mu["I"] / tau_syn
            by["tau_syn"] = -mu["I"] * states["I"] / tau_syn**2
            read = np.exp(-t / net.trial_ms) / net.trial_ms * self.drive
            return np.concatenate(
                [
                    *moved.values(),
                    out_v / net.tau_mem_out - read,
                    out_i / net.tau_syn_out - out_v / net.tau_mem_out,
                    *by.values(),
                ]
            )

        start = self._joined()
        solved = solve_ivp(
            rates,
            (segment.end, segment.start),
            start,
            method="DOP853",
            rtol=1e-8,
            atol=1e-10 * max(float(np.abs(start).max()), 1e-3),
        )
        mu, out_v, out_i, by = self._split(solved.y[:, -1])
        self.mu = {q: value.copy() for q, value in mu.items()}
        self.by = {kind: value.copy() for kind, value in by.items()}
        self.out_v, self.out_i = out_v.copy(), out_i.copy()

    def _cross(self, event: Event) -> None:
        net, j = self.net, event.index
        if event.kind == "input":
            self.weights["input_hidden"][j] += self.mu["I"]
        elif event.kind == "release":
            rates = net.evaluate(self.derived.rates, event.before)
            self.by_release[j] = sum(rates[q][j] * self.mu[q][j] for q in self.derived.held)
        elif event.kind == "spike":
            self._jump(event)

    def _jump(self, event: Event) -> None:
        net, derived, j = self.net, self.derived, event.index
        w_hidden, w_output = net.weights["hidden_hidden"][j], net.weights["hidden_output"][j]
        self.weights["hidden_hidden"][j] += self.mu["I"]
        self.weights["hidden_output"][j] += self.out_i
        arriving = sum(self.b[q] * self.mu[q] for q in self.b)
        held_now = self._held_at(event.time)
        for q in derived.held:
            arriving = arriving - np.where(held_now, self.b.get(q, 0) * self.mu[q], 0)
        feedback = w_hidden @ (arriving - self.mu["I"] / net.parameters["tau_syn"])
        feedback += w_output @ (self.out_v / net.tau_mem_out - self.out_i / net.tau_syn_out)
        found = {name: float(v[j]) for name, v in net.evaluate(derived.jump, event.before).items()}
        rates = net.evaluate(derived.rates, event.before)
        after = {q: float(self.mu[q][j]) for q in derived.states}
        total = float(feedback) + self.by_release[j]
        self.by_release[j] = 0
        for q in derived.states:
            if q in derived.held:
                total -= after[q] * sum(
                    found.get(f"R_{q}_{s}", 0.0) * float(rates[s][j]) for s in derived.states
                )
            else:
                total += found.get(f"after_{q}", 0.0) * after[q]
        raised = total / found["slope"]
        for r in derived.states:
            carried = sum(found.get(f"R_{q}_{r}", 0.0) * after[q] for q in derived.states)
            self.mu[r][j] = carried + found.get(f"g_{r}", 0.0) * raised
        for kind in derived.learnable:
            self.by[kind][j] += found.get(f"g__{kind}", 0.0) * raised
            for q in derived.states:
                self.by[kind][j] += found.get(f"r_{q}__{kind}", 0.0) * after[q]

    def _held_at(self, time: float) -> NDArray[np.bool_]:
        """Who is held just after a time."""
        return next(s.held for s in self.found.segments if s.start >= time)
