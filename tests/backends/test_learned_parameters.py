"""What is learned besides weights, on the backends that can: the same suite for both."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import networks

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.objective import Objective, Regulariser
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrateFire,
    Network,
    Normal,
    Uniform,
)
from shd_genn.spikes.events import Events

CONFIG = CompileConfig(
    networks.N_STEPS, objective=Objective(regulariser=Regulariser(1e-3, 2e-3, 3))
)

# float32 against float64, over some hundred steps and spikes: a few units in the last of 24 bits
TOLERANCE = 1e-4


@pytest.fixture(params=["native", "reference"])
def backend(request):
    return networks.Tested(request.param)


def truth(network):
    return Reference(network, CONFIG, np.float64)


# one readout for each way that the loss acts on the output
LEARNED = [("avg_var_exp_weight", False), ("avg_var_exp_weight", True), ("max_var", False)]
LEARNED += [("var", False), ("first_spike_time", True)]


@pytest.mark.parametrize(("readout", "delays"), LEARNED)
def test_all_that_is_learned_agrees_with_the_reference(backend, readout, delays):
    network = networks.learned_network(readout, delays)
    events, labels = networks.random_events(6), networks.random_labels(6)
    expected = truth(network)
    with backend.compile(network, CONFIG) as compiled:
        result, wanted = compiled.evaluate(events, labels), expected.evaluate(events, labels)
        networks.assert_same_spikes(result, wanted)
        gradient = compiled.gradient(events, labels)
        assert networks.largest_error(gradient, expected.gradient(events, labels)) < TOLERANCE
        for _ in range(3):
            compiled.train_batch(events, labels, networks.RATES)
            expected.train_batch(events, labels, networks.RATES)
        initial = network.initial_parameters(0)
        for parameter in network.parameters:
            got, wanted = (c.parameters()[parameter.key] for c in (compiled, expected))
            # Adam moves everything by about its rate, whatever the gradient's size
            atol = 1e-2 * networks.RATES[parameter.kind]
            np.testing.assert_allclose(got, wanted, rtol=0, atol=atol)
            assert (got != initial[parameter.key]).any() == parameter.trained
            assert got.min() >= parameter.low and got.max() <= parameter.high


def test_updates_stay_within_bounds(backend):
    network = networks.learned_network(delays=True)
    events, labels = networks.random_events(4), networks.random_labels(4)
    with backend.compile(network, CONFIG) as compiled:
        for _ in range(5):
            compiled.train_batch(events, labels, dict.fromkeys(networks.RATES, 50.0))
        for p in network.parameters:
            if p.trained and p.kind != "weight":
                array = compiled.parameters()[p.key]
                assert np.isfinite(array).all() and (array >= np.float32(p.low)).all(), p.key
                assert (array <= np.float32(p.high)).all(), p.key
                # some wanted to go further
                assert np.isin(array, [np.float32(p.low), np.float32(p.high)]).any(), p.key
        assert np.isfinite(compiled.evaluate(events, labels).loss).all()


def test_delays_are_whole_steps_after_the_usual_one(backend):
    """Rounded, halves up; what would arrive after the trial does nothing."""
    source, hidden = (networks.learned_network().populations[i] for i in (0, 1))
    hidden = replace(hidden, neuron=LeakyIntegrateFire(), size=1)
    output = networks.network().output
    synapse, strong = Exponential(5.0), Dense(Normal(100.0, 0.0))
    late = Connection(source, hidden, strong, synapse, Uniform(0, 9), 200)
    network = Network((source, hidden, output), (late, Connection(hidden, output, strong, synapse)))
    parameters = network.initial_parameters(0)
    delays = np.zeros((networks.N_INPUTS, 1), np.float32)
    delays[:5, 0] = [0.49, 0.5, 7, 138, 139]
    first = []
    with backend.compile(network, CONFIG) as compiled:
        compiled.set_parameters(parameters | {"input_hidden0.delay": delays})
        for channel in range(5):
            recorded = compiled.record(Events.of([(np.array([10.0]), np.array([channel]))]))
            first.append(recorded.spikes["hidden0"].times_ms[:1].tolist())
    # one step to arrive, plus the delay; the last step of the trial is 149
    assert first == [[11.0], [12.0], [18.0], [149.0], []]


def test_equal_time_constants(backend):
    """τ_mem/(τ_mem - τ_syn) has a limit where the two meet."""
    events, labels = networks.random_events(3), networks.random_labels(3)
    near, equal = (networks.network(tau_syn_ms=tau, w_in_mean=0.1) for tau in (20.0001, 20.0))
    with backend.compile(near, CONFIG) as one, backend.compile(equal, CONFIG) as other:
        gradient = other.gradient(events, labels)
        # the constants differ by 5e-6, which spikes on the grid multiply
        assert networks.largest_error(gradient, one.gradient(events, labels)) < 1e-3


def test_state_goes_on_where_it_was(backend):
    """Parameters and optimiser state in another engine lead to the same ones, to the bit."""
    network = networks.learned_network(delays=True)
    events, labels = networks.random_events(4), networks.random_labels(4)
    with backend.compile(network, CONFIG) as one, backend.compile(network, CONFIG) as other:
        one.train_batch(events, labels, networks.RATES)
        other.set_parameters(one.parameters())
        other.set_optimiser_state(one.optimiser_state())
        for compiled in (one, other):
            compiled.train_batch(events, labels, networks.RATES)
        for key, array in one.parameters().items():
            np.testing.assert_array_equal(other.parameters()[key], array)
