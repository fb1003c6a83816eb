"""Input of large connections is summed before a trial (input_stage.h): the same results."""

import numpy as np
import pytest
from helpers import networks

from shd_genn.backends.choice import get
from shd_genn.backends.conformance.networks import TOLERANCE
from shd_genn.backends.native import lower as lower_module
from shd_genn.backends.native.lower import lower
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
)

N_TRIALS = 19  # three groups of GROUP = 8 trials, the last smaller


def both_fed():
    """Two populations receive the input, of 65 and of 10 neurons."""
    source = Population("input", SpikeInput(), networks.N_INPUTS)
    one = Population("one", LeakyIntegrateFire(15.0), 65)
    two = Population("two", LeakyIntegrateFire(30.0, 0.7), 10)
    output = Population("output", LeakyIntegrate(20.0), networks.N_CLASSES)
    pairs = [(source, one), (source, two), (one, two), (two, one), (one, output), (two, output)]
    drawn, synapse = Dense(Normal(0.1, 0.3)), Exponential(5.0)
    return Network(
        (source, one, two, output), tuple(Connection(a, b, drawn, synapse) for a, b in pairs)
    )


@pytest.fixture(params=["both_fed", "learned"])
def network(request, monkeypatch):
    """Networks whose input connections all count as large."""
    monkeypatch.setattr(lower_module, "LARGE", 0)
    if request.param == "both_fed":
        return both_fed()
    return networks.learned_network()


def test_all_targets_of_the_input_but_not_through_delays(network):
    fed = [c.name for c in network.connections if c.source == network.input]
    assert [c.name for c in lower(network).summed] == fed
    assert not lower(networks.learned_network(delays=True)).summed


@pytest.mark.parametrize(
    ("n_inputs", "n_hidden", "summed"), [(7700, 512, True), (7700, 256, False), (700, 1024, False)]
)
def test_only_where_weights_are_too_many_for_a_cache(n_inputs, n_hidden, summed):
    """SHD's channels with and without a delay line of ten copies."""
    source = Population("input", SpikeInput(), n_inputs)
    hidden = Population("hidden", LeakyIntegrateFire(), n_hidden)
    output = Population("output", LeakyIntegrate(), 20)
    pairs = [(source, hidden), (hidden, hidden), (hidden, output)]
    connections = (Connection(a, b, Dense(Normal(0, 1)), Exponential(5.0)) for a, b in pairs)
    network = Network((source, hidden, output), tuple(connections))
    assert bool(lower(network).summed) == summed


def test_gradients_are_those_of_the_reference_for_any_number_of_threads(network):
    events, labels = networks.random_events(N_TRIALS), networks.random_labels(N_TRIALS)
    expected = Reference(network, CompileConfig(networks.N_STEPS)).gradient(events, labels)
    gradients = []
    for n_threads in (1, 2, 5):
        config = CompileConfig(networks.N_STEPS, n_threads=n_threads)
        with get("native").compile(network, EventProp(), config) as compiled:
            gradients.append(compiled.gradient(events, labels))
    for name, value in expected.items():
        np.testing.assert_array_equal(gradients[0][name], gradients[1][name])
        np.testing.assert_array_equal(gradients[0][name], gradients[2][name])
        assert np.abs(gradients[0][name] - value).max() < TOLERANCE * np.abs(value).max()


def test_evaluation_keeps_no_trials_and_gives_the_same(network):
    """It uses the memory of a trial for one of each group, in turn."""
    events, labels = networks.random_events(N_TRIALS), networks.random_labels(N_TRIALS)
    config = CompileConfig(networks.N_STEPS, n_threads=2)
    with get("native").compile(network, EventProp(), config) as compiled:
        evaluated = compiled.evaluate(events, labels)
        recorded = compiled.record(events)
        trained = compiled.train_batch(events, labels, 0.0)
    expected = Reference(network, config).evaluate(events, labels)
    for result in (evaluated, trained):
        np.testing.assert_array_equal(result.readout, evaluated.readout)
        for name, counts in expected.spike_counts.items():
            np.testing.assert_array_equal(result.spike_counts[name], counts)
            assert counts.sum() > N_TRIALS
            assert len(recorded.spikes[name].times_ms) == counts.sum()
