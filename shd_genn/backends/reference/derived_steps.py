"""Any neuron in the methods that differentiate time steps, by what is derived of its equations.

A sub-step goes from the state s to s' = Φ(s, I). Where g(s') ≥ 0 and the neuron may spike, z = 1,
and the state becomes s'' = r(s'). Backwards, with μ'' = ∂L/∂s'', σ = ∂L/∂z and ψ in place of dz/dg,

    σ     = errors of the spike + Σ_q (r_q(s') - s'_q) μ''_q
    μ'_r  = Σ_q R_q_r μ''_q (where z = 1) or μ''_r (where z = 0)  +  ψ σ ∂g/∂r
    μ_r   = Σ_q J_q_r μ'_q          c = Σ_q B_q μ'_q            (names of `network.neurons.derived`)
    ν[n]  = β ν[n+1] + S c          dL/dw = the sum of ν[n+1+d] over the spikes of the source

The sum over q in σ is what a spike does to its own neuron. Of the variables that the current drives
(V) it is left out if the reset is detached, which is always so in e-prop; of others (an adaptation)
it counts: that a spike raises the threshold is what adaptive neurons learn by (Bellec et al. 2020).
Parameters are learned by

    Σ ψ σ ∂g/∂p + z Σ_q μ''_q ∂r_q/∂p + Σ_q μ'_q ∂Φ_q/∂p;   tau_syn by S' x c + β' x ν[n+1].

Where variables are held after a spike, their row of J is that of the identity, and ψ is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.reference.derived_neurons import Constants, Neurons, Values, zero_missing
from shd_genn.learning.methods.shapes import Pseudo

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SubStep:
    """A sub-step of all neurons of a population.

    Attributes:
        before: The state at its start.
        after: The state at its end, before the reset.
        fired: Who spiked, (neurons,).
        may_spike: Who could, (neurons,): not who is held, is silent or has spiked in this step.
    """

    before: Values
    after: Values
    fired: Mask
    may_spike: Mask


class Watched(Neurons):
    """A population that keeps all states of a trial, which `Neurons` does only where it must.

    Args:
        neurons: The population after its forward pass; the same trial is computed once more.

    Attributes:
        steps: The sub-steps of each step.
        held: For each step, who is held, (neurons,).
        current: I of each step.
    """

    def __init__(self, neurons: Neurons) -> None:
        super().__init__(neurons.k, [], neurons.silent, neurons.noise)
        self.steps: list[list[SubStep]] = []
        self.held: list[Mask] = []
        self.current: list[Array] = []
        self._seen: list[tuple[Values, Values]] = []
        for x in neurons.history.x:
            self.step(x)

    @property
    def x(self) -> list[Array]:
        """The synaptic current of each step, before scaling."""
        return self.history.x

    def step(self, x: Array) -> None:
        """One time step; see `Neurons.step`."""
        held, self._seen = self._held_for > 0, []
        super().step(x)
        blocked, found = held | self.silent, []
        for (before, after), spikes in zip(self._seen, self.history.spikes[-1], strict=True):
            may_spike = ~blocked
            if self.k.derived.crossing:
                may_spike &= self.k.evaluate(self.k.derived.spike, before)["g"] < 0
            fired = np.zeros_like(blocked)
            fired[spikes.neurons] = True
            blocked = blocked | fired
            found.append(SubStep(before, after, fired, may_spike))
        self.steps.append(found)
        self.held.append(held)
        self.current.append(self.k.scale * x)

    def _condition(self, before: Values) -> Mask:
        self._seen.append((before, self.state))
        return super()._condition(before)


@dataclass(frozen=True)
class Local:
    """The derivatives of a sub-step, each (neurons,), by the names of `network.neurons.derived`.

    Attributes:
        psi: The surrogate derivative, 0 where the neuron cannot spike.
        by_state: ``g_r`` and ``g__p``.
        reset: ``R_q_r`` and ``r_q__p``.
        moved: State variable that a spike sets → by how much.
        jacobian: ``J_q_r``.
        by_current: ``B_q``.
        by_parameter: ``D_q__p``.
    """

    psi: Array
    by_state: Values
    reset: Values
    moved: Values
    jacobian: Values
    by_current: Values
    by_parameter: Values


def local_derivatives(k: Constants, sub: SubStep, current: Array, derivative: Pseudo) -> Local:
    """What a sub-step is differentiated by."""
    derived = k.derived
    g = k.evaluate(derived.spike, sub.after)["g"]
    psi = derivative(g, k.values.get("v_thresh", np.ones_like(g)))
    with np.errstate(divide="ignore"):  # of the slope, which is not used
        jump = k.evaluate(derived.jump, {**sub.after, "I": current})
    reset = k.evaluate(derived.reset, sub.after)
    before = {**zero_missing(k), **sub.before, "I": current}
    return Local(
        psi=np.where(sub.may_spike, psi, 0),
        by_state=k.evaluate(derived.by_state, sub.after),
        reset={name: v for name, v in jump.items() if name.startswith(("R_", "r_"))},
        moved={q: value - sub.after[q] for q, value in reset.items()},
        jacobian=k.evaluate(derived.jacobian, before),
        by_current=k.evaluate(derived.by_current, before),
        by_parameter=k.evaluate(derived.by_parameter, before),
    )


class StepAdjoint:
    """The derivatives of the loss by what a population does, backward through the steps.

    Args:
        neurons: Its forward pass.
        learned: The kinds of its parameters that are learned.
        jump: mlGeNN's jump of the regulariser, (neurons,).
        derivative: The surrogate derivative.
        detach_reset: Whether what a spike does to variables that the current drives is taken as
            given.

    Attributes:
        q: (n_steps + 1, neurons): ∂L/∂x of each step; the last row is 0.
        gradient: Learned kind → dL/dp so far, (neurons,).
    """

    def __init__(
        self,
        neurons: Neurons,
        learned: list[str],
        jump: Array,
        derivative: Pseudo,
        detach_reset: bool,
    ) -> None:
        self.k, self.watched = neurons.k, Watched(neurons)
        self._derivative, self._jump = derivative, jump
        derived, zeros = self.k.derived, np.zeros_like(self.k.tau_syn)
        self._mu: Values = {q: zeros.copy() for q in derived.states}
        self.q = np.zeros((len(self.watched.steps) + 1, self.k.size), zeros.dtype)
        self.gradient = {kind: zeros.copy() for kind in learned}
        self._input = self.k.evaluate(derived.input, {})
        self._given = set(derived.receives) if detach_reset else set()

    def back(self, step: int, errors: Array) -> None:
        """One time step back.

        Args:
            step: The step; the one after it comes before.
            errors: What the loss has by each neuron's spike in this step, without the
                regulariser, (neurons,).
        """
        k, watched = self.k, self.watched
        current, held = watched.current[step], watched.held[step]
        by_current = np.zeros_like(errors)
        for sub in reversed(watched.steps[step]):
            local = local_derivatives(k, sub, current, self._derivative)
            self._mu = self._through_spike(sub, local, errors)
            by_current = by_current + self._through_step(local, held)
        later, x = self.q[step + 1], watched.x[step]
        self.q[step] = k.beta * later + k.scale * by_current
        if "tau_syn" in self.gradient:
            self.gradient["tau_syn"] += k.d_scale * x * by_current + k.d_beta * x * later
        if step == 0:
            for name, value in k.evaluate(k.derived.initial, {}).items():
                q, _, kind = name.rpartition("__")
                if q and kind in self.gradient:
                    self.gradient[kind] += value * self._mu[q]

    def _through_spike(self, sub: SubStep, local: Local, errors: Array) -> Values:
        """From μ'' to μ'."""
        mu, slope = self._mu, spike_input(self._input, local)
        sigma = errors + self._jump / slope
        for q, moved in local.moved.items():
            if q not in self._given:
                sigma = sigma + moved * mu[q]
        psi_sigma = local.psi * sigma
        for kind, total in self.gradient.items():
            total += psi_sigma * local.by_state.get(f"g__{kind}", 0)
            for q in mu:
                total += np.where(sub.fired, local.reset.get(f"r_{q}__{kind}", 0) * mu[q], 0)
        found: Values = {}
        for r in mu:
            through = sum(
                local.reset[f"R_{q}_{r}"] * mu[q] for q in mu if f"R_{q}_{r}" in local.reset
            )
            kept = np.where(sub.fired, through, mu[r])
            found[r] = kept + psi_sigma * local.by_state.get(f"g_{r}", 0)
        return found

    def _through_step(self, local: Local, held: Mask) -> Array:
        """From μ' to μ of the sub-step's start; returns c."""
        is_held = self.k.derived.held
        free = {q: np.where(held, 0, mu) if q in is_held else mu for q, mu in self._mu.items()}
        for kind, total in self.gradient.items():
            for q in free:
                total += local.by_parameter.get(f"D_{q}__{kind}", 0) * free[q]
        by_current = sum(
            (value * free[name.removeprefix("B_")] for name, value in local.by_current.items()),
            start=np.zeros_like(self.k.tau_syn),
        )
        found: Values = {}
        for r, mu in self._mu.items():
            terms = (
                local.jacobian[f"J_{q}_{r}"] * free[q]
                for q in free
                if f"J_{q}_{r}" in local.jacobian
            )
            found[r] = sum(terms, start=np.zeros_like(mu)) + (mu - free[r])
        self._mu = found
        return by_current


def spike_input(by_input: Mapping[str, Array], local: Local) -> Array:
    """How fast an input makes the spike condition rise: 1/tau_mem of leaky integrators.

    1 a ms where it is no variable of the condition that the current drives.
    """
    slope: Array = np.zeros_like(local.psi)
    for name, b in by_input.items():
        slope = slope + b * local.by_state.get(f"g_{name.removeprefix('b_')}", 0)
    found: Array = np.where(slope == 0, 1, slope)
    return found
