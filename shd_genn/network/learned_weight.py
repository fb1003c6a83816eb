"""A weight of the output voltage over time that is learned beside the network's weights.

The readout of class c is y_c = (1/N) Σ_n w_c(n) V_c(n), over the N steps of a trial. w comes from
K numbers θ_k, the knots of a cubic B-spline u(s) = Σ_k θ_k B_k(s) over s = t/T:

    spline:   w = u
    softmax:  w_n = exp(e_n) / mean_m exp(e_m),  e_n = u(s_n), which is positive and 1 on average

With attention the weight depends on the trial: e_n = u(s_n) + Σ_c γ_c V_c(n), with a gain γ_c of
each class that is learned, too. So the network decides when to listen to itself.

θ and γ act on voltages only and move no spike. So their gradient follows from V(n) at once, and the
gradient by V(n), which drives EventProp's adjoint, stays exact:

    g_c = ∂L/∂y_c,  h_n = Σ_c g_c V_c(n)
    softmax:  ∂L/∂e_n = w_n (h_n - (1/N) Σ_m w_m h_m) / N
    ∂L/∂V_c(n) = g_c w_c(n) / N + γ_c ∂L/∂e_n

Both passes have the same sampling of s as the fixed weights; see `shd_genn.network.readouts`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy  # loads its parts when they are first used
from numpy.typing import NDArray

from shd_genn.network.formulas import GRID, Formula
from shd_genn.support.errors import refuse_unless, require

Array = NDArray[np.floating]
Form = Literal["softmax", "spline"]
DEGREE = 3
"""Of the spline, so that the weight has a smooth second derivative between knots."""
KEY = "readout_weight"
"""Kind of the parameter: its key is ``POPULATION.readout_weight``."""


@dataclass(frozen=True)
class LearnedWeight:
    """Which weights can be learned, and from where.

    Attributes:
        knots: K, the numbers of a curve.
        form: ``softmax`` or ``spline``; see above.
        per_class: Whether each class has a curve of its own.
        attention: Whether the weight depends on the trial; for ``softmax`` and one curve only.
        smoothness: σ: the loss gets σ Σ (θ_k - 2 θ_(k+1) + θ_(k+2))², the curve's roughness.
        start: Formula of s that the curve starts from.

    Raises:
        ConfigError: if these do not fit together.
    """

    knots: int = 8
    form: Form = "softmax"
    per_class: bool = False
    attention: bool = False
    smoothness: float = 0.0
    start: Formula = Formula("exp(-s)")  # noqa: RUF009  # a frozen value

    def __post_init__(self) -> None:
        require(DEGREE < self.knots, f"{DEGREE} < weight_knots", self.knots, "8 is usual")
        refuse_unless(
            not self.attention or (self.form == "softmax" and not self.per_class),
            "weight_attention is set, but the weight is no softmax that all classes share",
            "set weight_form = softmax and leave weight_per_class out",
        )
        lowest = float(self.start.finite(GRID).min())
        require(
            self.form == "spline" or lowest > 0,
            "0 < weight_start for all s with weight_form = softmax",
            f"{lowest:g}",
            "set weight_form = spline, or change the formula",
        )

    def shape(self, n_classes: int) -> tuple[int, ...]:
        """Shape of the parameter: (curves, knots), or (knots + classes,) with attention."""
        if self.attention:
            return (self.knots + n_classes,)
        return (n_classes if self.per_class else 1, self.knots)

    def initial(self, n_classes: int) -> Array:
        """The parameter at the start: the spline closest to the formula, and gains of 0."""
        start = self.start(GRID)
        target = np.log(start / start.mean()) if self.form == "softmax" else start
        theta = np.linalg.lstsq(basis(self.knots, GRID), target, rcond=None)[0]
        if self.attention:
            return np.append(theta, np.zeros(n_classes))
        return np.tile(theta, (self.shape(n_classes)[0], 1))

    def weights(self, parameter: Array, n_steps: int, voltages: Array | None = None) -> Array:
        """W of every step, as the forward pass has it.

        Args:
            parameter: See `shape`.
            n_steps: N.
            voltages: (n_samples, N, classes): output voltages, with attention.

        Returns:
            (curves, N); with attention (n_samples, N).
        """
        return self._weights(parameter, n_steps, voltages)[0]

    def read(self, parameter: Array, voltages: Array) -> Array:
        """The readout, (n_samples, classes), of output voltages, (n_samples, N, classes)."""
        w = self.weights(parameter, voltages.shape[1], voltages)
        return self._over_time(w, voltages) / voltages.dtype.type(voltages.shape[1])

    def drive(self, parameter: Array, drive: Array, voltages: Array) -> Array:
        """-N ∂L/∂V_c(n), (n_samples, N, classes), given -∂L/∂y, (n_samples, classes).

        The curve is read one step later than in the forward pass, as `readouts.drive_weights`.
        """
        _, w = self._weights(parameter, voltages.shape[1], voltages)
        if not self.attention:
            return w.T[np.newaxis] * drive[:, np.newaxis]
        gains = parameter[self.knots :].astype(voltages.dtype)
        through_weight = self._by_exponent(w, drive, voltages)[:, :, np.newaxis] * gains
        return w[:, :, np.newaxis] * drive[:, np.newaxis] + through_weight

    def gradient(self, parameter: Array, drive: Array, voltages: Array) -> Array:
        """∂L/∂parameter, summed over the samples, the roughness included.

        Args:
            parameter: See `shape`.
            drive: -∂L/∂y, (n_samples, classes), of the batch's mean loss.
            voltages: (n_samples, N, classes).
        """
        n_steps = voltages.shape[1]
        w, curves = self.weights(parameter, n_steps, voltages), self._curves(parameter)
        base = basis(self.knots, np.arange(n_steps) / n_steps)
        penalty = 2 * self.smoothness * (_roughness(self.knots) @ curves.T).T
        if self.attention:
            by_exponent = -self._by_exponent(w, drive, voltages) / n_steps
            by_theta = by_exponent.sum(axis=0) @ base + penalty[0]
            return np.append(by_theta, np.einsum("bn,bnc->c", by_exponent, voltages))
        by_weight = -np.einsum("bc,bnc->cn", drive, voltages) / n_steps
        return self._from_weights(by_weight, w, base, penalty)

    def both(self, parameter: Array, n_steps: int) -> tuple[Array, Array]:
        """W of the forward and of the backward pass, (curves, N) each; not with attention."""
        return self._weights(parameter, n_steps, None)

    def gradient_of_weights(self, parameter: Array, by_weight: Array) -> Array:
        """∂L/∂parameter, as `gradient`, given ∂L/∂w of each class and step, (classes, N)."""
        n_steps = by_weight.shape[1]
        base = basis(self.knots, np.arange(n_steps) / n_steps)
        curves = self._curves(parameter)
        penalty = 2 * self.smoothness * (_roughness(self.knots) @ curves.T).T
        return self._from_weights(by_weight, self.both(parameter, n_steps)[0], base, penalty)

    def _from_weights(self, by_weight: Array, w: Array, base: Array, penalty: Array) -> Array:
        if not self.per_class:
            by_weight = by_weight.sum(axis=0, keepdims=True)
        if self.form == "softmax":
            by_weight = w * (by_weight - (w * by_weight).mean(axis=1, keepdims=True))
        by_parameter: Array = by_weight @ base + penalty
        return by_parameter

    def _curves(self, parameter: Array) -> Array:
        return np.atleast_2d(parameter[: self.knots] if self.attention else parameter)

    def _weights(
        self, parameter: Array, n_steps: int, voltages: Array | None
    ) -> tuple[Array, Array]:
        """W of the forward and of the backward pass."""
        dtype = parameter.dtype if voltages is None else voltages.dtype
        s = np.arange(n_steps + 1) / n_steps
        u = self._curves(parameter) @ basis(self.knots, s).T
        if self.form == "spline":
            return u[:, :-1].astype(dtype), u[:, 1:].astype(dtype)
        now, later = u[:, :-1], u[:, 1:]
        if self.attention:
            assert voltages is not None
            seen = voltages @ parameter[self.knots :]
            now, later = now + seen, later + seen
        largest = now.max(axis=1, keepdims=True)
        mean = np.exp(now - largest).mean(axis=1, keepdims=True)
        both = (np.exp(e - largest) / mean for e in (now, later))
        first, second = (w.astype(dtype) for w in both)
        return first, second

    def _over_time(self, w: Array, voltages: Array) -> Array:
        total: Array
        if self.attention:
            total = np.einsum("bn,bnc->bc", w, voltages)
            return total
        of_classes = np.broadcast_to(w, (voltages.shape[2], w.shape[1]))
        total = np.einsum("cn,bnc->bc", of_classes, voltages)
        return total

    def _by_exponent(self, w: Array, drive: Array, voltages: Array) -> Array:
        """-N ∂L/∂e_n, (n_samples, N)."""
        h: Array = np.einsum("bc,bnc->bn", drive, voltages)
        by_exponent: Array = w * (h - (w * h).mean(axis=1, keepdims=True))
        return by_exponent


@functools.lru_cache(maxsize=16)
def _design(knots: int, points: bytes) -> NDArray[np.float64]:
    s = np.frombuffer(points)
    inner = np.linspace(0, 1, knots - DEGREE + 1)
    t = np.concatenate([np.zeros(DEGREE), inner, np.ones(DEGREE)])
    design: NDArray[np.float64] = scipy.interpolate.BSpline.design_matrix(s, t, DEGREE).toarray()
    return design


def basis(knots: int, s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The B-splines at s, (points, knots): cubic, clamped at 0 and 1, with a sum of 1."""
    return _design(knots, np.ascontiguousarray(s, np.float64).tobytes())


def _roughness(knots: int) -> NDArray[np.float64]:
    """DᵀD of the second differences D."""
    d = np.diff(np.eye(knots), 2, axis=0)
    return d.T @ d
