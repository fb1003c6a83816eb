"""Gradients by the parameters of neurons: time constants and thresholds.

**Neurons that spike** act on the loss L only through the times of their spikes, and a spike is
where V - θ crosses 0. So let a parameter p of a neuron change, and with it V - θ just before its
k-th spike at t_k; what that does to the loss, by this spike and all that follows from it, is known:
∂L/∂V(t_k⁻) = -τ_mem λV(t_k⁻), with λV after the (backward) jump (Wunderlich & Pehle 2021, Table 1;
the trajectories of Lagrange's function are those of -1/τ_mem ∂L/∂V). Therefore

    dL/dp = Σ_k ∂L/∂V(t_k⁻) e(t_k⁻) = -τ_mem Σ_k λV(t_k⁻) e(t_k⁻),    e = ∂(V - θ)/∂p,

where e is taken with the spikes that the neuron receives, and its own reset before t_k, as they
are:

    θ:      e = -1
    τ_mem:  τ_mem e' = -e - (I - V)/τ_mem                      e(0) = 0, and 0 after each own spike
    τ_syn:  τ_mem e' = -e + i,  τ_syn i' = -i + I/τ_syn        likewise for e; i is not reset

(V is reset to 0 whatever p is, so e starts again there; the current I is not reset, so neither is
i = ∂I/∂τ_syn.) For τ_mem this is the adjoint's integral ∫ λV V' dt (Nowotny, Turner & Knight 2025,
whose code stores I - V of all neurons and steps for it): between its own spikes λV decays with
τ_mem, so that each stretch of the integral is λV at its end times a sum that the forward pass can
keep. One number a spike remains of it, and no neuron and step need be stored.

**Outputs that do not spike** act on the loss through V, so dL/dp = Σ_n ∂L/∂V_n e_n.

In steps of dt, e and z = ∂x/∂τ_syn are the exact derivatives of the forward step,

    V ← α V + (1-α) S x;  x ← β x
    τ_mem:  e ← α e + α' (V - S x)           α' = ∂α/∂τ_mem = α dt/τ_mem²
    τ_syn:  e ← α e + (1-α) (S z + S' x)     S' = ∂S/∂τ_syn = (1-β)/dt - β/τ_syn
            z ← β z + β' x                   β' = ∂β/∂τ_syn = β dt/τ_syn²

with V and x from before the step, and the regulariser's jump of λV counts as a part of ∂L/∂V.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shd_genn.network import Kind

Array = NDArray[np.floating]

DERIVATIVES: tuple[Kind, ...] = ("tau_mem", "tau_syn", "v_thresh")
"""The kinds of a neuron's parameters that V is differentiated by."""


@dataclass(frozen=True)
class Constants:
    """What a population's equations need, for each of its neurons.

    Symbols as in `eventprop`; ``cross`` is A (α - β), written so that τ_mem and τ_syn may be equal.
    """

    tau_mem: Array
    tau_syn: Array
    v_thresh: Array
    alpha: Array
    beta: Array
    scale: Array
    cross: Array
    d_alpha: Array
    d_beta: Array
    d_scale: Array

    @staticmethod
    def of(
        tau_mem: Array, tau_syn: Array | None = None, *, v_thresh: Array, dt_ms: float
    ) -> Constants:
        """Work them out in float64; all arrays are (neurons,), times in ms.

        Without tau_syn the synapses are delta synapses: x lasts one step, and moves V by as much.
        Their tau_syn is 1, which is then only the unit of what is kept for the backward pass.
        """
        if tau_syn is None:
            return Constants._of_delta(tau_mem, v_thresh, dt_ms)
        tau_mem, tau_syn, v_thresh = (
            np.asarray(a, np.float64) for a in (tau_mem, tau_syn, v_thresh)
        )
        alpha, beta = np.exp(-dt_ms / tau_mem), np.exp(-dt_ms / tau_syn)
        # A (α - β) = τ_mem/(τ_mem - τ_syn) β (exp(u) - 1) with u = dt/τ_syn - dt/τ_mem
        u = dt_ms / tau_syn - dt_ms / tau_mem
        growth = np.where(u == 0, 1.0, np.expm1(u) / np.where(u == 0, 1.0, u))
        return Constants(
            tau_mem=tau_mem,
            tau_syn=tau_syn,
            v_thresh=v_thresh,
            alpha=alpha,
            beta=beta,
            scale=-tau_syn / dt_ms * np.expm1(-dt_ms / tau_syn),
            cross=dt_ms / tau_syn * beta * growth,
            d_alpha=alpha * dt_ms / tau_mem**2,
            d_beta=beta * dt_ms / tau_syn**2,
            d_scale=-np.expm1(-dt_ms / tau_syn) / dt_ms - beta / tau_syn,
        )

    @staticmethod
    def _of_delta(tau_mem: Array, v_thresh: Array, dt_ms: float) -> Constants:
        """Those of delta synapses: β = 0 and (1-α) S = 1."""
        tau_mem, v_thresh = (np.asarray(a, np.float64) for a in (tau_mem, v_thresh))
        alpha, none = np.exp(-dt_ms / tau_mem), np.zeros_like(tau_mem)
        return Constants(
            tau_mem=tau_mem,
            tau_syn=np.ones_like(tau_mem),
            v_thresh=v_thresh,
            alpha=alpha,
            beta=none,
            scale=1 / (1 - alpha),
            cross=none,
            d_alpha=alpha * dt_ms / tau_mem**2,
            d_beta=none,
            d_scale=none,
        )

    def astype(self, dtype: np.dtype[np.floating]) -> Self:
        """The same in another precision."""
        return type(self)(**{name: array.astype(dtype) for name, array in vars(self).items()})


class Sensitivity:
    """e of one population, carried along the forward pass.

    Args:
        kinds: Which of `DERIVATIVES` are learned.
        constants: Of the population; their dtype is that of what is computed.
    """

    def __init__(self, kinds: list[str], constants: Constants) -> None:
        self._k = constants
        zeros = np.zeros_like(constants.alpha)
        self.e: dict[str, Array] = {kind: zeros.copy() for kind in kinds}
        self._z = zeros.copy()

    def step(self, v: Array, x: Array) -> None:
        """One step, before V and x take theirs."""
        k = self._k
        if "tau_mem" in self.e:
            self.e["tau_mem"] = k.alpha * self.e["tau_mem"] + k.d_alpha * (v - k.scale * x)
        if "tau_syn" in self.e:
            gained = (1 - k.alpha) * (k.scale * self._z + k.d_scale * x)
            self.e["tau_syn"] = k.alpha * self.e["tau_syn"] + gained
            self._z = k.beta * self._z + k.d_beta * x
        if "v_thresh" in self.e:
            self.e["v_thresh"] = np.full_like(v, -1)

    def reset(self, fired: NDArray[np.intp]) -> None:
        """V of these neurons has been reset."""
        for e in self.e.values():
            e[fired] = 0
