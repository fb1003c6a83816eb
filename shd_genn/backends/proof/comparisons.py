"""What of a neuron must agree.

1. The derivatives of one step with central differences of that step;
2. the error of a step, over some ms, with the order that its scheme promises;
3. the adjoint, event by event, with central differences of the loss;
4. the reference's gradient in steps with the adjoint, the better the shorter the steps;
5. its gradient with the neuron's sub-steps and with shorter ones;
6. a backend's spikes and gradient with the reference's.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from shd_genn.backends.proof.event_exact import EventNetwork, Trajectory, gradient, simulate
from shd_genn.backends.proof.network import LABEL, N_HIDDEN, STEPS_MS, ProofNetwork
from shd_genn.backends.proof.perturbed import losses_of
from shd_genn.backends.protocols import Backend, Differentiable
from shd_genn.learning.methods import EventProp
from shd_genn.network import NeuronModel
from shd_genn.network.neurons.coefficients import coefficients_of
from shd_genn.network.neurons.derived import Derived

Array = NDArray[np.float64]
Values = dict[str, Array]

GRADIENT_TOLERANCE = 1e-4
"""Of the adjoint against finite differences, relative to the largest of a kind."""
DERIVATIVE_TOLERANCE = 1e-5
"""Of a step's derivatives against central differences, whose own error is about 1e-8."""
SMALL = 0.1
"""Of the largest kind of gradient: what rounding is compared with in smaller kinds."""
GRADIENT_ORDER = 0.7
"""Of the gradient in dt; it is 1, but few steps show it roughly."""
SUBSTEP_TOLERANCE = 0.2
"""Of the gradient in the neuron's sub-steps against shorter ones, at the longest time step."""
GOOD_SUBSTEPS = 0.05
"""Sub-steps that change the gradient by more are advised against."""
ORDERS = {"exact": 2.0, "exponential_euler": 1.0, "rk2": 2.0}
"""The order in dt that a scheme promises between spikes; an exact step has no error at all."""


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


@dataclass(frozen=True)
class Convergence:
    """How the gradient in steps comes to the adjoint.

    Attributes:
        finding: The order in dt.
        steps_ms: The time steps, the longest first.
        errors: The error of the gradient in each of them, relative to the gradient.
    """

    finding: Finding
    steps_ms: tuple[float, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True)
class SubSteps:
    """What sub-steps of different lengths do to the gradient.

    Attributes:
        finding: The error of the neuron's own.
        lengths_ms: The neuron's own, half and a quarter of them.
        errors: How far the gradient in each of the first two is from that in the third.
    """

    finding: Finding
    lengths_ms: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def advice(self) -> str:
        """Which sub-steps would be better; empty if these do."""
        own, half, quarter = self.lengths_ms
        if self.errors[0] <= GOOD_SUBSTEPS:
            return ""
        better = half if self.errors[1] <= GOOD_SUBSTEPS else quarter
        return (
            f"sub-steps of {own:g} ms change the gradient by {100 * self.errors[0]:.0f} %; "
            f"a substep_ms of {better:g} or less does better"
        )


class Proof:
    """The network of a neuron, and the comparisons.

    Args:
        neuron: The neuron.
        seed: Of the network and its input.
    """

    def __init__(self, neuron: NeuronModel, seed: int = 0) -> None:
        self.neuron, self.derived = neuron, neuron.derived
        self.network = ProofNetwork(neuron, seed)
        self.parameters = self.network.parameters

    def with_derived(self, derived: Derived) -> Proof:
        """The same comparisons of something else than what is derived, to see what they notice."""
        other = copy.copy(self)
        other.derived = derived
        for cached in ("exact", "trajectory", "net", "_undivided", "_largest", "_scaled"):
            other.__dict__.pop(cached, None)
        other.net = replace(self.net, derived=derived)
        forward = ("rates", "spike", "reset", "initial", "held")
        if all(getattr(derived, part) == getattr(self.derived, part) for part in forward):
            other.trajectory = self.trajectory
        return other

    @cached_property
    def net(self) -> EventNetwork:
        """The network.

        Raises:
            ConfigError: if no weights make the neuron spike a few times.
        """
        return self.network.exact

    @cached_property
    def trajectory(self) -> Trajectory:
        """What the network does, event by event."""
        return simulate(self.net, self.network.inputs)

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

    def finite_differences(self) -> list[Finding]:
        """The adjoint against central differences by every weight and parameter of every neuron."""
        return self.against(self.differences())

    def differences(self) -> dict[str, Array]:
        """Central differences of the loss: connection, or parameter → dL/dw, or dL/dp.

        They are infinite where the smallest change makes a spike appear or vanish.
        """
        bases = self.net.weights | {
            k: self.parameters[k] for k in self.exact if k in self.parameters
        }
        found = {key: np.full(base.shape, np.inf) for key, base in bases.items()}
        for h in (1e-5, 1e-6):  # a smaller one, where a spike appears or vanishes
            wanted = [
                (k, i)
                for k, values in found.items()
                for i in zip(*np.where(np.isinf(values)), strict=True)
            ]
            if not wanted:
                break
            sizes = [h * max(abs(float(bases[key][index])), 0.1) for key, index in wanted]
            copies = [
                self._moved(key, index, sign * size)
                for (key, index), size in zip(wanted, sizes, strict=True)
                for sign in (1, -1)
            ]
            losses, same = losses_of(copies, self.trajectory, LABEL)
            for i, ((key, index), size) in enumerate(zip(wanted, sizes, strict=True)):
                if same[2 * i] and same[2 * i + 1]:
                    found[key][index] = (losses[2 * i] - losses[2 * i + 1]) / (2 * size)
        return found

    def against(self, differences: Values) -> list[Finding]:
        """The adjoint against differences that are known."""
        found = []
        for key, expected in differences.items():
            largest = max(float(np.abs(expected).max()), 1e-3 * self._largest)
            error = float(np.abs(self.exact[key] - expected).max() / largest)
            error = error if np.isfinite(error) else np.inf
            found.append(Finding.error(f"adjoint by {key}", error, GRADIENT_TOLERANCE))
        return found

    def convergence(self, steps_ms: Sequence[float] | None = None) -> Convergence:
        """How the reference's gradient comes to the adjoint, as steps and sub-steps get shorter.

        Args:
            steps_ms: The time steps; if not given, those of `STEPS_MS`, and only the three longest
                if the neuron has sub-steps, which get shorter with them.
        """
        substep_ms = None if self.derived.exact else self.derived.substep_ms
        steps_ms = steps_ms or (STEPS_MS if substep_ms is None else STEPS_MS[:3])
        errors = []
        for dt in steps_ms:
            divided = None if substep_ms is None else substep_ms * dt / steps_ms[0]
            errors.append(_distance(self._in_steps(dt, divided), self._scaled))
        order = float(np.polyfit(np.log(steps_ms), np.log(errors), 1)[0])
        finding = Finding.order("order of the gradient in dt", order, GRADIENT_ORDER)
        return Convergence(finding, tuple(steps_ms), tuple(errors))

    def substeps(self) -> SubSteps | None:
        """What the neuron's sub-steps do to the gradient; None if it has none."""
        substep_ms = self.derived.substep_ms
        if substep_ms is None or self.derived.exact:
            return None
        dt = STEPS_MS[0]
        lengths = [min(dt, substep_ms) / divisor for divisor in (1, 2, 4)]
        gradients = [self._in_steps(dt, length) for length in lengths]
        errors = [_distance(gradient, gradients[-1]) for gradient in gradients[:-1]]
        what = f"gradient in sub-steps of {lengths[0]:g} ms against {lengths[-1]:g} ms"
        finding = Finding.error(what, errors[0], SUBSTEP_TOLERANCE)
        return SubSteps(finding, tuple(lengths), tuple(errors))

    def backend(self, name: str, backend: Backend, dt_ms: float = 0.2) -> list[Finding]:
        """A backend's spikes and gradient against the reference's.

        The error is relative to the largest gradient of a kind. A kind whose gradient is small,
        because what its spikes add cancels, keeps the rounding of what was added: such an error is
        relative to `SMALL` times the largest kind, each in units of its parameters' sizes.

        Raises:
            ConfigError: if the backend does not have the neuron.
        """
        reference = self.network.in_steps(dt_ms)
        network, config = reference.network, reference.config
        with backend.compile(network, EventProp(), config) as other:
            assert isinstance(other, Differentiable)
            other.set_parameters(reference.parameters())
            spikes = [
                set(zip(*(a.tolist() for a in recorded.spikes["hidden"].sample(0)), strict=True))
                for recorded in (each.record(self.network.events) for each in (reference, other))
            ]
            got, expected = (
                each.gradient(self.network.events, np.array([LABEL])) for each in (other, reference)
            )
        differ = float(len(spikes[0] ^ spikes[1]))
        units = {f"hidden.{key}": self._unit(key) for key in self.parameters}
        units |= {key: self._unit(key) for key in self.net.weights}
        sizes = {k: float(np.abs(v).max()) * units[k] for k, v in expected.items()}
        least = SMALL * max(sizes.values())
        error = max(
            float(np.abs(got[k] - v).max()) * units[k] / max(sizes[k], least)
            for k, v in expected.items()
        )
        return [
            Finding.error(f"spikes that {name} and the reference do not share", differ, 0),
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

    def _moved(self, key: str, index: tuple[int, ...], by: float) -> EventNetwork:
        net = self.net
        changed = (net.weights if key in net.weights else net.parameters)[key].copy()
        changed[index] += by
        if key in net.weights:
            return replace(net, weights=net.weights | {key: changed})
        return replace(net, parameters=net.parameters | {key: changed})

    @cached_property
    def _scaled(self) -> Values:
        """The adjoint's gradient, each kind in units of its parameters' size."""
        return {key: v * self._unit(key) for key, v in self.exact.items()}

    def _unit(self, key: str) -> float:
        base = self.net.weights.get(key, self.parameters.get(key))
        assert base is not None
        return max(float(np.abs(base).mean()), 1e-3)

    def _in_steps(self, dt_ms: float, substep_ms: float | None) -> Values:
        """The gradient of the reference, in the same units."""
        reference = self.network.in_steps(dt_ms, substep_ms=substep_ms)
        got = reference.gradient(self.network.events, np.array([LABEL]))
        found = {}
        for key in self.exact:
            value = got[key if key in self.net.weights else f"hidden.{key}"]
            found[key] = value.astype(np.float64) * self._unit(key)
        return found


def _distance(gradient: Values, other: Values) -> float:
    """Between two gradients, relative to the other."""
    difference = sum(float(((gradient[k] - v) ** 2).sum()) for k, v in other.items())
    size = sum(float((v**2).sum()) for v in other.values())
    return float((difference / size) ** 0.5)
