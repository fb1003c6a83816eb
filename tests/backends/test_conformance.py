"""One suite that every backend passes: what `Compiled` promises."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import networks

from shd_genn import backends
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.objective import FirstSpikeLoss, Objective, Regulariser
from shd_genn.network import Connection, Dense, Exponential, Normal
from shd_genn.network.readouts import READOUTS
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError

CONFIG = CompileConfig(
    networks.N_STEPS, objective=Objective(temperature=0.5, regulariser=Regulariser(1e-3, 2e-3, 3))
)

# float32 against float64, over some hundred steps and spikes: a few units in the last of 24 bits
TOLERANCE = 1e-4


@pytest.fixture(params=networks.backend_params())
def backend(request):
    return networks.Tested(request.param)


def truth(network, config=CONFIG):
    return Reference(network, config, np.float64)


# every readout, and every way that one acts on an output without recurrence
CASES = [("recurrent", readout) for readout in READOUTS] + [
    ("feedforward", readout)
    for readout in ("avg_var_exp_weight", "max_var", "var", "first_spike_time_exp")
]


@pytest.mark.parametrize(("model", "readout"), CASES)
def test_agrees_with_the_reference(backend, model, readout):
    if backend.name == "genn" and model == "feedforward" and readout != "avg_var":
        pytest.skip("GeNN's code takes seconds to build; a recurrent network has the same parts")
    network = networks.network(model=model, readout=readout)
    events, labels = networks.random_events(6), networks.random_labels(6)
    expected = truth(network)
    with backend.compile(network, CONFIG) as compiled:
        result, wanted = compiled.evaluate(events, labels), expected.evaluate(events, labels)
        networks.assert_same_spikes(result, wanted)
        np.testing.assert_array_equal(result.input_spikes, wanted.input_spikes)
        scale = np.abs(wanted.readout).max()
        np.testing.assert_allclose(result.readout, wanted.readout, atol=TOLERANCE * scale)
        for batch in backend.batches(events, labels):
            gradient = compiled.gradient(*batch)
            assert networks.largest_error(gradient, expected.gradient(*batch)) < TOLERANCE
        for _ in range(3):
            for batch in backend.batches(events, labels):
                compiled.train_batch(*batch, 1e-3)
                expected.train_batch(*batch, 1e-3)
        # Adam divides gradients by their own size: each weight moves by about the rate, 1e-3. In
        # batches of one sample some gradients are but rounding, and so is where Adam then goes.
        strays = 0 if backend.largest_batch > 1 else 1e-3
        for name, w in expected.parameters().items():
            assert np.mean(np.abs(compiled.parameters()[name] - w) > 1e-5) <= strays


def network_with_spiking_outputs(readout):
    """Outputs that inhibit each other, as well."""
    network = networks.network(readout=readout, w_out_mean=0.2)
    output = network.output
    lateral = Connection(output, output, Dense(Normal(-0.5, 0.1)), Exponential(5.0))
    return replace(network, connections=(*network.connections, lateral))


@pytest.mark.parametrize("readout", ["first_spike_time", "first_spike_time_exp"])
def test_first_spikes_and_silent_outputs(backend, readout):
    network = network_with_spiking_outputs(readout)
    config = replace(
        CONFIG, objective=replace(CONFIG.objective, first_spike=FirstSpikeLoss(20.0, 50.0, 0.5))
    )
    events, expected = networks.random_events(6), truth(network, config)
    first = -expected.evaluate(events).readout
    silent = first == networks.N_STEPS
    assert silent.any(axis=1).sum() >= 2 and (~silent).any(axis=1).all()
    # the latest output is the right one: silent where there is one that is
    labels = first.argmax(axis=1)
    with backend.compile(network, config) as compiled:
        result, wanted = compiled.evaluate(events, labels), expected.evaluate(events, labels)
        np.testing.assert_allclose(result.readout, wanted.readout, rtol=1e-6)
        np.testing.assert_allclose(result.loss, wanted.loss, rtol=TOLERANCE)
        np.testing.assert_array_equal(result.predictions, first.argmin(axis=1))
        assert set(result.spike_counts) == {"hidden0", "hidden1"}
        for batch in backend.batches(events, labels):
            gradient = expected.gradient(*batch)
            assert networks.largest_error(compiled.gradient(*batch), gradient) < TOLERANCE
        spikes = compiled.record(events).spikes["output"]
    for trial, (times, neurons) in enumerate(spikes.sample(i) for i in range(6)):
        for k in range(networks.N_CLASSES):
            assert min(times[neurons == k], default=networks.N_STEPS) == first[trial, k]


def test_spikes_and_voltages_are_recorded(backend):
    network, events = networks.network(), networks.random_events(3)
    with backend.compile(network, CONFIG) as compiled:
        got, expected = compiled.record(events), truth(network).record(events)
    assert set(got.spikes) == {"input", "hidden0", "hidden1"}
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(got.spikes[name].times_ms, spikes.times_ms)
        np.testing.assert_array_equal(got.spikes[name].channels, spikes.channels)
    scale = np.abs(expected.voltages).max()
    np.testing.assert_allclose(got.voltages, expected.voltages, atol=TOLERANCE * scale)


def test_trials_know_nothing_of_each_other(backend):
    """mlGeNN lets currents and spikes of one trial run on into the next."""
    network, events = networks.network(), networks.random_events(2)
    with backend.compile(network, CONFIG) as compiled:
        there = compiled.evaluate(events).readout
        back = compiled.evaluate(events.take(np.array([1, 0]))).readout
        alone = compiled.evaluate(events.take(np.array([1]))).readout
    np.testing.assert_array_equal(there, back[::-1])
    np.testing.assert_array_equal(there[1:], alone)


def test_spikes_until_the_last_step(backend):
    """A spike in mlGeNN's last step takes its neuron's whole gradient away."""
    network = networks.network()
    rng = np.random.default_rng(1)
    times = np.concatenate([rng.uniform(0, networks.N_STEPS, 400), np.full(40, 149.0)])
    channels = np.concatenate([rng.integers(0, networks.N_INPUTS, 400), np.arange(40)])
    events, labels = Events.of([(times, channels)]), np.array([2])
    # hidden spikes in the last step too: the current does not stop before it
    recorded = truth(network).record(events)
    assert (recorded.spikes["hidden0"].times_ms == 149).any()
    assert (recorded.spikes["input"].times_ms == 149).sum() == 40
    with backend.compile(network, CONFIG) as compiled:
        gradient = compiled.gradient(events, labels)
    assert networks.largest_error(gradient, truth(network).gradient(events, labels)) < TOLERANCE
    assert all(np.abs(g).sum(axis=1).min() >= 0 for g in gradient.values())
    assert (np.abs(gradient["input_hidden0"]).sum(axis=1) > 0).all()


def test_the_last_spike_changes_nothing(backend):
    """A spike of the last step would arrive after the trial: all gradients stay as without it."""
    network, labels = networks.network(), np.array([0])
    times, channels = networks.random_events(1, 200).sample(0)
    early = times < 140
    without = Events.of([(times[early], channels[early])])
    late = Events.of([(np.append(times[early], 149.0), np.append(channels[early], 7))])
    with backend.compile(network, CONFIG) as compiled:
        expected, got = compiled.gradient(without, labels), compiled.gradient(late, labels)
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name])


def test_more_spikes_than_any_buffer(backend):
    """Every neuron spikes in nearly every step; none is left out of the gradient."""
    network = networks.network(hidden_sizes=(20,), w_in_mean=30.0)
    events = networks.random_events(2, 3000)
    labels = np.array([0, 1])
    with backend.compile(network, CONFIG) as compiled:
        counts = compiled.evaluate(events).spike_counts["hidden0"]
        assert counts.mean() > 0.8 * networks.N_STEPS
        for batch in backend.batches(events, labels):
            expected = truth(network).gradient(*batch)
            assert networks.largest_error(compiled.gradient(*batch), expected) < TOLERANCE


def test_silent_networks_and_empty_samples(backend):
    network = networks.network(w_in_mean=0.0, w_in_sd=0.0)
    nothing = Events.of([(np.zeros(0), np.zeros(0, int)), (np.array([3.0]), np.array([1]))])
    labels = np.array([0, 1])
    with backend.compile(network, CONFIG) as compiled:
        batches = backend.batches(nothing, labels)
        results = [compiled.train_batch(*batch, 1e-3) for batch in batches]
        for result in results:
            assert all((counts == 0).all() for counts in result.spike_counts.values())
            np.testing.assert_allclose(result.loss, np.log(networks.N_CLASSES), rtol=1e-6)
        np.testing.assert_array_equal(np.concatenate([r.input_spikes for r in results]), [0, 1])
        for name, w in compiled.parameters().items():  # nothing spiked, so nothing is learned
            np.testing.assert_array_equal(w, network.initial_parameters(0)[name])
        assert compiled.evaluate(nothing.take(np.arange(0))).readout.shape == (0, 5)


def test_coincident_spikes_of_a_channel_queue(backend):
    """None is lost or merged: the others follow in the next steps, in whatever order they come."""
    network = networks.network()
    burst = Events.of([(np.array([10.0, 10.0, 10.0, 11.0]), np.array([3, 3, 3, 4]))])
    with backend.compile(network, CONFIG) as compiled:
        spikes = compiled.record(burst).spikes["input"]
    times = {c: spikes.times_ms[spikes.channels == c].tolist() for c in (3, 4)}
    assert times == {3: [10.0, 11.0, 12.0], 4: [11.0]}


def test_spikes_between_steps_wait_for_the_next(backend):
    network = networks.network()
    events = Events.of([(np.array([0.0, 0.2, 1.0, 149.0, 149.1, 5000.0]), np.arange(6))])
    with backend.compile(network, CONFIG) as compiled:
        spikes = compiled.record(events).spikes["input"]
    assert dict(zip(spikes.channels.tolist(), spikes.times_ms.tolist(), strict=True)) == {
        0: 0.0,
        1: 1.0,
        2: 1.0,
        3: 149.0,
    }


def test_same_seed_same_weights_and_others_differ(backend):
    network = networks.network()
    draws = [
        backend.compile(network, CompileConfig(networks.N_STEPS, seed=s)).parameters()
        for s in (3, 3, 4)
    ]
    for name in draws[0]:
        np.testing.assert_array_equal(draws[0][name], draws[1][name])
        assert (draws[0][name] != draws[2][name]).any()


def test_state_goes_on_where_it_was(backend):
    """Weights and optimiser state in another engine lead to the same weights, to the bit."""
    network = networks.network()
    events, labels = networks.random_events(4), networks.random_labels(4)
    with backend.compile(network, CONFIG) as one, backend.compile(network, CONFIG) as other:
        batches = backend.batches(events, labels)
        for batch in batches:
            one.train_batch(*batch, 1e-3)
        other.set_parameters(one.parameters())
        other.set_optimiser_state(one.optimiser_state())
        for compiled in (one, other):
            for batch in batches:
                compiled.train_batch(*batch, 1e-3)
        for name, w in one.parameters().items():
            np.testing.assert_array_equal(other.parameters()[name], w)


def test_learning_rates_by_kind(backend):
    """One number is a rate for every kind; a kind that is learned must not be left out."""
    network = networks.network()
    events, labels = networks.random_events(1), networks.random_labels(1)
    with backend.compile(network, CONFIG) as one, backend.compile(network, CONFIG) as other:
        one.train_batch(events, labels, 1e-3)
        other.train_batch(events, labels, {"weight": 1e-3, "delay": 0.1})
        for name, w in one.parameters().items():
            np.testing.assert_array_equal(other.parameters()[name], w)
        with pytest.raises(
            ConfigError, match=r"is learned, but the learning rates .* have none for weight"
        ):
            one.train_batch(events, labels, {"delay": 0.1})
        for name, w in one.parameters().items():
            np.testing.assert_array_equal(other.parameters()[name], w)


def test_channel_beyond_the_inputs_is_refused(backend):
    events = Events.of([(np.array([1.0]), np.array([networks.N_INPUTS]))])
    with (
        backend.compile(networks.network(), CONFIG) as compiled,
        pytest.raises(ConfigError, match=r"channel < number of input neurons.*channel 40 of 40"),
    ):
        compiled.evaluate(events)


def test_weights_of_another_shape_are_refused(backend):
    with backend.compile(networks.network(), CONFIG) as compiled:
        other = networks.network(hidden_sizes=(70, 21)).initial_parameters(0)
        before = compiled.parameters()
        with pytest.raises(ConfigError, match=r"network has parameters of shapes .*, but got"):
            compiled.set_parameters(other)
        for name, w in compiled.parameters().items():
            np.testing.assert_array_equal(w, before[name])


def test_a_backend_asked_for_by_name_is_used_or_fails():
    with pytest.raises(
        ConfigError, match=r"there is no backend 'gpu'; choose one of genn, native, reference$"
    ):
        backends.get("gpu")


def test_nothing_is_learned_from_no_samples(backend):
    """Least of all what the batch before it said."""
    network, events = networks.network(), networks.random_events(1)
    nothing = events.take(np.arange(0)), np.arange(0)
    with backend.compile(network, CONFIG) as compiled:
        before = compiled.parameters()
        compiled.gradient(events, np.array([0]))
        for learn in (compiled.gradient, lambda *batch: compiled.train_batch(*batch, 0.1)):
            with pytest.raises(ConfigError, match="1 <= samples of a batch must hold, but got 0"):
                learn(*nothing)
        for key, array in compiled.parameters().items():
            np.testing.assert_array_equal(array, before[key])
        assert len(compiled.evaluate(*nothing).loss) == 0
