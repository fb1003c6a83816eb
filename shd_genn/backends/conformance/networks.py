"""Small random networks and spikes that the suite and other tests of backends share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import Backend, BatchResult, CompileConfig, Simulator
from shd_genn.learning.methods import EventProp
from shd_genn.learning.objective import Objective, Regulariser
from shd_genn.network import (
    Clipped,
    Connection,
    Dense,
    Exponential,
    Gamma,
    LeakyIntegrateFire,
    Network,
    NeuronModel,
    Normal,
    Population,
    SpikeInput,
    Trainable,
    Uniform,
    output_neuron,
)
from shd_genn.network.formulas import Formula
from shd_genn.network.initialisers import Value
from shd_genn.network.learned_weight import LearnedWeight
from shd_genn.network.parts import DelayKind
from shd_genn.network.readouts import READOUTS, Readout
from shd_genn.spikes.events import Events

N_INPUTS, N_CLASSES, N_STEPS = 40, 5, 150
LARGEST_BATCH = 6
"""Samples of the largest batch, unless a backend takes fewer."""

CONFIG = CompileConfig(
    N_STEPS, objective=Objective(temperature=0.5, regulariser=Regulariser(1e-3, 2e-3, 3))
)
RATES = {"weight": 1e-3, "delay": 0.3, "tau_mem": 0.1, "tau_syn": 0.1, "v_thresh": 0.01}
RATES["readout_weight"] = 0.01
"""Learning rates by kind that change every parameter visibly."""

TOLERANCE = 1e-4
"""Of float32 against float64, relative to the largest number: sums over some hundred steps and
spikes lose a few of 24 bits."""

Arrays = Mapping[str, NDArray[np.floating]]
Batch = tuple[Events, NDArray[np.integer]]


WEIGHT = Formula(
    "o + d*(s-m)*exp(-(s-m)**2/(2*c**2))", (("c", 0.37), ("d", 2.3), ("m", 0.0), ("o", 0.3))
)
"""Of the readout ``weighted``: one that rises and falls."""
WEIGHTS: dict[Readout, Formula | LearnedWeight] = {
    "weighted": WEIGHT,
    "learned_weight": LearnedWeight(knots=5, per_class=True, smoothness=1e-3),
}
"""Of the readouts that are given a weight."""

ONE_OF_EACH: list[Readout] = [
    "avg_var_exp_weight",
    "learned_weight",
    "max_var",
    "var",
    "first_spike_time",
]
"""A readout for each way that the loss acts on the output."""
READOUTS_OF_NETWORKS = [(readout, True) for readout in READOUTS] + [
    (readout, False) for readout in ONE_OF_EACH
]
"""Readout, and whether the network is recurrent: every readout with recurrence, some without."""


def output_of(readout: Readout, tau_mem: Value = 20.0, v_thresh: Value = 1.0) -> NeuronModel:
    """The output neuron of a readout; its weight is that of `WEIGHTS`."""
    return output_neuron(readout, tau_mem, v_thresh, WEIGHTS.get(readout))


def layered_network(
    readout: Readout = "avg_var_exp_weight",
    *,
    recurrent: bool = True,
    hidden_sizes: tuple[int, ...] = (70, 20),
    w_in: Normal = Normal(0.2, 0.3),  # noqa: B008
    w_out: Normal = Normal(0.0, 1.0),  # noqa: B008
    tau_syn: float = 5.0,
) -> Network:
    """Layers with much activity; if recurrent, each also feeds itself."""
    synapse = Exponential(tau_syn)
    layers = [Population("input", SpikeInput(), N_INPUTS)]
    connections = []
    for i, size in enumerate(hidden_sizes):
        layer = Population(f"hidden{i}", LeakyIntegrateFire(), size)
        feed = w_in if i == 0 else Normal(0.1, 0.03)
        connections.append(Connection(layers[-1], layer, Dense(feed), synapse))
        if recurrent:
            connections.append(Connection(layer, layer, Dense(Normal(0.0, 0.2)), synapse))
        layers.append(layer)
    output = Population("output", output_of(readout), N_CLASSES)
    connections.append(Connection(layers[-1], output, Dense(w_out), synapse))
    return Network((*layers, output), tuple(connections))


def config_of(readout: Readout) -> CompileConfig:
    """`CONFIG` with a temperature at which no class is certain: a sum is N times an average."""
    objective = CONFIG.objective
    if readout == "sum_var":
        objective = replace(objective, temperature=objective.temperature * N_STEPS)
    return replace(CONFIG, objective=objective)


def network_with_spiking_outputs(readout: Readout) -> Network:
    """Outputs that inhibit each other, too."""
    network = layered_network(readout, w_out=Normal(0.2, 1.0))
    output = network.output
    lateral = Connection(output, output, Dense(Normal(-0.5, 0.1)), Exponential(5.0))
    return replace(network, connections=(*network.connections, lateral))


def learned_network(
    readout: Readout = "avg_var_exp_weight",
    delays: bool = False,
    delay_kind: DelayKind = "synaptic",
) -> Network:
    """Two layers, in which every kind of parameter is learned somewhere and fixed elsewhere.

    Time constants and thresholds of the first layer and of the output are learned; those of the
    second differ from neuron to neuron but stay. tau_mem and tau_syn come close to each other.
    """

    def learned(mean: float, low: float, high: float) -> Trainable:
        return Trainable(Clipped(Gamma(3, mean / 3), low, high), low, 2 * high)

    first = LeakyIntegrateFire(learned(20.0, 5, 60), Trainable(Normal(1.0, 0.1), low=0.3))
    second = LeakyIntegrateFire(Clipped(Gamma(3, 20 / 3), 3, 60), 1.0)
    synapse, into_output = Exponential(learned(5.0, 1, 15)), Exponential(Trainable(5.0, low=1))
    v_thresh = Trainable(1.0, low=0.1) if READOUTS[readout].spiking else 1.0
    source = Population("input", SpikeInput(), N_INPUTS)
    layers = Population("hidden0", first, 70), Population("hidden1", second, 20)
    last = output_of(readout, Trainable(20.0, low=3.0), v_thresh)
    output = Population("output", last, N_CLASSES)

    def connect(
        source: Population, target: Population, weight: Normal, synapse: Exponential, late: bool
    ) -> Connection:
        if not (delays and late):
            return Connection(source, target, Dense(weight), synapse)
        if target is output:
            return Connection(source, target, Dense(weight), synapse, 3.0, 3, False, delay_kind)
        delay = Uniform(0, 12)
        return Connection(source, target, Dense(weight), synapse, delay, 14, True, delay_kind)

    return Network(
        (source, *layers, output),
        (
            connect(source, layers[0], Normal(0.2, 0.3), synapse, late=True),
            connect(layers[0], layers[0], Normal(0, 0.2), synapse, late=True),
            connect(layers[0], layers[1], Normal(0.1, 0.3), Exponential(5.0), late=True),
            connect(layers[1], layers[1], Normal(0, 0.2), Exponential(5.0), late=False),
            connect(layers[1], output, Normal(0.5, 1), into_output, late=True),
        ),
    )


def random_events(n_samples: int, n_spikes: int = 300, seed: int = 0) -> Events:
    """Spikes at random times of random channels."""
    rng = np.random.default_rng(seed)
    return Events.of(
        [
            (rng.uniform(0, N_STEPS, n_spikes), rng.integers(0, N_INPUTS, n_spikes))
            for _ in range(n_samples)
        ]
    )


def random_labels(n_samples: int, seed: int = 0) -> NDArray[np.int64]:
    """A label for each sample."""
    return np.random.default_rng(seed).integers(0, N_CLASSES, n_samples)


def largest_batch(backend: Backend) -> int:
    """Samples of the largest batch that a backend is given: one for GeNN without a GPU."""
    return min(LARGEST_BATCH, backend.status().largest_batch or LARGEST_BATCH)


def compiled(backend: Backend, network: Network, config: CompileConfig = CONFIG) -> Simulator:
    """A network, compiled for EventProp and for the largest batch."""
    config = replace(config, batch_size=largest_batch(backend))
    return backend.compile(network, EventProp(), config)


def batches(backend: Backend, events: Events, labels: NDArray[np.integer]) -> list[Batch]:
    """The samples in as few batches as the backend can learn from."""
    size = largest_batch(backend)
    indices = [np.arange(i, min(i + size, len(labels))) for i in range(0, len(labels), size)]
    return [(events.take(chosen), labels[chosen]) for chosen in indices]


def largest_error(got: Arrays, expected: Arrays) -> float:
    """Largest difference over the arrays, each relative to its largest value."""
    assert got.keys() == expected.keys()
    return max(
        float(np.abs(got[name] - expected[name]).max() / np.abs(expected[name]).max())
        for name in expected
    )


def assert_same_spikes(got: BatchResult, expected: BatchResult) -> None:
    """The same number of each hidden neuron in each sample; and many of them."""
    assert all(counts.mean() > 3 for counts in expected.spike_counts.values())
    for name, counts in expected.spike_counts.items():
        np.testing.assert_array_equal(got.spike_counts[name], counts)


def assert_repeated(
    got: NDArray[np.floating], expected: NDArray[np.floating], exact: bool = True
) -> None:
    """The same array, computed twice: equal to the bit, or else within a few float32 roundings."""
    if exact:
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def assert_weights_repeated(got: Arrays, expected: Arrays, exact: bool = True) -> None:
    """Parameters after the same updates with a rate of 1e-3, computed twice.

    Adam divides a gradient by its own size, so that one that is but rounding moves its weight by as
    much as the rate; where runs do not repeat to the bit, a thousandth of the weights may do so.
    """
    assert got.keys() == expected.keys()
    for name, w in expected.items():
        if exact:
            np.testing.assert_array_equal(got[name], w)
        else:
            assert np.mean(np.abs(got[name] - w) > 1e-5) <= 1e-3
