"""A run of the tiny dataset, and networks of random weights, to export."""

import numpy as np
import pytest
from helpers import networks, tiny

from shd_genn import fit
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.export.trained import TrainedNetwork

WORDS = ("a", "b", "c", "d", "e", "f")


@pytest.fixture(scope="session")
def run(data, tmp_path_factory):
    """A run that has learned the tiny dataset."""
    options = {"trial_ms": 120.0, "hidden_sizes": (20,), "w_in_mean": 0.2, "w_in_sd": 0.1}
    options |= {"learning_rate": 0.01, "shift_channels": 0.0, "batch_size": 16, "epochs": 8}
    options |= {"n_threads": 1, "softmax_temperature": 0.1, "validation": "none"}
    return fit(str(data), runs=tmp_path_factory.mktemp("runs"), name="tiny", **options)


@pytest.fixture(scope="session")
def test_set():
    """60 samples like those that it has learned."""
    return tiny.dataset(60, 7)


def trained_network(**settings):
    """A network of random weights, and what the reference answers to 12 samples."""
    network = networks.network(**settings)
    reference = Reference(network, CompileConfig(n_steps=networks.N_STEPS))
    words = WORDS[: networks.N_CLASSES]
    trained = TrainedNetwork(network, reference.parameters(), 1.0, networks.N_STEPS, words)
    events = networks.random_events(12)
    return trained, events, reference


def dense_input(reference, events):
    """The input spikes of some samples, (samples, steps, channels), of 0 and 1."""
    network, n_steps = reference.network, reference.config.n_steps
    spikes = reference.record(events).spikes[network.input.name]
    dense = np.zeros((len(events), n_steps, network.input.size), np.float32)
    for i in range(len(events)):
        times_ms, channels = spikes.sample(i)
        dense[i, np.round(times_ms / reference.config.dt_ms).astype(int), channels] = 1
    return dense
