"""How the numbers of a NIR file are to be read: one form for each way in which programs read them.

NIR's equations are τ_syn I' = -I + w_in S and τ_mem v' = (v_leak - v) + R I.

* ``continuous``: a spike S has area 1, so that it lets I jump by w_in/τ_syn. Ours lets I jump by
  the weight, so w_in = τ_syn, R = 1, and the time constants are those of the network.
* ``steps``: programs integrate by Euler's rule in steps of dt, in which S is 1 or 0. With
  τ' = dt/(1 - exp(-dt/τ)) instead of τ, and w_in = τ_syn/dt, their steps are ours.
* ``torch``: as snnTorch and SpikingJelly ask for it, which Norse reads, too. They take a step for
  0.1 ms, whatever it is, and add a weight to I, and I to v, as they are: w_in = τ_syn/0.1 ms and
  R = τ_mem/0.1 ms. What our steps multiply them by is in the weights. Neurons of a population have
  one threshold; if ours differ, the weights to a neuron are divided by its own. These programs know
  no ``CubaLI``: outputs are ``CubaLIF`` with a threshold that is never reached.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.reference.sensitivities import Constants
from shd_genn.support.errors import require

Array = NDArray[np.float64]
Form = Literal["steps", "continuous", "torch"]
"""How the numbers of a file are to be read; see the module."""
TORCH_STEP = 1e-4
"""What snnTorch and SpikingJelly take for the length of a step, in s."""
NEVER = 1e9
"""A threshold that is never reached."""


def fields_of(k: Constants, dt: float, form: Form, *, spikes: bool) -> dict[str, Array]:
    """The fields of a node, float64, so that they come back to the bit.

    Args:
        k: Constants of the neurons, in ms.
        dt: Length of a step in s.
        form: How they are read.
        spikes: Whether the neurons spike.

    Returns:
        Field → (neurons,): those of a ``CubaLIF``, or without threshold those of a ``CubaLI``.
    """
    tau_syn, tau_mem = _seconds(k)
    zero = np.zeros(len(tau_mem))
    r, w_in = zero + 1, tau_syn
    if form == "steps":
        w_in = tau_syn / dt
        tau_syn, tau_mem = dt * _steps(tau_syn, dt), dt * _steps(tau_mem, dt)
    elif form == "torch":
        w_in, r = _steps(tau_syn, dt), _steps(tau_mem, dt)
        tau_syn, tau_mem = TORCH_STEP * w_in, TORCH_STEP * r
    fields = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "v_leak": zero, "w_in": w_in}
    if not spikes and form != "torch":
        return fields
    thresholds = np.array(k.v_thresh, np.float64) if spikes else zero + NEVER
    if form == "torch" and _differ(thresholds):
        thresholds = zero + 1
    return fields | {"v_threshold": thresholds, "v_reset": zero.copy()}


def weights_for(
    weights: NDArray[np.float32], k: Constants, dt: float, form: Form, *, spikes: bool
) -> NDArray[np.float32]:
    """The weights to a population as a file has them, (sources, targets); see `fields_of`."""
    if form != "torch":
        return weights
    tau_syn, tau_mem = _seconds(k)
    factor = tau_syn / dt / (_steps(tau_syn, dt) * _steps(tau_mem, dt))
    if spikes and _differ(k.v_thresh):
        factor /= k.v_thresh
    return (weights.astype(np.float64) * factor).astype(np.float32)


def constants_from(
    key: str, fields: dict[str, Array], dt: float, form: Form
) -> tuple[dict[str, Array], Array]:
    """The way back from `fields_of`.

    Args:
        key: The node's name, for the message.
        fields: Field → (neurons,).
        dt: Length of a step in s.
        form: How they are to be read.

    Returns:
        ``tau_mem`` and ``tau_syn`` in ms, and ``v_thresh`` if there is one that can be reached;
        and what weights are multiplied by, (neurons,).

    Raises:
        ConfigError: if a time constant is not longer than a step.
    """
    tau_mem, tau_syn = fields["tau_mem"], fields["tau_syn"]
    scale = fields["w_in"] * fields["r"] / tau_syn  # what a spike lets I jump by
    if form != "continuous":
        step = TORCH_STEP if form == "torch" else dt
        tau_mem, tau_syn = (_from_steps(key, tau, step) * dt for tau in (tau_mem, tau_syn))
        scale = fields["w_in"] * fields["r"] * dt / tau_syn
    constants = {"tau_mem": tau_mem * 1000, "tau_syn": tau_syn * 1000}
    if "v_threshold" in fields and (fields["v_threshold"] < NEVER).any():
        constants["v_thresh"] = fields["v_threshold"] - fields["v_leak"]
    return constants, scale


def field_names(node: Any) -> list[str]:
    """The fields of a node that `fields_of` gives."""
    names = ["tau_mem", "tau_syn", "r", "v_leak", "w_in"]
    return names + (["v_threshold", "v_reset"] if hasattr(node, "v_threshold") else [])


def _seconds(k: Constants) -> tuple[Array, Array]:
    """τ_syn and τ_mem in s."""
    return np.asarray(k.tau_syn, np.float64) / 1000, np.asarray(k.tau_mem, np.float64) / 1000


def _differ(values: NDArray[np.floating]) -> bool:
    return bool((values != values[0]).any())


def _steps(tau: Array, dt: float) -> Array:
    """The time constant, in steps, with which Euler's rule decays in a step as exp(-dt/tau)."""
    return np.asarray(-1 / np.expm1(-dt / tau))


def _from_steps(key: str, tau: Array, dt: float) -> Array:
    """The time constant, in steps, that decays as a step of Euler's rule does."""
    require(
        bool((tau > dt).all()),
        f"dt < time constants of node {key}",
        f"dt {dt} s, {tau.min()} s",
        "give a shorter dt_ms, or read it as continuous",
    )
    return np.asarray(-1 / np.log1p(-dt / tau))
