"""Any neuron in NumPy, by what is derived of its equations: a step forward.

The equations, and the order in which things happen, are those of
`shd_genn.network.neurons.derived`; names are the same. The step backward is in
`derived_adjoint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.reference.random_spikes import Noise
from shd_genn.network.neurons.coefficients import coefficients_of
from shd_genn.network.neurons.derived import Derived
from shd_genn.network.neurons.expressions import Program
from shd_genn.support.errors import DivergedError

Array = NDArray[np.floating]
Values = dict[str, Array]

UNBOUNDED = 1e12
"""A state variable beyond this grows without bound."""


@dataclass(frozen=True)
class Constants:
    """What a population's equations need, for each of its neurons.

    Attributes:
        name: The population's.
        derived: Its neuron.
        values: Parameter, coefficient or ``dt`` → its value, (neurons,).
        tau_syn: In ms, (neurons,).
        beta, scale: exp(-dt/tau_syn), and from a current to its mean over a step.
        d_beta, d_scale: Their derivatives by tau_syn.
        dt_ms: Length of a time step.
        refractory_steps: How long variables are held after a spike.
    """

    name: str
    derived: Derived
    values: Values
    tau_syn: Array
    beta: Array
    scale: Array
    d_beta: Array
    d_scale: Array
    dt_ms: float
    refractory_steps: int

    @property
    def size(self) -> int:
        """The number of neurons."""
        return len(self.tau_syn)

    def evaluate(self, program: Program, values: Mapping[str, Array]) -> Values:
        """All outputs of a program for all neurons, (neurons,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = program.evaluate({**self.values, **values})
        shape, dtype = self.tau_syn.shape, self.tau_syn.dtype
        return {
            name: np.broadcast_to(np.asarray(value, dtype), shape) for name, value in found.items()
        }

    def of(self, neurons: NDArray[np.intp]) -> Constants:
        """Those of some neurons."""
        values = {name: v if v.ndim == 0 else v[neurons] for name, v in self.values.items()}
        names = ("tau_syn", "beta", "scale", "d_beta", "d_scale")
        return replace(
            self, values=values, **{name: getattr(self, name)[neurons] for name in names}
        )


def constants_of(
    name: str,
    derived: Derived,
    parameters: Mapping[str, Array],
    dt_ms: float,
    learned: list[str],
    refractory_ms: float,
    dtype: np.dtype[np.floating],
) -> Constants:
    """The constants of a population, worked out in float64.

    Args:
        name: The population's name.
        derived: Its neuron.
        parameters: Kind → (neurons,), ``tau_syn`` among them.
        dt_ms: Length of a time step.
        learned: The kinds that are learned.
        refractory_ms: How long variables are held after a spike.
        dtype: Of everything that is computed with them.
    """
    float64 = {kind: np.asarray(value, np.float64) for kind, value in parameters.items()}
    tau_syn = float64.pop("tau_syn")
    values = float64 | coefficients_of(derived, float64, tau_syn, dt_ms, learned)
    beta = np.exp(-dt_ms / tau_syn)
    scale = -tau_syn / dt_ms * np.expm1(-dt_ms / tau_syn)
    d_beta = beta * dt_ms / tau_syn**2
    d_scale = -np.expm1(-dt_ms / tau_syn) / dt_ms - beta / tau_syn
    return Constants(
        name=name,
        derived=derived,
        values={kind: value.astype(dtype) for kind, value in values.items()},
        tau_syn=tau_syn.astype(dtype),
        beta=beta.astype(dtype),
        scale=scale.astype(dtype),
        d_beta=d_beta.astype(dtype),
        d_scale=d_scale.astype(dtype),
        dt_ms=dt_ms,
        refractory_steps=int(np.floor(refractory_ms / dt_ms + 0.5)),
    )


@dataclass
class Spikes:
    """The spikes of a sub-step.

    Attributes:
        neurons: Who spiked, ascending.
        state: The state before the reset, and I: name → (spikes,).
        e: Learned parameter → state variable → its derivative since the spike before.
    """

    neurons: NDArray[np.intp]
    state: Values
    e: dict[str, Values]


@dataclass
class History:
    """What a population keeps for the backward pass.

    Attributes:
        spikes: Of each sub-step of each step.
        before: The state before each sub-step, where the backward pass needs it.
        x: The synaptic current of each step, before scaling.
        held: For each step, which neurons are held; empty without a refractory time.
        released: Held variable → its f at the begin of each step in which neurons are released, 0
            for all others; likewise.
    """

    spikes: list[list[Spikes]] = field(default_factory=list)
    before: list[list[Values]] = field(default_factory=list)
    x: list[Array] = field(default_factory=list)
    held: list[NDArray[np.bool_]] = field(default_factory=list)
    released: list[Values] = field(default_factory=list)


class Neurons:
    """A population in the forward pass.

    Args:
        constants: Of the population.
        learned: The kinds of its parameters that are learned.
        silent: Which of its neurons drop-out keeps from spiking; they stay as they start.
        noise: Step → what a spike condition must reach in it, (neurons,), of neurons that spike at
            random; of others it is 0.

    Attributes:
        state: State variable → (neurons,).
        spikes: The neurons that spiked, ascending, for each step.
        history: What the backward pass needs.
        silent: Which of its neurons drop-out keeps from spiking.
        noise: See above; None: 0 in all steps.
    """

    def __init__(
        self,
        constants: Constants,
        learned: list[str],
        silent: NDArray[np.bool_] | None = None,
        noise: Noise | None = None,
    ) -> None:
        self.k, self.learned, self.noise = constants, learned, noise
        self.silent = np.zeros(constants.size, bool) if silent is None else silent
        derived = constants.derived
        initial = constants.evaluate(derived.initial, {})
        zeros = np.zeros_like(constants.tau_syn)
        self.state: Values = {q: initial.get(q, zeros).copy() for q in derived.states}
        self._initial = self.state
        self.spikes: list[NDArray[np.intp]] = []
        self.history = History()
        self._e = {
            kind: {q: initial.get(f"{q}__{kind}", zeros).copy() for q in derived.states}
            for kind in (learned if derived.exact else ())
        }
        self._z = zeros.copy()
        self._keeps = derived.state_dependent or (bool(learned) and not derived.exact)
        self._held_for = np.zeros(constants.size, np.intp)

    def step(self, x: Array) -> None:
        """One time step, given x of all connections together.

        Raises:
            DivergedError: if a state variable grows without bound.
        """
        k, derived = self.k, self.k.derived
        current = k.scale * x
        shown = x if derived.exact else current
        held = self._held_for > 0
        if k.refractory_steps:
            self._release(held, shown)
        spiked = held | self.silent
        of_step, before_of_step = [], []
        for _ in range(derived.substeps(k.dt_ms)):
            before = self.state
            if self._keeps:
                before_of_step.append(before)
            self._carry(before, current, x, held)
            self.state = k.evaluate(derived.step, {**before, "I": current})
            for q in derived.held:
                self.state[q] = np.where(held, before[q], self.state[q])
            if self.silent.any():
                for q, initial in self._initial.items():
                    self.state[q] = np.where(self.silent, initial, self.state[q])
            fired = np.flatnonzero(self._condition(before) & ~spiked)
            of_step.append(self._spike(fired, shown))
            spiked[fired] = True
        self._check()
        self._held_for = np.maximum(self._held_for - 1, 0)
        fired = np.sort(np.concatenate([each.neurons for each in of_step]))
        self._held_for[fired] = k.refractory_steps
        self.spikes.append(fired)
        self.history.spikes.append(of_step)
        self.history.before.append(before_of_step)
        self.history.x.append(x.copy())

    def _condition(self, before: Values) -> NDArray[np.bool_]:
        derived = self.k.derived
        if not derived.spikes:
            return np.zeros(self.k.size, bool)
        least = self.noise(len(self.spikes)) if self.noise is not None else 0
        above: NDArray[np.bool_] = self.k.evaluate(derived.spike, self.state)["g"] >= least
        if derived.crossing:
            above = above & (self.k.evaluate(derived.spike, before)["g"] < 0)
        return above

    def _spike(self, fired: NDArray[np.intp], current: Array) -> Spikes:
        derived = self.k.derived
        state = {q: value[fired] for q, value in self.state.items()} | {"I": current[fired]}
        e = {kind: {q: v[fired] for q, v in each.items()} for kind, each in self._e.items()}
        spikes = Spikes(fired, state, e)
        if len(fired):
            self.state = {q: value.copy() for q, value in self.state.items()}
            for q, value in self.k.of(fired).evaluate(derived.reset, state).items():
                self.state[q][fired] = value
            for each in self._e.values():
                for value in each.values():
                    value[fired] = 0
        return spikes

    def _release(self, held: NDArray[np.bool_], current: Array) -> None:
        """Keep who is held in this step, and f of what is released at its begin."""
        before = self.history.held[-1] if self.history.held else np.zeros_like(held)
        free = before & ~held
        rates = self.k.evaluate(self.k.derived.rates, {**self.state, "I": current})
        self.history.released.append(
            {q: np.where(free, rates[q], 0) for q in self.k.derived.held} if free.any() else {}
        )
        self.history.held.append(held)

    def _carry(self, before: Values, current: Array, x: Array, held: NDArray[np.bool_]) -> None:
        """One step of e, the derivatives by learned parameters, in the exact scheme."""
        k, derived = self.k, self.k.derived
        if not self._e:
            return
        jacobian = k.evaluate(derived.jacobian, before)
        direct = k.evaluate(derived.by_parameter, {**zero_missing(k), **before, "I": current})
        for kind, e in self._e.items():
            moved = {
                q: sum(
                    (jacobian[f"J_{q}_{r}"] * e[r] for r in e if f"J_{q}_{r}" in jacobian),
                    start=direct.get(f"D_{q}__{kind}", np.zeros_like(x)),
                )
                for q in e
            }
            if kind == "tau_syn":
                gained = k.scale * self._z + k.d_scale * x
                for q, value in k.evaluate(derived.by_current, before).items():
                    moved[q.removeprefix("B_")] = moved[q.removeprefix("B_")] + value * gained
                self._z = k.beta * self._z + k.d_beta * x
            for q in derived.held:
                moved[q] = np.where(held, e[q], moved[q])
            self._e[kind] = {q: np.array(value) for q, value in moved.items()}

    def _check(self) -> None:
        for q, value in self.state.items():
            wrong = np.flatnonzero(~(np.abs(value) < UNBOUNDED))
            if len(wrong):
                j, step = int(wrong[0]), len(self.spikes)
                state = ", ".join(f"{name} = {v[j]:.3g}" for name, v in self.state.items())
                raise DivergedError(
                    f"{q} of neuron {j} of population {self.k.name} has no bound: it has come to "
                    f"{state} at {(step + 1) * self.k.dt_ms:g} ms; take shorter steps (dt_ms or "
                    "substep_ms), smaller weights, or a reset that ends the growth"
                )


def zero_missing(k: Constants) -> Values:
    """0 for the coefficients of parameters that are not learned."""
    return {name: np.zeros(()) for name in k.derived.coefficients if name not in k.values}
