"""The numbers of a neuron's step that depend on parameters only, by NumPy; see `derived`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shd_genn.network.neurons.derived import Derived

Array = NDArray[np.float64]


def coefficients_of(
    derived: Derived,
    parameters: Mapping[str, Array],
    tau_syn: Array,
    dt_ms: float,
    learned: Sequence[str] = (),
) -> dict[str, Array]:
    """All coefficients, and ``dt``.

    Args:
        derived: The neuron.
        parameters: Name → value of each neuron, all of shape (neurons,), float64.
        tau_syn: Synaptic time constant in ms, (neurons,).
        dt_ms: Length of a time step in ms; `Derived.substeps` says how it is divided.
        learned: The parameters whose derivatives are needed; of the others they are left out.

    Returns:
        Coefficient → float64, (neurons,), and ``dt``, the length of a sub-step in ms.
    """
    dt = dt_ms / derived.substeps(dt_ms)
    size = np.shape(tau_syn)
    found: dict[str, Array] = {"dt": np.array(dt)}
    if derived.exact:
        numbers = _Propagator(derived, parameters, tau_syn, dt).coefficients(learned)
        found |= {name: numbers[name] for name in derived.coefficients if name in numbers}
    else:
        for name, value in derived.constants.evaluate({**parameters, "dt": dt}).items():
            found[name] = np.broadcast_to(np.asarray(value, np.float64), size)
    return found


class _Propagator:
    """exp(M dt) of the linear equations of each neuron, by blocks; M has states, I and 1."""

    def __init__(
        self, derived: Derived, parameters: Mapping[str, Array], tau_syn: Array, dt: float
    ) -> None:
        self._states, self._dt, self._tau_syn = derived.states, dt, tau_syn
        self._linear = derived.linear.evaluate(parameters)
        self._n = len(derived.states)

    def coefficients(self, learned: Sequence[str]) -> dict[str, Array]:
        """By name, also those that are 0."""
        held = self._matrix("")
        moved = self._exp(held)
        found = self._named(moved, "")
        decaying = held.copy()
        decaying[:, self._n, self._n] = -1 / self._tau_syn
        column = self._exp(decaying)[:, : self._n, self._n]
        found |= {f"k_{q}": column[:, i] for i, q in enumerate(self._states)}
        for p in learned:
            if any(name.endswith(f"__{p}") for name in self._linear):
                found |= self._named(self._derivative(held, self._matrix(f"__{p}")), f"__{p}")
        return found

    def _matrix(self, ending: str) -> Array:
        """M, or its derivative by a parameter: (neurons, states + 2, states + 2)."""
        n = self._n
        matrix = np.zeros((len(self._tau_syn), n + 2, n + 2))
        for i, q in enumerate(self._states):
            for j, r in enumerate(self._states):
                matrix[:, i, j] = self._linear.get(f"A_{q}_{r}{ending}", 0.0)
            matrix[:, i, n] = self._linear.get(f"b_{q}{ending}", 0.0)
            matrix[:, i, n + 1] = self._linear.get(f"c_{q}{ending}", 0.0)
        return matrix

    def _named(self, matrix: Array, ending: str) -> dict[str, Array]:
        found = {}
        for i, q in enumerate(self._states):
            for j, r in enumerate(self._states):
                found[f"P_{q}_{r}{ending}"] = matrix[:, i, j]
            found[f"q_{q}{ending}"] = matrix[:, i, self._n]
            found[f"o_{q}{ending}"] = matrix[:, i, self._n + 1]
        return found

    def _derivative(self, matrix: Array, moved: Array) -> Array:
        """The derivative of exp(M dt) in a direction: the upper right block of a larger one."""
        size = matrix.shape[1]
        both = np.zeros((len(matrix), 2 * size, 2 * size))
        both[:, :size, :size] = both[:, size:, size:] = matrix
        both[:, :size, size:] = moved
        return self._exp(both)[:, :size, size:]

    def _exp(self, matrices: Array) -> Array:
        """exp(M dt), of equal matrices once."""
        if len(matrices) > 1 and (matrices == matrices[0]).all():
            return np.repeat(self._exp(matrices[:1]), len(matrices), axis=0)
        return matrix_exponential(matrices * self._dt)


def matrix_exponential(matrices: Array) -> Array:
    """The exponentials of small square matrices, (neurons, n, n), by a scaled Taylor series.

    SciPy's takes them one by one, which is slow where each neuron has time constants of its own.
    """
    norm = float(np.abs(matrices).sum(axis=2).max(initial=0.0))
    halvings = max(0, int(np.ceil(np.log2(max(norm, 1e-300) / 0.25))))
    scaled = matrices / 2.0**halvings
    term = np.broadcast_to(np.eye(matrices.shape[1]), matrices.shape)
    total = term.copy()
    for k in range(1, 14):  # 0.25**14 / 14! is beyond the last bit
        term = term @ scaled / k
        total += term
    for _ in range(halvings):
        total = total @ total
    return total
