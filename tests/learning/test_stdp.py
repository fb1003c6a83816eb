"""STDP: both backends agree, windows are the published ones, and devices do what they claim."""

import numpy as np
import pytest

from shd_genn import backends
from shd_genn.backends.conformance.networks import layered_network, learned_network
from shd_genn.backends.protocols import CompileConfig
from shd_genn.config import Config
from shd_genn.config.flat import update
from shd_genn.learning.methods import STDP, RewardSTDP
from shd_genn.learning.methods.operations import training_operations
from shd_genn.learning.methods.plasticity import (
    NANOCOMPOSITE,
    mix,
    nanocomposite,
    normal,
    window_tables,
)
from shd_genn.learning.objective import Objective
from shd_genn.learning.reader import Reader
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
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError

N_INPUTS, N_HIDDEN, N_CLASSES, N_STEPS = 40, 12, 3, 120
CONFIG = CompileConfig(n_steps=N_STEPS, seed=3, batch_size=12)


def layer(w_in=0.6):
    inputs = Population("input", SpikeInput(), N_INPUTS)
    hidden = Population("hidden", LeakyIntegrateFire(tau_mem=20.0), N_HIDDEN)
    output = Population("output", LeakyIntegrate(tau_mem=20.0, readout="avg_var"), N_CLASSES)
    synapse = Exponential(5.0)
    return Network(
        (inputs, hidden, output),
        (
            Connection(inputs, hidden, Dense(Normal(w_in, 0.05)), synapse),
            Connection(hidden, output, Dense(Normal(0.0, 0.03)), synapse),
        ),
    )


def words(n, seed=0):
    """Each word has channels of its own, and noise on all."""
    rng, labels = np.random.default_rng(seed), np.arange(n) % N_CLASSES
    samples = []
    for label in labels:
        own, noise = rng.integers(13 * label, 13 * label + 13, 120), rng.integers(0, N_INPUTS, 60)
        samples.append((rng.uniform(0, N_STEPS, 180), np.append(own, noise)))
    return Events.of(samples), labels


def compiled(method, backend="native", network=None, config=CONFIG):
    return backends.load(backend).compile(network or layer(), method, config)


METHODS = [
    STDP(inhibition=1.0),
    STDP(window="nanocomposite", reader="labels"),
    STDP(window="nanocomposite", device_levels=16, device_noise=0.05, device_spread=0.3),
    STDP(control="frozen", theta_jump=0.02),
    STDP(control="counts"),
    RewardSTDP(),
    RewardSTDP(window="nanocomposite", device_levels=32, device_noise=0.1, reader="linear"),
]


@pytest.mark.parametrize(
    "method", METHODS, ids=lambda m: f"{m.kind}-{m.window}-{m.reader}-{m.control}-{m.device_levels}"
)
def test_native_is_the_reference(method):
    """Both add in the same order, in float64, and what is saved is float32: all are equal."""
    (events, labels), (others, _) = words(12), words(6, seed=1)
    got, expected = compiled(method), compiled(method, "reference")
    for _ in range(2):
        one, two = (s.train_batch(events, labels, {"weight": 0.3}) for s in (got, expected))
        np.testing.assert_array_equal(one.spike_counts["hidden"], two.spike_counts["hidden"])
        np.testing.assert_array_equal(one.input_spikes, two.input_spikes)
        np.testing.assert_allclose(one.loss, two.loss, rtol=1e-5)
    for key, array in expected.parameters().items():
        np.testing.assert_allclose(got.parameters()[key], array, rtol=1e-6, atol=1e-7)
    for which in (others, events):
        one, two = got.evaluate(which), expected.evaluate(which)
        np.testing.assert_array_equal(one.spike_counts["hidden"], two.spike_counts["hidden"])
        np.testing.assert_allclose(one.readout, two.readout, atol=1e-5)
    if method.control == "none":
        assert one.spike_counts["hidden"].sum() > len(events)
        assert (
            got.parameters()["input_hidden"] != compiled(method).parameters()["input_hidden"]
        ).any()


def test_window_of_the_memristor():
    """The constants of the published table, and what they make of pairs of spikes."""
    assert NANOCOMPOSITE["potentiation"] == {"a": 0.0738, "mu_ms": 26.73, "tau_ms": 9.30}
    assert NANOCOMPOSITE["depression"] == {"a": -0.0496, "mu_ms": -22.33, "tau_ms": -10.81}
    # by hand: half of the rise at mu, all of it (twice a) long before, none long after
    assert nanocomposite(26.73) == pytest.approx(0.0738)
    assert nanocomposite(-22.33) == pytest.approx(-0.0496)
    assert nanocomposite(0.0) == pytest.approx(0.0738 * (1 + np.tanh(26.73 / 9.30)))
    assert nanocomposite(5.0) == pytest.approx(0.14624, abs=1e-5)
    assert nanocomposite(-5.0) == pytest.approx(-0.09534, abs=1e-5)
    assert np.abs(nanocomposite([-100.0, 100.0])).max() < 1e-6
    rise, fall = window_tables(STDP(window="nanocomposite"), 200, 1.0)
    np.testing.assert_allclose(rise[:101], nanocomposite(np.arange(101.0)))
    np.testing.assert_allclose(fall[1:101], nanocomposite(-np.arange(1.0, 101)))
    assert fall[0] == 0 and not rise[101:].any() and not fall[101:].any()


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("lag", [-30, -5, 0, 5, 30])
def test_a_pair_of_spikes_changes_a_weight_as_the_window_states(backend, lag):
    """Channel 0 spikes once, and others make the one neuron spike once: Δw/w is the window."""
    inputs = Population("input", SpikeInput(), 6)
    hidden = Population("hidden", LeakyIntegrateFire(tau_mem=20.0), 1)
    output = Population("output", LeakyIntegrate(tau_mem=20.0, readout="avg_var"), 2)
    synapse = Exponential(1.0)
    network = Network(
        (inputs, hidden, output),
        (
            Connection(inputs, hidden, Dense(Normal(30.0, 0.0)), synapse),
            Connection(hidden, output, Dense(Normal(0.0, 0.03)), synapse),
        ),
    )
    method = STDP(window="nanocomposite", refractory_ms=1000.0)
    learner = compiled(method, backend, network, CompileConfig(n_steps=100, batch_size=1))
    weights = learner.parameters()
    weights["input_hidden"] = np.array([[0.01], [0.5], [0.5], [0.5], [0.5], [0.5]], np.float32)
    learner.set_parameters(weights)
    # all others spike at 50 ms, arrive a step later, and the neuron spikes in that step
    times = np.array([50.0 - lag, 50, 50, 50, 50, 50])
    result = learner.train_batch(Events.of([(times, np.arange(6))]), np.array([0]), 1.0)
    assert result.spike_counts["hidden"].tolist() == [[1]]
    after = learner.parameters()["input_hidden"][:, 0]
    assert after[0] / 0.01 - 1 == pytest.approx(float(nanocomposite(float(lag))), rel=1e-4)


def test_devices():
    """Weights are at the device's levels; rounding is right on average; noise has its strength."""
    method = STDP(window="nanocomposite", device_levels=9)
    learner = compiled(method)
    start = learner.parameters()["input_hidden"]
    learner.train_batch(*words(12), {"weight": 0.02})
    w = learner.parameters()["input_hidden"]
    assert (w != start).any()
    np.testing.assert_allclose(w * 8, np.round(w * 8), atol=1e-5)
    fine = compiled(STDP(window="nanocomposite"))
    fine.set_parameters(fine.parameters() | {"input_hidden": start})
    fine.train_batch(*words(12), {"weight": 0.02})
    exact = fine.parameters()["input_hidden"]
    # 480 synapses that round by up to 1/8 each: means agree within 4 standard errors
    assert abs(w.mean() - exact.mean()) < 4 * 0.06 / np.sqrt(w.size)
    numbers = normal(mix(np.arange(100_000, dtype=np.uint64)))
    assert abs(numbers.mean()) < 0.01 and abs(numbers.std() - 1) < 0.01  # 3 standard errors


def test_it_learns_words():
    """STDP finds the channels of a word; a reader then needs a neuron a word."""
    events, labels = words(60)
    learner = compiled(STDP(reader="labels"))
    before = learner.parameters()["input_hidden"]
    for _ in range(4):
        learner.train_batch(events, labels, {"weight": 0.05})
    test = words(30, seed=9)
    assert (learner.evaluate(*test).predictions == test[1]).mean() > 0.9
    # neurons prefer channels of one word, which they did not before
    assert contrast(learner.parameters()["input_hidden"]) > 2 * contrast(before)


def contrast(w):
    by_word = np.array([w[13 * c : 13 * c + 13].mean(axis=0) for c in range(N_CLASSES)])
    return float((by_word.max(axis=0) / by_word.mean(axis=0) - 1).mean())


def test_rewards_lead_neurons_to_their_words():
    events, labels = words(60)
    learner = compiled(RewardSTDP(punishment=0.5))
    for _ in range(6):
        learner.train_batch(events, labels, {"weight": 0.1})
    result = learner.evaluate(*words(30, seed=9))
    assert (result.predictions == words(30, seed=9)[1]).mean() > 0.8


def test_readers():
    """Ridge regression is exact, and labels are those of the strongest response per sample."""
    rng = np.random.default_rng(0)
    counts, labels = rng.integers(0, 5, (50, 4)), np.arange(50) % 3
    reader = Reader("linear", 4, 3, memory=1e12, ridge=1e-9)
    for part in (slice(0, 20), slice(20, 50)):
        reader.add(counts[part], labels[part])
    reader.fit()
    f = np.column_stack([counts, np.ones(50)])
    expected = np.linalg.lstsq(f, np.eye(3)[labels], rcond=None)[0]
    np.testing.assert_allclose(reader.weights, expected[:-1], atol=1e-5)
    np.testing.assert_allclose(reader.bias, expected[-1], atol=1e-5)
    reader = Reader("labels", 3, 2, memory=1e12, ridge=1.0)
    # three samples of word 0 and one of word 1: neuron 1 spikes more per sample of word 1
    reader.add(np.array([[5, 2, 0], [5, 2, 0], [5, 2, 0], [0, 3, 0]]), np.array([0, 0, 0, 1]))
    reader.fit()
    np.testing.assert_array_equal(reader.weights, [[1, 0], [0, 1], [0, 0]])
    forgets = Reader("labels", 2, 2, memory=1.0, ridge=1.0)
    forgets.add(np.array([[9, 1]]), np.array([0]))
    for _ in range(5):
        forgets.add(np.array([[1, 9], [9, 1]]), np.array([0, 1]))
    forgets.fit()
    np.testing.assert_array_equal(forgets.weights, [[0, 1], [1, 0]])


def test_recording():
    events, labels = words(6)
    learner = compiled(STDP())
    learner.train_batch(events, labels, {"weight": 0.05})
    result, recording = learner.evaluate(events, labels), learner.record(events)
    np.testing.assert_allclose(recording.voltages[:, -1], result.readout, atol=1e-5)
    np.testing.assert_array_equal(
        recording.spikes["hidden"].counts, result.spike_counts["hidden"].sum(axis=1)
    )
    assert recording.voltages.shape == (6, N_STEPS, N_CLASSES)
    counts = compiled(STDP(control="counts"))
    counts.train_batch(events, labels, {"weight": 0.05})
    last = counts.record(events).voltages[:, -1]
    np.testing.assert_allclose(last, counts.evaluate(events).readout, atol=1e-4)


def test_operations():
    """By hand: 700 inputs with 1000 spikes, 10 neurons with 20, 4 windows, 5 words."""
    network = layer()
    spikes = {"input": 1000.0, "hidden": 20.0}
    arriving = 1000 * N_HIDDEN + 20 * N_CLASSES
    reader = (4 * N_HIDDEN + 1) ** 2
    changes = 2 * N_INPUTS * 20
    for method, expected in (
        (STDP(), arriving + reader + changes),
        (STDP(control="frozen"), arriving + reader),
        (RewardSTDP(), arriving + N_HIDDEN + changes),
        (STDP(control="counts"), arriving + (4 * N_INPUTS + 1) ** 2),
    ):
        assert training_operations(network, method, N_STEPS, spikes) == expected


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (layered_network(hidden_sizes=(20,)), "compete by inhibition instead of recurrent weights"),
        (layered_network(hidden_sizes=(20, 10), recurrent=False), "trains one layer"),
        (learned_network(), "trains one layer"),
        (layer(w_in=-0.5), "needs excitatory input"),
    ],
)
def test_networks_that_are_refused(network, message):
    with pytest.raises(ConfigError, match=message):
        compiled(STDP(), network=network)


def test_settings_that_are_refused():
    for values, message in (
        ({"device_levels": 1}, "one conductance"),
        ({"reader": "votes"}, "stdp has the readers linear and labels"),
        ({"control": "counts", "reader": "labels"}, "reads the input's spikes"),
        ({"inhibition": -1.0}, "0 <= inhibition"),
        ({"punishment": 0.5}, "punishment belongs to method=r-stdp"),
    ):
        with pytest.raises(ConfigError, match=message):
            update(Config(), {"method": "stdp", **values})
    with pytest.raises(ConfigError, match="r-stdp has the readers linear and votes"):
        RewardSTDP(reader="labels")
    smooth = CompileConfig(n_steps=9, objective=Objective(label_smoothing=0.1))
    with pytest.raises(ConfigError, match="fits its reader to whole labels"):
        compiled(STDP(), config=smooth)
    with pytest.raises(ConfigError, match="stdp has finite parameters of shapes"):
        compiled(STDP()).set_parameters({"input_hidden": np.zeros((2, 2), np.float32)})
    with pytest.raises(ConfigError, match="channel < number of input neurons"):
        compiled(STDP()).evaluate(Events.of([(np.array([1.0]), np.array([N_INPUTS]))]))
    with pytest.raises(ConfigError, match="1 <= samples of a batch"):
        compiled(STDP()).train_batch(words(0)[0], np.zeros(0, int), 0.1)
