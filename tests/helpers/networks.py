"""Networks of our model files for tests of backends, and the backends to test."""

import pytest

from helpers import emulation
from shd_genn import backends
from shd_genn.backends.conformance.networks import (
    N_CLASSES,
    N_INPUTS,
    N_STEPS,
    RATES,
    assert_repeated,
    assert_weights_repeated,
    largest_error,
    learned_network,
    random_events,
    random_labels,
)
from shd_genn.backends.protocols import Backend
from shd_genn.config import Config
from shd_genn.network import Network
from shd_genn.network.model_files import build_network
from shd_genn.network.settings import ModelConfig

__all__ = [
    "N_CLASSES",
    "N_INPUTS",
    "N_STEPS",
    "RATES",
    "assert_repeated",
    "assert_weights_repeated",
    "backend",
    "backend_params",
    "largest_error",
    "learned_network",
    "network",
    "random_events",
    "random_labels",
]


def network(**settings) -> Network:
    """A network of two layers with much activity, unless settings change it."""
    defaults = {
        "hidden_sizes": (70, 20),
        "w_in_mean": 0.2,
        "w_in_sd": 0.3,
        "w_rec_sd": 0.2,
        "w_hidden_mean": 0.1,
        "w_out_sd": 1.0,
    }
    model = ModelConfig(n_inputs=N_INPUTS, n_classes=N_CLASSES, **(defaults | settings))
    return build_network(Config(model=model))


def backend_params() -> list:
    """Every backend as a parameter of a test; GeNN's is skipped where it is not installed."""
    params = []
    for name in backends.BACKENDS:
        status = backend(name).status()
        marks = [pytest.mark.skipif(not status.usable, reason=status.why)]
        params.append(pytest.param(name, marks=[*marks, *[pytest.mark.genn] * (name == "genn")]))
    return params


def backend(name: str) -> Backend:
    """A backend for tests: cuda is emulated where there is no GPU."""
    found = backends.load(name)
    return emulation.BACKEND if name == "cuda" and not found.status().usable else found
