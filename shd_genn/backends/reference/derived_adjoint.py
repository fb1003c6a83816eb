"""The adjoint of any neuron in NumPy, by what is derived of its equations: a step backward.

The equations, and the order in which things happen, are those of
`shd_genn.network.neurons.derived`; names are the same. The step forward is in `derived_neurons`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.reference.derived_neurons import Array, Constants, Neurons, Spikes, Values


class Adjoint:
    """The adjoint of a population, backward through the steps that `Neurons` kept.

    Args:
        constants: Of the population.
        neurons: Its forward pass.
        n_steps: Steps of the trial.

    Attributes:
        mu: State variable → ∂L/∂q, (neurons,).
        nu: ∂L/∂x, (neurons,).
        gradient: Learned parameter → dL/dp so far, (neurons,).
        lambda_i: (n_steps + 1, neurons): -∂L/∂x / tau_syn of each step.
        difference: Likewise, λ_V - λ_I with λ_V = -Σ_q b_q μ_q.
    """

    def __init__(self, constants: Constants, neurons: Neurons, n_steps: int) -> None:
        self.k = constants
        zeros = np.zeros_like(constants.tau_syn)
        self.mu: Values = {q: zeros.copy() for q in constants.derived.states}
        self.nu = zeros.copy()
        self.gradient = {kind: zeros.copy() for kind in neurons.learned}
        self._history = neurons.history
        self.lambda_i = np.zeros((n_steps + 1, constants.size), zeros.dtype)
        self.difference = np.zeros_like(self.lambda_i)
        self._b = constants.evaluate(constants.derived.input, {})
        self._n_steps = n_steps
        self._by_release = zeros.copy()

    def back(self, step: int, fired: NDArray[np.intp], feedback: Array, regulariser: Array) -> None:
        """One time step back, over its spikes.

        Args:
            step: The step.
            fired: The neurons that spiked in it, ascending.
            feedback: F of each of these spikes.
            regulariser: mlGeNN's jump of λ_V at a spike, (neurons,).
        """
        given = np.zeros_like(self.nu)
        given[fired] = feedback
        if self.k.derived.exact:
            if step + 1 < self._n_steps:
                self._propagate(step + 1)
                self._release(step + 1)
            self._jump(step, 0, given, regulariser)
        else:
            self._back_through(step, given, regulariser)
            self._release(step)
        incoming: Array = np.zeros_like(self.nu)
        for q, b in self._b.items():
            incoming = incoming - b * self.mu[q.removeprefix("b_")]
        self.lambda_i[step] = -self.nu / self.k.tau_syn
        self.difference[step] = incoming - self.lambda_i[step]
        if step == 0:
            self._finish()

    def _propagate(self, step: int) -> None:
        """Back over a step of the exact scheme."""
        k, mu = self.k, self.mu
        held = self._held(step)
        free = {q: np.where(held, 0, mu[q]) if q in k.derived.held else mu[q] for q in mu}
        nu = k.beta * self.nu
        for q, value in free.items():
            if (gain := k.values.get(f"k_{q}")) is not None:
                nu = nu + gain * value
        self.nu = nu
        self.mu = self._transposed(k.evaluate(k.derived.jacobian, {}), free, held)

    def _transposed(self, jacobian: Values, free: Values, held: NDArray[np.bool_]) -> Values:
        """Jᵀ μ, where the rows of what is held are those of the identity."""
        found = {}
        for r in self.mu:
            terms = (jacobian[f"J_{q}_{r}"] * free[q] for q in free if f"J_{q}_{r}" in jacobian)
            found[r] = sum(terms, start=np.zeros_like(self.nu))
            if r in self.k.derived.held:
                found[r] = found[r] + np.where(held, self.mu[r], 0)
        return found

    def _held(self, step: int) -> NDArray[np.bool_]:
        held = self._history.held
        return held[step] if held else np.zeros(self.k.size, bool)

    def _back_through(self, step: int, feedback: Array, regulariser: Array) -> None:
        """Back over the sub-steps of another scheme, the last first."""
        k, derived, history = self.k, self.k.derived, self._history
        x, held = history.x[step], self._held(step)
        current = k.scale * x
        by_current = np.zeros_like(x)
        for substep in reversed(range(derived.substeps(k.dt_ms))):
            self._jump(step, substep, feedback, regulariser)
            kept = history.before[step]
            values = {"I": current} | (kept[substep] if kept else {})
            free = {
                q: np.where(held, 0, mu) if q in derived.held else mu for q, mu in self.mu.items()
            }
            for name, value in k.evaluate(derived.by_current, values).items():
                by_current = by_current + value * free[name.removeprefix("B_")]
            if self.gradient:
                for name, value in k.evaluate(derived.by_parameter, values).items():
                    q, _, kind = name.removeprefix("D_").rpartition("__")
                    if kind in self.gradient:
                        self.gradient[kind] += free[q] * value
            jacobian = k.evaluate(derived.jacobian, values)
            self.mu = self._transposed(jacobian, free, held)
        if "tau_syn" in self.gradient:
            self.gradient["tau_syn"] += k.d_scale * x * by_current + k.d_beta * x * self.nu
        self.nu = k.beta * self.nu + k.scale * by_current

    def _jump(self, step: int, substep: int, feedback: Array, regulariser: Array) -> None:
        """Back over the spikes of a sub-step."""
        spikes = self._history.spikes[step][substep]
        j, derived = spikes.neurons, self.k.derived
        if not len(j):
            return
        k = self.k.of(j)
        found = k.evaluate(derived.jump, spikes.state)
        after = {q: self.mu[q][j] for q in self.mu}
        total = feedback[j]
        if derived.held:
            total = total + self._by_release[j]
            self._by_release[j] = 0
        for q, mu in after.items():
            if q in derived.held:
                total = total - self._carried(q, spikes, found, k) * mu
            elif f"after_{q}" in found:
                total = total + found[f"after_{q}"] * mu
        rising = found["slope"] > 0
        raised = np.where(rising, total / np.where(rising, found["slope"], 1), 0)
        upward = sum(
            (found[f"g_{q}"] * self._b[f"b_{q}"][j] for q in after if _both(q, found, self._b)),
            start=np.zeros_like(total),
        )
        raised = raised + np.where(upward > 0, regulariser[j] / np.where(upward > 0, upward, 1), 0)
        for r in self.mu:
            terms = (found[f"R_{q}_{r}"] * after[q] for q in after if f"R_{q}_{r}" in found)
            value = sum(terms, start=np.zeros_like(total))
            value = value + found[f"g_{r}"] * raised if f"g_{r}" in found else value
            self.mu[r] = self.mu[r].copy()
            self.mu[r][j] = value
        for kind in self.gradient:
            learned = found[f"g__{kind}"] * raised if f"g__{kind}" in found else 0 * raised
            for q, mu in after.items():
                if f"r_{q}__{kind}" in found:
                    learned = learned + found[f"r_{q}__{kind}"] * mu
                if kind in spikes.e:
                    learned = learned + spikes.e[kind][q] * self.mu[q][j]
            self.gradient[kind][j] += learned

    def _release(self, step: int) -> None:
        """What the time of a release at the begin of a step does to the loss."""
        released = self._history.released
        for q, f in (released[step] if released else {}).items():
            self._by_release = self._by_release + f * self.mu[q]

    def _carried(self, q: str, spikes: Spikes, found: Values, k: Constants) -> Array:
        """R f⁻ of a held variable."""
        rates = k.evaluate(k.derived.rates, spikes.state)
        value: Array = np.zeros(len(spikes.neurons))
        for s in k.derived.states:
            if f"R_{q}_{s}" in found:
                value = value + found[f"R_{q}_{s}"] * rates[s]
        return value

    def _finish(self) -> None:
        """What the initial state has to do with parameters, if steps were inverted one by one."""
        k = self.k
        if k.derived.exact:
            return
        for name, value in k.evaluate(k.derived.initial, {}).items():
            q, _, kind = name.rpartition("__")
            if q and kind in self.gradient:
                self.gradient[kind] += value * self.mu[q]


def _both(q: str, found: Values, b: Values) -> bool:
    return f"g_{q}" in found and f"b_{q}" in b
