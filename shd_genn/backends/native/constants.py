"""Constants of neurons, as the kernels use them: what their equations need, computed in float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.reference.neurons import constants_of
from shd_genn.backends.reference.sensitivities import DERIVATIVES
from shd_genn.network import Network, Population
from shd_genn.network.initialisers import Parameter

SHARED: dict[str, str] = {
    "alpha": "exp(-dt / tau_mem)",
    "beta": "exp(-dt / tau_syn)",
    "gain": "(1 - alpha) S, S = tau_syn/dt (1 - beta): from x to V",
    "adjoint_gain": "tau_mem/(tau_mem - tau_syn) (alpha - beta): from lambda_V to lambda_I",
    "tau_syn": "ms",
    "v_thresh": "infinite if the neuron never spikes",
}
"""Constants that all neurons need, and what they are."""

OF_LEARNING: dict[str, str] = {
    "by_syn_ratio": "S'/(S beta') / ((1 - alpha) S), S' and beta' the derivatives by tau_syn",
    "tau_mem": "ms",
    "by_mem_unit": "alpha' / (1 - alpha), alpha' the derivative by tau_mem",
    "by_syn_unit": "(1 - alpha) S beta'",
}
"""Constants that only neurons need whose own parameters are learned."""

CONSTANTS: tuple[str, ...] = (*SHARED, *OF_LEARNING)
"""All constants, in the order in which kernels find them."""


def parameters_of(network: Network, population: Population) -> tuple[Parameter, ...]:
    """The parameters of a population's neurons, if they differ; then no constants are shared."""
    keys = {f"{population.name}.{kind}" for kind in DERIVATIVES}
    return tuple(p for p in network.parameters if p.key in keys)


def constants(
    network: Network,
    population: Population,
    parameters: Mapping[str, NDArray[np.floating]],
    dt_ms: float,
) -> NDArray[np.float64]:
    """`CONSTANTS` of each neuron of a population, (constants, neurons).

    Args:
        network: The network.
        population: A population of it that is not the input.
        parameters: Those `Parameters` that the population's constants depend on.
        dt_ms: Length of a step in ms.
    """
    k = constants_of(network, population, parameters, dt_ms)
    # GeNN subtracts the alpha that it has rounded. The exact difference is 6e-7 apart: enough to
    # move a spike near the threshold in 1 of 100 trials, always to the same side
    alpha = k.alpha.astype(np.float32).astype(np.float64)
    rows = {
        "gain": (1 - alpha) * k.scale,
        "adjoint_gain": k.cross,
        "by_syn_ratio": k.d_scale / (k.scale * k.d_beta) / ((1 - alpha) * k.scale),
        "by_mem_unit": k.d_alpha / (1 - k.alpha),
        "by_syn_unit": (1 - k.alpha) * k.scale * k.d_beta,
    }
    return np.array([rows[name] if name in rows else getattr(k, name) for name in CONSTANTS])
