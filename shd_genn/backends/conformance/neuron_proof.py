"""The proof that what is derived of a neuron is right, for any neuron.

A small random recurrent network of it, in which all parameters differ from neuron to neuron, is
solved event by event (`event_exact`). Then these must agree:

1. the derivatives of one step with central differences of that step;
2. the error of a step, over some ms, with the order that its scheme promises;
3. the adjoint, event by event, with central differences of the loss;
4. the reference's gradient in steps with the adjoint, the better the shorter the steps;
5. a backend's spikes and gradient with the reference's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from shd_genn.backends.conformance.event_exact import (
    EventNetwork,
    Trajectory,
    gradient,
    loss_of,
    simulate,
)
from shd_genn.backends.protocols import Backend, CompileConfig, Differentiable
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp
from shd_genn.learning.objective import Objective, Regulariser
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrate,
    Network,
    Neuron,
    NeuronModel,
    Normal,
    Population,
    SpikeInput,
    Trainable,
)
from shd_genn.network.initialisers import typical
from shd_genn.network.neurons.coefficients import coefficients_of
from shd_genn.network.neurons.derived import Derived
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError, DivergedError

Array = NDArray[np.float64]
Values = dict[str, Array]

N_INPUTS, N_HIDDEN, N_OUTPUTS, TRIAL_MS, LABEL = 2, 2, 2, 40.0, 0
GRADIENT_TOLERANCE = 1e-4
"""Of the adjoint against finite differences, relative to the largest of a kind."""
DERIVATIVE_TOLERANCE = 1e-5
"""Of a step's derivatives against central differences, whose own error is about 1e-8."""
ORDERS = {"exact": 2.0, "exponential_euler": 1.0, "rk2": 2.0}
"""The order in dt that a scheme promises between spikes; an exact step has no error at all."""
STEPS_MS = (0.4, 0.2, 0.1, 0.05)
"""The time steps of the stepped gradient."""


@dataclass(frozen=True)
class Finding:
    """One line of the proof.

    Attributes:
        what: What was compared.
        value: How far it is off, or the order that was found.
        limit: What it must not exceed, or, of an order, what it must reach.
        holds: Whether it holds.
    """

    what: str
    value: float
    limit: float
    holds: bool

    @staticmethod
    def error(what: str, value: float, limit: float) -> Finding:
        """An error, which must not exceed its limit."""
        return Finding(what, value, limit, bool(value <= limit))

    @staticmethod
    def order(what: str, value: float, least: float) -> Finding:
        """An order, which must be reached."""
        return Finding(what, value, least, bool(value >= least))


class Proof:
    """The network of a neuron, and the comparisons.

    Args:
        neuron: The neuron; what its parameters are drawn around.
        derived: What is derived of it; another one only to see that an error is noticed.
        seed: Of the network and its input.

    Raises:
        ConfigError: if no weights make the neuron spike a few times.
    """

    def __init__(self, neuron: NeuronModel, derived: Derived | None = None, seed: int = 0) -> None:
        self.neuron = neuron
        self.derived = derived or neuron.derived
        rng = np.random.default_rng(seed)
        self.parameters = {
            p.name: _around(typical(p.value_in(neuron)), rng) for p in neuron.description.parameters
        } | {"tau_syn": _around(5.0, rng)}
        count = 5 * N_INPUTS
        # on the grid of all steps, so that inputs come at the same time in all of them
        grid = np.sort(rng.choice(np.arange(2, int(0.8 * TRIAL_MS / 0.4)), count, replace=False))
        self.inputs = [(0.4 * float(t), i % N_INPUTS) for i, t in enumerate(grid)]
        self._rng = rng

    @cached_property
    def net(self) -> EventNetwork:
        """A network in which each neuron spikes a few times, as often in long steps as in short.

        Where a spike is about to appear or to vanish, steps of different length have different
        spikes, and there is no gradient that they could agree on.
        """
        found = None
        for _ in range(6):
            found = self._scaled_weights() or found
            if found is not None and len({self._counts(dt, found) for dt in STEPS_MS}) == 1:
                break
        if found is None:
            raise ConfigError(
                f"{self.neuron.description.name} does not spike, however strong its input is; "
                "check its spike condition, its reset and the unit of its current"
            )
        held = self.neuron.refractory_ms
        return EventNetwork(self.derived, self.parameters, found, TRIAL_MS, refractory_ms=held)

    def _scaled_weights(self) -> Values | None:
        """Random weights, as strong as it takes; None if no strength is enough."""
        rng = self._rng
        drawn = {
            "input_hidden": np.abs(rng.normal(1, 0.3, (N_INPUTS, N_HIDDEN))),
            "hidden_hidden": rng.normal(0, 0.3, (N_HIDDEN, N_HIDDEN)),
            "hidden_output": rng.normal(0, 1.0, (N_HIDDEN, N_OUTPUTS)),
        }
        for scale in 0.3 * 1.3 ** np.arange(24):
            weights = {
                name: (w if name == "hidden_output" else scale * w)
                .astype(np.float32)
                .astype(np.float64)
                for name, w in drawn.items()
            }
            try:
                counts = self._counts(0.2, weights)
            except DivergedError:
                return None
            if min(counts) >= 1 and sum(counts) >= 4:
                return weights
        return None

    def _counts(self, dt_ms: float, weights: Values) -> tuple[int, ...]:
        """Spikes of each hidden neuron, in steps."""
        result = self._reference(dt_ms, weights).evaluate(self._events)
        return tuple(result.spike_counts["hidden"][0].tolist())

    @cached_property
    def trajectory(self) -> Trajectory:
        """What the network does, event by event."""
        return simulate(self.net, self.inputs)

    @cached_property
    def exact(self) -> Values:
        """The adjoint's gradient, event by event."""
        return gradient(self.net, self.trajectory, LABEL)

    # ------------------------------------------------------------------ comparisons

    def derivatives(self) -> Finding:
        """Of one step, at states of the trajectory, against central differences."""
        worst, dt = 0.0, min(self.derived.substep_ms or 1.0, 1.0)
        for event in self.trajectory.events[2::3]:
            inputs = {**event.before, **self.parameters}
            found = self._step_derivatives(inputs, dt)
            for (_, q, name), value in found.items():
                h = 1e-4 * np.maximum(np.abs(inputs[name]), 0.1)
                moved = [
                    self._step({**inputs, name: inputs[name] + i * h}, dt)[q]
                    for i in (-2, -1, 1, 2)
                ]
                difference = (moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]) / (12 * h)
                scale = max(np.abs(difference).max(), np.abs(value).max(), 1e-3)
                worst = max(worst, float(np.abs(value - difference).max() / scale))
        return Finding.error("derivatives of a step", worst, DERIVATIVE_TOLERANCE)

    def order_of_step(self) -> Finding:
        """How the error of the state after 4 ms at a constant current falls with dt."""
        net, span = self.net, 4.0
        start = net.evaluate(self.derived.initial, {})
        zeros = np.zeros(N_HIDDEN)
        states = {q: start.get(q, zeros) for q in self.derived.states}
        current = np.full(N_HIDDEN, 0.1)

        def rates(t: float, y: Array) -> Array:
            given = dict(zip(states, np.split(y, len(states)), strict=True))
            found = net.evaluate(self.derived.rates, {**given, "I": current})
            return np.concatenate([found[q] for q in states])

        y0 = np.concatenate(list(states.values()))
        solved = solve_ivp(rates, (0, span), y0, "DOP853", rtol=1e-12, atol=1e-12)
        errors = []
        longest = min(self.derived.substep_ms or 0.5, 0.5)
        for dt in (longest, longest / 2, longest / 4):
            given = {**states, "I": current, **self.parameters}
            for _ in range(round(span / dt)):
                given |= self._step(given, dt)
            got = np.concatenate([given[q] for q in states])
            errors.append(float(np.abs(got - solved.y[:, -1]).max()))
        promised = ORDERS[self.derived.scheme]
        if errors[0] < 1e-9 * max(1.0, float(np.abs(solved.y[:, -1]).max())):
            return Finding.error("error of an exact step", errors[0], 1e-7)
        order = float(np.log2(errors[0] / errors[-1]) / 2)
        return Finding.order("order of a step between spikes", order, promised - 0.25)

    def finite_differences(
        self, every: bool = True, keys: Sequence[str] | None = None
    ) -> list[Finding]:
        """The adjoint against central differences.

        Args:
            every: By every weight and parameter of every neuron; else in one random direction for
                each connection and each kind of parameter.
            keys: The connections and kinds of parameters; all if not given.
        """
        return self.against(self.differences(every, keys))

    def differences(
        self, every: bool = True, keys: Sequence[str] | None = None
    ) -> dict[str, list[tuple[Array, float]]]:
        """Central differences of the loss: key → (direction, derivative along it)."""
        return {
            key: [(d, self._along(key, d)) for d in self._directions(key, every)]
            for key in (keys or (*self.net.weights, *self.derived.learnable, "tau_syn"))
        }

    def against(self, differences: dict[str, list[tuple[Array, float]]]) -> list[Finding]:
        """The adjoint against differences that are known."""
        found = []
        for key, pairs in differences.items():
            got = [float((self.exact[key] * d).sum() / np.abs(d).max()) for d, _ in pairs]
            expected = np.array([difference for _, difference in pairs])
            largest = max(float(np.abs(expected).max()), 1e-3 * self._largest)
            error = float(np.abs(np.array(got) - expected).max() / largest)
            found.append(Finding.error(f"adjoint by {key}", error, GRADIENT_TOLERANCE))
        return found

    def stepped(self, steps_ms: Sequence[float] = STEPS_MS) -> tuple[Finding, list[float]]:
        """The order with which the reference's gradient comes to the adjoint, and its errors."""
        errors = []
        for dt in steps_ms:
            got = self._gradient(self._reference(dt, self.net.weights))
            total = sum(float(((got[k] - v) ** 2).sum()) for k, v in self._scaled.items())
            errors.append(
                total**0.5 / sum(float((v**2).sum()) for v in self._scaled.values()) ** 0.5
            )
        slope = float(np.polyfit(np.log(steps_ms), np.log(errors), 1)[0])
        if (
            slope < 0.7 and errors[-1] < 0.05
        ):  # sub-steps of a fixed length leave an error of theirs
            what = f"gradient in steps of {steps_ms[-1]:g} ms against the adjoint"
            return Finding.error(what, errors[-1], 0.05), errors
        return Finding.order("order of the gradient in dt", slope, 0.7), errors

    def backend(self, name: str, backend: Backend, dt_ms: float = 0.2) -> list[Finding]:
        """A backend's spikes and gradient against the reference's.

        Raises:
            ConfigError: if the backend does not have the neuron.
        """
        reference = self._reference(dt_ms, self.net.weights)
        network, config = reference.network, reference.config
        with backend.compile(network, EventProp(), config) as other:
            assert isinstance(other, Differentiable)
            other.set_parameters(reference.parameters())
            counts = [
                each.evaluate(self._events).spike_counts["hidden"] for each in (reference, other)
            ]
            got, expected = (
                each.gradient(self._events, np.array([LABEL])) for each in (other, reference)
            )
        differ = float(np.abs(counts[0] - counts[1]).sum())
        error = max(
            float(np.abs(got[k] - v).max() / max(np.abs(v).max(), 1e-12))
            for k, v in expected.items()
        )
        return [
            Finding.error(f"spikes of {name} that the reference has not", differ, 0),
            Finding.error(f"gradient of {name} against the reference", error, GRADIENT_TOLERANCE),
        ]

    # ------------------------------------------------------------------ parts

    def _coefficients(self, values: Values, dt: float) -> Values:
        own = {name: values[name] for name in self.derived.parameters}
        found = coefficients_of(self._undivided, own, values["tau_syn"], dt, self.derived.learnable)
        return {**values, **found}

    @cached_property
    def _undivided(self) -> Derived:
        return replace(self.derived, substep_ms=None)

    def _step(self, values: Values, dt: float) -> Values:
        return self.net.evaluate(self.derived.step, self._coefficients(values, dt))

    def _step_derivatives(self, values: Values, dt: float) -> dict[tuple[str, str, str], Array]:
        given, found = self._coefficients(values, dt), {}
        states = self.derived.states
        jacobian = self.net.evaluate(self.derived.jacobian, given)
        by_current = self.net.evaluate(self.derived.by_current, given)
        by_parameter = self.net.evaluate(self.derived.by_parameter, given)
        zero = np.zeros(N_HIDDEN)
        for q in states:
            for r in states:
                found["J", q, r] = jacobian.get(f"J_{q}_{r}", zero)
            found["B", q, "I"] = by_current.get(f"B_{q}", zero)
            for p in self.derived.learnable:
                found["D", q, p] = by_parameter.get(f"D_{q}__{p}", zero)
        return found

    @cached_property
    def _largest(self) -> float:
        return max(float(np.abs(v).max()) for k, v in self.exact.items() if k in self.net.weights)

    def _directions(self, key: str, every: bool) -> Iterator[Array]:
        base = self.net.weights.get(key, self.parameters.get(key))
        assert base is not None
        size = np.maximum(np.abs(base), 0.1)
        if not every:
            yield np.random.default_rng(len(key)).choice([-1.0, 1.0], base.shape) * size
            return
        for index in np.ndindex(base.shape):
            direction = np.zeros_like(base)
            direction[index] = size[index]
            yield direction

    def _along(self, key: str, direction: Array) -> float:
        """The derivative in a direction, by central differences."""
        spikes = len(self.trajectory.spikes())
        for h in (1e-5, 1e-6):  # a smaller one, if a spike appears or vanishes
            losses = []
            for sign in (1, -1):
                moved = self._moved(key, sign * h * direction)
                there = simulate(moved, self.inputs)
                losses.append((loss_of(moved, there, LABEL), len(there.spikes())))
            if losses[0][1] == losses[1][1] == spikes:
                break
        unit = float(np.abs(direction).max())
        return (losses[0][0] - losses[1][0]) / (2 * h * unit)

    def _moved(self, key: str, by: Array) -> EventNetwork:
        net = self.net
        if key in net.weights:
            return replace(net, weights=net.weights | {key: net.weights[key] + by})
        return replace(net, parameters=net.parameters | {key: net.parameters[key] + by})

    @cached_property
    def _scaled(self) -> Values:
        """The adjoint's gradient, each kind in units of its parameters' size."""
        return {key: v * self._unit(key) for key, v in self.exact.items()}

    def _unit(self, key: str) -> float:
        base = self.net.weights.get(key, self.parameters.get(key))
        assert base is not None
        return max(float(np.abs(base).mean()), 1e-3)

    def _gradient(self, reference: Reference) -> Values:
        got = reference.gradient(self._events, np.array([LABEL]))
        found = {}
        for key in self.exact:
            value = got[key if key in self.net.weights else f"hidden.{key}"]
            found[key] = value.astype(np.float64) * self._unit(key)
        return found

    @cached_property
    def _events(self) -> Events:
        times, neurons = zip(*self.inputs, strict=True)
        return Events.of([(np.array(times), np.array(neurons))])

    def _reference(self, dt_ms: float, weights: Values) -> Reference:
        inputs = Population("input", SpikeInput(), N_INPUTS)
        hidden = Population("hidden", _learned(self.neuron), N_HIDDEN)
        output = Population("output", LeakyIntegrate(20.0), N_OUTPUTS)
        synapse = Exponential(Trainable(5.0, 1.0, 20.0))
        random = Dense(Normal())
        network = Network(
            (inputs, hidden, output),
            (
                Connection(inputs, hidden, random, synapse),
                Connection(hidden, hidden, random, synapse),
                Connection(hidden, output, random, Exponential(5.0)),
            ),
        )
        objective = Objective(temperature=1.0, regulariser=Regulariser(0.0, 0.0, 0.0))
        config = CompileConfig(round(TRIAL_MS / dt_ms), dt_ms, objective=objective)
        reference = Reference(network, config)
        values = {f"hidden.{name}": value for name, value in self.parameters.items()}
        arrays = {**weights, **values}
        reference.set_parameters({k: v.astype(np.float32) for k, v in arrays.items()})
        return reference


def _around(value: float, rng: np.random.Generator) -> Array:
    """A number for each neuron near a value, which float32 holds exactly."""
    spread = 0.04 * max(abs(value), 0.1)
    return (value + spread * rng.uniform(-1, 1, N_HIDDEN)).astype(np.float32).astype(np.float64)


def _learned(neuron: NeuronModel) -> NeuronModel:
    """The neuron, with all its parameters learned."""
    found = {}
    for p in neuron.description.parameters:
        value = typical(p.value_in(neuron))
        room = 0.5 * max(abs(value), 0.1)
        low, high = value - room, value + room
        found[p.attribute or p.name] = Trainable(
            value, max(low, (p.low + value) / 2), min(high, (p.high + value) / 2)
        )
    if isinstance(neuron, Neuron):
        return replace(neuron, parameters=found)
    return replace(neuron, **found)  # type: ignore[type-var]
