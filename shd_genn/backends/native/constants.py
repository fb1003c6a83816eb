"""Constants of neurons, as the kernels use them: what their equations need, computed in float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.native.neuron_code import NeuronCode, neuron_code
from shd_genn.backends.reference.neurons import constants_of
from shd_genn.network import Network, Population
from shd_genn.network.initialisers import Parameter
from shd_genn.network.neurons.coefficients import coefficients_of

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
    keys = {f"{population.name}.{kind}" for kind in network.values_of(population)}
    return tuple(p for p in network.parameters if p.key in keys)


def code_of(population: Population, learned: tuple[str, ...], dt_ms: float) -> NeuronCode | None:
    """The functions of a population's neurons, if they are described by equations.

    Args:
        population: A population.
        learned: The parameters of its neurons that are learned.
        dt_ms: Length of a step in ms.
    """
    if not is_derived(population):
        return None
    derived = population.neuron.derived
    substeps = derived.substeps(dt_ms)
    # tables are numbers of the code, and depend on the sub-step; nothing else does
    return neuron_code(derived, learned, substeps, dt_ms / substeps if derived.table else None)


def is_derived(population: Population) -> bool:
    """Whether a population's neurons are computed by what is derived of their equations."""
    return not population.neuron.hand_written


def learned_of(network: Network, population: Population) -> tuple[str, ...]:
    """The parameters of a population's neurons that are learned, in the order of their arrays."""
    return tuple(p.kind for p in parameters_of(network, population) if p.trained)


def number_of_constants(network: Network, population: Population, dt_ms: float) -> int:
    """How many constants each neuron of a population has."""
    code = code_of(population, learned_of(network, population), dt_ms)
    return len(CONSTANTS) if code is None else len(code.constants.outputs)


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
    current = k.d_beta > 0  # none with delta synapses, which move V by their weights
    change = np.where(current, k.scale * k.d_beta, 1)
    rows = {
        "gain": np.where(current, (1 - alpha) * k.scale, 1),
        "adjoint_gain": k.cross,
        "by_syn_ratio": k.d_scale / change / ((1 - alpha) * k.scale),
        "by_mem_unit": k.d_alpha / (1 - k.alpha),
        "by_syn_unit": (1 - k.alpha) * k.scale * k.d_beta,
    }
    return np.array([rows[name] if name in rows else getattr(k, name) for name in CONSTANTS])


def derived_constants(
    network: Network,
    population: Population,
    parameters: Mapping[str, NDArray[np.floating]],
    dt_ms: float,
) -> NDArray[np.float64]:
    """The constants of neurons that are described by equations, (constants, neurons).

    There is one column if all neurons have the same. Arguments as in `constants`.
    """
    same = not parameters_of(network, population)
    size = 1 if same else population.size
    values = {
        name: np.full(size, float(value))
        if isinstance(value, float | int)
        else np.asarray(parameters[f"{population.name}.{name}"], np.float64)
        for name, value in network.values_of(population).items()
    }
    learned = learned_of(network, population)
    code = code_of(population, learned, dt_ms)
    assert code is not None
    tau_syn = values["tau_syn"]
    beta = np.exp(-dt_ms / tau_syn)
    values |= {
        "beta__syn": beta,
        "scale__syn": -tau_syn / dt_ms * np.expm1(-dt_ms / tau_syn),
        "beta__tau_syn": beta * dt_ms / tau_syn**2,
        "scale__tau_syn": -np.expm1(-dt_ms / tau_syn) / dt_ms - beta / tau_syn,
        "refractory__steps": np.floor(population.neuron.refractory_ms / dt_ms + 0.5),
    }
    derived = population.neuron.derived
    found = coefficients_of(derived, values, tau_syn, dt_ms, learned)
    rows = code.constants.evaluate({**values, **found}).values()
    return np.array([np.broadcast_to(row, size) for row in rows], np.float64)
