"""Small random networks and spikes that backend tests share, and the backends to test."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from shd_genn import backends
from shd_genn.backends.protocols import BatchResult, CompileConfig, Differentiable, require_gradient
from shd_genn.config import Config
from shd_genn.learning.methods import EventProp
from shd_genn.network import (
    Clipped,
    Connection,
    Dense,
    Exponential,
    Gamma,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
    Trainable,
    Uniform,
    output_neuron,
)
from shd_genn.network.model_files import build_network
from shd_genn.network.settings import ModelConfig
from shd_genn.spikes.events import Events

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


def learned_network(readout="avg_var_exp_weight", delays=False) -> Network:
    """Two layers, in which every kind of parameter is learned somewhere and fixed elsewhere.

    Time constants and thresholds of the first layer and of the output are learned; those of the
    second differ from neuron to neuron but stay. tau_mem and tau_syn come close to each other.
    """

    def learned(mean, low, high):
        return Trainable(Clipped(Gamma(3, mean / 3), low, high), low, 2 * high)

    first = LeakyIntegrateFire(learned(20.0, 5, 60), Trainable(Normal(1.0, 0.1), low=0.3))
    second = LeakyIntegrateFire(Clipped(Gamma(3, 20 / 3), 3, 60), 1.0)
    tau_out, synapse = Trainable(20.0, low=3.0), Exponential(learned(5.0, 1, 15))
    last = output_neuron(readout, tau_out, Trainable(1.0, low=0.1))
    if isinstance(last, LeakyIntegrate):
        last = output_neuron(readout, tau_out)
    source = Population("input", SpikeInput(), N_INPUTS)
    layers = Population("hidden0", first, 70), Population("hidden1", second, 20)
    output = Population("output", last, N_CLASSES)
    late = {"delay": Uniform(0, 12), "max_delay_steps": 14, "train_delay": True} if delays else {}
    fixed = {"delay": 3.0, "max_delay_steps": 3} if delays else {}
    return Network(
        (source, *layers, output),
        (
            Connection(source, layers[0], Dense(Normal(0.2, 0.3)), synapse, **late),
            Connection(layers[0], layers[0], Dense(Normal(0, 0.2)), synapse, **late),
            Connection(layers[0], layers[1], Dense(Normal(0.1, 0.3)), Exponential(5.0), **late),
            Connection(layers[1], layers[1], Dense(Normal(0, 0.2)), Exponential(5.0)),
            Connection(
                layers[1],
                output,
                Dense(Normal(0.5, 1)),
                Exponential(Trainable(5.0, low=1)),
                **fixed,
            ),
        ),
    )


RATES = {"weight": 1e-3, "delay": 0.3, "tau_mem": 0.1, "tau_syn": 0.1, "v_thresh": 0.01}


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


def assert_same_spikes(got: BatchResult, wanted: BatchResult) -> None:
    """The same number of each hidden neuron in each sample; and many of them."""
    assert all(counts.mean() > 3 for counts in wanted.spike_counts.values())
    for name, counts in wanted.spike_counts.items():
        np.testing.assert_array_equal(got.spike_counts[name], counts)


def backend_params() -> list:
    """Every backend as a parameter of a test; GeNN's is skipped where it is not installed."""
    params = []
    for name in backends.BACKENDS:
        status = backends.load(name).status()
        marks = [pytest.mark.skipif(not status.usable, reason=status.why)]
        params.append(pytest.param(name, marks=[*marks, *[pytest.mark.genn] * (name == "genn")]))
    return params


@dataclass(frozen=True)
class Tested:
    """A backend, and the largest batch it learns from: one sample for GeNN without a GPU."""

    name: str

    @property
    def largest_batch(self) -> int:
        return backends.load(self.name).status().largest_batch or 6

    def compile(self, network: Network, config: CompileConfig) -> Differentiable:
        config = replace(config, batch_size=self.largest_batch)
        return require_gradient(backends.get(self.name).compile(network, EventProp(), config))

    def batches(self, events: Events, labels: np.ndarray) -> list[tuple[Events, np.ndarray]]:
        """The samples in as few batches as the backend can learn from."""
        starts = range(0, len(labels), self.largest_batch)
        indices = [np.arange(len(labels))[i : i + self.largest_batch] for i in starts]
        return [(events.take(chosen), labels[chosen]) for chosen in indices]
