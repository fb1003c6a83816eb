"""Networks of random weights to export, with what the reference answers."""

import numpy as np

from helpers import networks
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.export.trained import TrainedNetwork

WORDS = ("a", "b", "c", "d", "e", "f")


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
