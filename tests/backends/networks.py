"""Small random networks and spikes that backend tests share."""

import numpy as np

from shd_genn.config import Config, ModelConfig
from shd_genn.events import Events
from shd_genn.model import build_network
from shd_genn.network import Network

N_INPUTS, N_CLASSES, N_STEPS = 40, 5, 150


def network(**settings) -> Network:
    """A network of two layers with much activity, unless told otherwise."""
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


def random_events(n_samples: int, n_spikes: int = 300, seed: int = 0) -> Events:
    rng = np.random.default_rng(seed)
    return Events.of(
        [
            (rng.uniform(0, N_STEPS, n_spikes), rng.integers(0, N_INPUTS, n_spikes))
            for _ in range(n_samples)
        ]
    )


def random_labels(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, N_CLASSES, n_samples)


def largest_error(got: dict, expected: dict) -> float:
    """Largest difference over the arrays, each relative to its largest value."""
    assert got.keys() == expected.keys()
    return max(
        float(np.abs(got[name] - expected[name]).max() / np.abs(expected[name]).max())
        for name in expected
    )
