"""Copies of an event-by-event network, each with slightly other parameters, all at once.

Central differences need the loss of many networks that hardly differ. They have the same events in
the same order, so they are solved side by side as one large system, from event to event, each copy
in its own time. Only the equations, the spike condition and the reset are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import DOP853, OdeSolution
from scipy.optimize import brentq

from shd_genn.backends.proof.event_exact import (
    LONGEST_STEP_MS,
    TOLERANCE,
    Event,
    EventNetwork,
    Trajectory,
)
from shd_genn.network.neurons.expressions import Program

Array = NDArray[np.float64]

MARGIN_MS = 0.02
"""By how much a spike of a copy may come later than that of the network itself."""


def losses_of(
    copies: Sequence[EventNetwork], found: Trajectory, label: int
) -> tuple[Array, NDArray[np.bool_]]:
    """The loss of each copy.

    Args:
        copies: The networks, which differ in the values of weights and parameters only.
        found: The events of the network that they are copies of.
        label: The class of the trial.

    Returns:
        The losses, and whether each copy has the same events in the same order; if it has not, its
        loss means nothing. Both (copies,).
    """
    solved = _Copies(copies)
    for segment, event in zip(found.segments, [*found.events, None], strict=True):
        solved.advance(segment.end - segment.start, event)
    scaled = solved.outputs()[2] / copies[0].temperature
    highest = scaled.max(axis=1)
    losses = np.log(np.exp(scaled - highest[:, None]).sum(axis=1)) + highest - scaled[:, label]
    return losses, solved.same


class _Copies:
    """All copies after the same number of events.

    Attributes:
        same: Which copies have had the events of the network so far, (copies,).
    """

    def __init__(self, copies: Sequence[EventNetwork]) -> None:
        net = copies[0]
        self._net, self._derived, self._size = net, net.derived, len(copies)
        self._n, self._k = net.n_hidden, net.n_outputs
        self._parameters = {p: np.stack([c.parameters[p] for c in copies]) for p in net.parameters}
        self._weights = {name: np.stack([c.weights[name] for c in copies]) for name in net.weights}
        self._names = (*self._derived.states, "I")
        self._y = np.zeros((self._size, len(self._names) * self._n + 3 * self._k))
        for q, value in self._evaluate(self._derived.initial, {}).items():
            if q in self._derived.states:
                self._hidden(self._y)[q][:] = value
        self._now = np.zeros(self._size)
        self._held = np.zeros(self._n, bool)
        self._armed = np.ones(self._n, bool)
        self._releases = np.full((self._size, self._n), np.inf)
        self.same = np.ones(self._size, bool)

    def outputs(self) -> list[Array]:
        """V, I and readout of the outputs, (copies, outputs) each."""
        return self._outputs(self._y)

    def advance(self, duration_ms: float, event: Event | None) -> None:
        """To the next event, and over it.

        Args:
            duration_ms: How long that takes in the network that these are copies of.
            event: What happens then; None at the end of the trial.
        """
        own = event is not None and event.kind in ("spike", "armed")  # it has no time of its own
        if own:
            last = duration_ms + MARGIN_MS
        else:
            waits = self._end_of(event) - self._now
            self.same &= waits >= 0
            last = float(max(waits.max(), 0.0))
        solution, times, conditions = self._solve(last, event.index if event and own else None)
        if event is not None and own:
            waits = self._crossings(event, solution, times, conditions)
        waits = np.clip(waits, 0, times[-1])
        if len(times) > 1:
            for c, wait in enumerate(waits):
                self._y[c] = solution(wait).reshape(self._y.shape)[c]
            self._check_others(event, times, conditions, waits)
        self._now = self._now + waits
        if event is not None:
            self._cross(event)

    def _end_of(self, event: Event | None) -> Array:
        """When an event happens that has a time, (copies,)."""
        if event is None:
            return np.full(self._size, self._net.trial_ms)
        if event.kind == "release":
            return self._releases[:, event.index]
        return np.full(self._size, event.time)

    def _solve(self, last: float, until: int | None) -> tuple[Any, Array, Array]:
        """The solution over some ms; the ends of its steps, and the spike condition there.

        It ends earlier once the neuron ``until`` has crossed its condition in all copies, because
        a voltage that nothing resets may grow without bound.
        """
        times, parts = [0.0], []
        conditions = [self._condition(self._y)]
        if last > 0:
            solver: Any = DOP853(
                self._rates,
                0.0,
                self._y.ravel(),
                last,
                rtol=TOLERANCE,
                atol=TOLERANCE / 100,
                max_step=LONGEST_STEP_MS,
            )
            waiting = np.full(self._size, True)
            while solver.status == "running" and waiting.any():
                solver.step()
                if solver.status == "failed":
                    break
                parts.append(solver.dense_output())
                times.append(float(solver.t))
                conditions.append(self._condition(solver.y.reshape(self._y.shape)))
                if until is not None:
                    waiting &= ~self._crossed(conditions[-2], conditions[-1])[:, until]
        solution = OdeSolution(times, parts) if parts else None
        return solution, np.array(times), np.array(conditions)

    def _rates(self, after: float, flat: Array) -> Array:
        y, net = flat.reshape(self._y.shape), self._net
        states, moved = self._hidden(y), np.empty_like(self._y)
        found, target = self._evaluate(self._derived.rates, states), self._hidden(moved)
        for q in self._derived.states:
            target[q][:] = found[q]
            if q in self._derived.held:
                target[q][:, self._held] = 0
        target["I"][:] = -states["I"] / self._parameters["tau_syn"]
        v, current, _ = self._outputs(y)
        weight = np.exp(-(self._now + after) / net.trial_ms) / net.trial_ms
        for out, rate in zip(
            self._outputs(moved),
            ((current - v) / net.tau_mem_out, -current / net.tau_syn_out, weight[:, None] * v),
            strict=True,
        ):
            out[:] = rate
        return moved.ravel()

    def _condition(self, y: Array) -> Array:
        """The spike condition, below 0 where a neuron is held: (copies, hidden)."""
        g = self._evaluate(self._derived.spike, self._hidden(y))["g"]
        return np.where(self._held, -1.0, g)

    def _crossed(self, before: Array, after: Array) -> NDArray[np.bool_]:
        """Who crosses the spike condition between two moments: (…, hidden)."""
        rises, falls = (before <= 0) & (after >= 0), (before >= 0) & (after <= 0)
        return np.where(self._armed, rises, falls) & ~self._held

    def _crossings(self, event: Event, solution: Any, times: Array, conditions: Array) -> Array:
        """After how many ms the neuron of an event crosses its condition, (copies,)."""
        crossed = self._crossed(conditions[:-1], conditions[1:])[:, :, event.index]
        found = np.full(self._size, times[-1])
        for c in range(self._size):
            steps = np.flatnonzero(crossed[:, c])
            if not len(steps):
                self.same[c] = False
                continue

            def condition(t: float, c: int = c) -> float:
                y = solution(t).reshape(self._y.shape)[c : c + 1]
                given = {name: value[c : c + 1] for name, value in self._parameters.items()}
                g = self._derived.spike.evaluate({**given, **self._hidden(y)})["g"]
                return float(np.broadcast_to(g, (1, self._n))[0, event.index])

            start, end = times[steps[0]], times[steps[0] + 1]
            found[c] = brentq(condition, start, end, xtol=1e-14, rtol=4 * np.finfo(float).eps)
        return found

    def _check_others(
        self, event: Event | None, times: Array, conditions: Array, waits: Array
    ) -> None:
        """Copies in which another neuron crosses its condition first are not the same."""
        last = np.searchsorted(times, waits, "right") - 1  # the last step's end before the event
        now = self._condition(self._y)
        crossed = self._crossed(conditions[last, np.arange(self._size)], now)
        steps = self._crossed(conditions[:-1], conditions[1:])
        crossed |= (steps & (times[1:, None] <= waits)[:, :, None]).any(axis=0)
        if event is not None and event.kind in ("spike", "armed"):
            crossed[:, event.index] = False
        self.same &= ~crossed.any(axis=1)

    def _cross(self, event: Event) -> None:
        j, states = event.index, self._hidden(self._y)
        if event.kind == "input":
            states["I"] += self._weights["input_hidden"][:, j]
        elif event.kind == "release":
            self._held[j] = False
        elif event.kind == "armed":
            self._armed[j] = True
        else:
            for q, value in self._evaluate(self._derived.reset, states).items():
                states[q][:, j] = value[:, j]
            states["I"] += self._weights["hidden_hidden"][:, j]
            current = self._outputs(self._y)[1]
            current += self._weights["hidden_output"][:, j]
            self._armed[j] = not self._derived.crossing
            if self._net.refractory_ms:
                self._held[j] = True
                self._releases[:, j] = self._now + self._net.refractory_ms

    def _evaluate(self, program: Program, values: dict[str, Array]) -> dict[str, Array]:
        """All outputs of a program for all hidden neurons of all copies."""
        found = program.evaluate({**self._parameters, **values})
        shape = (self._size, self._n)
        return {q: np.array(np.broadcast_to(value, shape)) for q, value in found.items()}

    def _hidden(self, y: Array) -> dict[str, Array]:
        """State variable, or I → (copies, hidden), which are views."""
        return {q: y[:, i * self._n :][:, : self._n] for i, q in enumerate(self._names)}

    def _outputs(self, y: Array) -> list[Array]:
        """V, I and readout of outputs, (copies, outputs), which are views."""
        rest = y[:, len(self._names) * self._n :]
        return [rest[:, i * self._k :][:, : self._k] for i in range(3)]
