"""Windows of STDP: how a weight changes with the times of spikes, and the devices that hold it.

Weights w are conductances between 0 and 1. With Δt = t_post - t_pre in ms,

    trace           post spike:   Δw = η (x - x_target) (1 - w)^μ,   x = exp(-Δt/τ) of the last
                                  spike of the channel, 0 if there was none
    nanocomposite   Δt ≥ 0:       Δw = η a₊ w (1 + tanh(-(Δt - μ₊)/τ₊))
                    Δt < 0:       Δw = η a₋ w (1 - tanh((Δt - μ₋)/τ₋))

The first is the post-synaptic rule of Diehl & Cook (2015). The second is what Demin et al. (2021)
and Sboev et al. (2021) measured of a nanocomposite memristor: a post spike is paired with the last
spike of each channel, a spike of a channel with the last post spike of each neuron.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shd_genn.learning.methods.stdp import STDP

Array = NDArray[np.float64]

NANOCOMPOSITE = {
    "potentiation": {"a": 0.0738, "mu_ms": 26.73, "tau_ms": 9.30},
    "depression": {"a": -0.0496, "mu_ms": -22.33, "tau_ms": -10.81},
}
"""Constants of the window, as the authors' NEST module has them."""
PAIRED_MS = 100.0
"""Spikes that are further apart than this change nothing: there the window is a millionth of
its greatest value."""


def nanocomposite(dt_ms: ArrayLike) -> Array:
    """Relative change Δw/w of the device when a pair of spikes is t_post - t_pre = ``dt_ms`` apart.

    Args:
        dt_ms: Differences in ms, of any shape. 0 counts as potentiation.
    """
    t = np.asarray(dt_ms, np.float64)
    up, down = NANOCOMPOSITE["potentiation"], NANOCOMPOSITE["depression"]
    rise = up["a"] * (1 + np.tanh(-(t - up["mu_ms"]) / up["tau_ms"]))
    fall = down["a"] * (1 - np.tanh((t - down["mu_ms"]) / down["tau_ms"]))
    change: Array = np.where(t >= 0, rise, fall)
    return change


def window_tables(method: STDP, n_steps: int, dt_ms: float) -> tuple[Array, Array]:
    """What a pair of spikes does, by its distance in steps: after a post spike, and before one.

    Args:
        method: The window and its constants.
        n_steps: Steps of a trial.
        dt_ms: Length of a step.

    Returns:
        float64, (n_steps,) each. Of the window trace the first is x and the second is 0;
        of nanocomposite they are Δw/w, 0 from `PAIRED_MS` on.
    """
    lags = np.arange(n_steps) * dt_ms
    if method.window == "trace":
        return np.exp(-lags / method.trace_tau_ms), np.zeros(n_steps)
    near = lags <= PAIRED_MS
    fall = np.where(near, nanocomposite(-np.where(lags > 0, lags, 1.0)), 0.0)
    fall[0] = 0.0  # spikes in one step are a rise
    return np.where(near, nanocomposite(lags), 0.0), fall


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit numbers (the finaliser of SplitMix64; Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        x = bits + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scrambled: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return scrambled


def uniform(bits: NDArray[np.uint64]) -> Array:
    """A number in (0, 1) for each of some scrambled 64-bit numbers."""
    numbers: Array = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return numbers


def normal(bits: NDArray[np.uint64]) -> Array:
    """A normally distributed number for each of some scrambled 64-bit numbers (Box & Muller)."""
    one, two = uniform(mix(bits ^ np.uint64(1))), uniform(mix(bits ^ np.uint64(2)))
    numbers: Array = np.sqrt(-2 * np.log(one)) * np.cos(2 * np.pi * two)
    return numbers
