"""Training methods: gradients against JAX's autodiff, e-prop against itself online, refusals."""

import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import autodiff, networks
from optuna.trial import FixedTrial

from shd_genn import backends
from shd_genn.backends import reference
from shd_genn.backends.conformance.networks import layered_network
from shd_genn.backends.protocols import CompileConfig
from shd_genn.config import Config
from shd_genn.config.command_line import options_of
from shd_genn.config.flat import update
from shd_genn.learning.dropout import Dropout
from shd_genn.learning.methods import EProp, EPropOnline, EventProp, Surrogate
from shd_genn.learning.methods.feedback import Feedback
from shd_genn.learning.methods.operations import forward_operations, training_operations
from shd_genn.learning.methods.shapes import SHAPES, Pseudo
from shd_genn.learning.objective import Objective, Regulariser
from shd_genn.network import (
    AdaptiveLeakyIntegrateFire,
    AdLIF,
    Connection,
    Dense,
    Exponential,
    Izhikevich,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
)
from shd_genn.support.errors import ConfigError

CONFIG = CompileConfig(
    60, objective=Objective(temperature=0.5, regulariser=Regulariser(1e-5, 2e-5, 3))
)
SAMPLES = networks.random_events(3, 150), networks.random_labels(3)


def gradient(network, method, config=CONFIG):
    return reference.compile(network, method, config).gradient(*SAMPLES)


def assert_is_autodiff(name, expected):
    """1e-5 of each array's largest number: both compute in float64, and one keeps float32."""
    network, method = autodiff.case(name)
    got = reference.compile(network, method, autodiff.CONFIG).gradient(*autodiff.samples())
    start = 0
    for key in sorted(got):
        part = expected[start : start + got[key].size].reshape(got[key].shape)
        start += got[key].size
        assert np.abs(part).max() > 0, key
        assert np.abs(got[key] - part).max() < 1e-5 * np.abs(part).max(), key
    assert start == len(expected)


@pytest.mark.parametrize("name", list(autodiff.case_names()))
def test_gradients_are_those_that_jax_recorded(name):
    """`python tests/helpers/autodiff.py` recorded them: jax 0.10.2, float64, unrolled steps.

    Two recurrent layers, all parameters of every neuron learned; all shapes, with the reset
    attached and detached; neurons with a soft reset, a refractory time or adaptation; e-prop
    with spikes stopped on their way to hidden neurons.
    """
    with np.load(autodiff.RECORDED) as recorded:
        assert_is_autodiff(name, recorded[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["surrogate/atan/attached/var", "eprop/triangle/stopped/var"])
def test_gradients_are_those_of_jax(name):
    pytest.importorskip("jax", reason="jax is not installed; its recorded gradients are compared")
    assert_is_autodiff(name, autodiff.flattened(autodiff.gradients(name)))


def test_another_derivative_is_noticed():
    """What the comparison with JAX must tell apart does differ: resets, shapes, slopes."""
    with np.load(autodiff.RECORDED) as recorded:
        for name, other in (
            ("surrogate/atan/attached/avg_var_exp_weight", "detached"),
            ("surrogate/boxcar/attached/avg_var_exp_weight", "detached"),
            ("surrogate/atan/attached/avg_var_exp_weight/alif", "detached"),
        ):
            changed = recorded[name.replace("attached", other)]
            with pytest.raises(AssertionError):
                assert_is_autodiff(name, changed)


@pytest.mark.parametrize("feedback", ["symmetric", "random", "adaptive"])
@pytest.mark.parametrize("readout", ["avg_var_exp_weight", "var", "sum_var"])
def test_eprop_backwards_in_time_is_eprop_online(readout, feedback):
    """Sums in another order: 1e-5 of the largest number, as the issue asks; float64 has 1e-12."""
    network = layered_network(readout, hidden_sizes=(20,))
    shortcut = Connection(
        network.input, network.output, Dense(Normal(0.1, 0.1)), network.connections[-1].synapse
    )
    network = replace(network, connections=(*network.connections, shortcut))
    later = gradient(network, EProp(feedback=feedback))
    online = gradient(network, EPropOnline(feedback=feedback))
    assert networks.largest_error(online, later) < 1e-5
    assert all(np.abs(array).max() > 0 for array in later.values())


@pytest.mark.parametrize(
    "neuron",
    [
        AdaptiveLeakyIntegrateFire(tau_adapt=30.0, beta=0.5, v_thresh=0.5, tau_refrac=2.0),
        AdLIF(v_thresh=0.5),
        Izhikevich(),
    ],
    ids=lambda n: type(n).__name__,
)
def test_eprop_of_other_neurons_is_eprop_online(neuron):
    """Izhikevich's neuron has sub-steps, and derivatives that depend on the state."""
    network = layered_network("var", hidden_sizes=(20,))
    hidden = network.hidden[0]
    new = replace(hidden, neuron=neuron)
    network = replace_populations(network, {p: p for p in network.populations} | {hidden: new})
    engine = reference.compile(network, EProp(), CONFIG)
    assert engine.evaluate(*SAMPLES).spike_counts["hidden0"].sum() > 20
    later, online = engine.gradient(*SAMPLES), gradient(network, EPropOnline())
    assert networks.largest_error(online, later) < 1e-5
    assert all(np.abs(array).max() > 0 for array in later.values())


def test_kinds_of_feedback_differ():
    network = layered_network(hidden_sizes=(20,))
    kinds = {kind: gradient(network, EProp(feedback=kind)) for kind in ("symmetric", "random")}
    a, b = kinds["symmetric"], kinds["random"]
    np.testing.assert_array_equal(a["hidden0_output"], b["hidden0_output"])
    assert networks.largest_error(a, b) > 0.1


def test_random_feedback_stays_and_adaptive_feedback_follows():
    """With decay, feedback and output weights come closer to each other (Kolen & Pollack 1994)."""
    network = layered_network(hidden_sizes=(20,))
    distance = {}
    for kind, decay in (("random", 0.0), ("adaptive", 0.0), ("adaptive", 0.9)):
        method = EProp(feedback=kind, feedback_decay=decay)
        engine = reference.compile(network, method, CONFIG)
        before, out = dict(engine.feedback.weights), engine.parameters()["hidden0_output"]
        assert 0.7 < before["hidden0"].std() / out.std() < 1.4
        engine.train_batch(*SAMPLES, 0.1)
        update = engine.parameters()["hidden0_output"] - out
        assert np.abs(update).max() > 0
        after = engine.feedback.weights["hidden0"]
        if kind == "random":
            np.testing.assert_array_equal(after, before["hidden0"])
        elif decay == 0:
            np.testing.assert_allclose(after - before["hidden0"], update, rtol=0, atol=1e-6)
        distance[kind, decay] = np.linalg.norm(after - engine.parameters()["hidden0_output"])
    assert distance["adaptive", 0.9] < 0.95 * distance["adaptive", 0.0]


def test_adaptive_feedback_is_part_of_the_state():
    network = layered_network(hidden_sizes=(20,))
    method = EProp(feedback="adaptive", feedback_decay=0.1)
    one, other = (reference.compile(network, method, CONFIG) for _ in range(2))
    one.train_batch(*SAMPLES, 0.1)
    other.set_parameters(one.parameters())
    other.set_optimiser_state(one.optimiser_state())
    for engine in (one, other):
        engine.train_batch(*SAMPLES, 0.1)
    for key, array in one.parameters().items():
        np.testing.assert_array_equal(other.parameters()[key], array)
    np.testing.assert_array_equal(
        one.feedback.weights["hidden0"], other.feedback.weights["hidden0"]
    )


def test_feedback_depends_on_the_seed_alone():
    network, method = layered_network(), EProp(feedback="random")
    a, b, c = (Feedback(network, method, seed).weights["hidden1"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert a.shape == (20, 5) and (a != c).all()


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name):
    """All are even, largest at the threshold, and keep the area or height that the table states."""
    x = np.linspace(-400, 400, 800_001)
    psi = Pseudo.of(name, None, None)(x, np.ones_like(x))
    np.testing.assert_allclose(psi, psi[::-1], atol=1e-12)
    assert psi.argmax() == 400_000 or name == "boxcar"
    area = np.sum(psi) * (x[1] - x[0])
    height = {"superspike": 1.0, "triangle": 0.3}
    if name in height:
        assert psi.max() == height[name]
    else:  # 1: heavy tails and the grid leave 0.3 %
        assert abs(area - (1 if name != "multi_gaussian" else 0.85)) < 3e-3
    assert (psi[0] == 0) == (SHAPES[name].bounded or name in ("sigmoid", "multi_gaussian"))
    double = Pseudo.of(name, None, 2 * SHAPES[name].scale)(x, np.ones_like(x))
    np.testing.assert_allclose(double, 2 * psi)


def second_layer_without_output():
    return layered_network(hidden_sizes=(20, 10))


@pytest.mark.parametrize(
    ("network", "method", "message"),
    [
        (layered_network("first_spike_time"), Surrogate(), "cannot learn from the time of a first"),
        (networks.learned_network(delays=True), Surrogate(), "cannot learn delays"),
        (networks.learned_network(delays=True), EProp(feedback="random"), "cannot learn delays"),
        (second_layer_without_output(), EProp(), "to the output, but hidden0 has none"),
        (layered_network("max_var", hidden_sizes=(20,)), EPropOnline(), "when the maximum"),
        (networks.learned_network(), EPropOnline(feedback="random"), "learns weights only"),
    ],
)
def test_networks_that_a_method_refuses(network, method, message):
    with pytest.raises(ConfigError, match=message):
        reference.compile(network, method, CONFIG)


def test_one_synapse_a_population():
    network = layered_network(hidden_sizes=(20,))
    first, *others = network.connections
    mixed = Network(network.populations, (replace(first, synapse=Exponential(9.0)), *others))
    for method in (EventProp(), Surrogate(), EProp()):
        with pytest.raises(ConfigError, match="into population hidden0 have different synapses"):
            reference.compile(mixed, method, CONFIG)


def test_another_neuron_is_refused():
    class Other(LeakyIntegrateFire):
        pass

    network = layered_network(hidden_sizes=(20,))
    old = network.hidden[0]
    new = Population(old.name, Other(), old.size)
    connections = tuple(
        replace(
            c,
            source=new if c.source == old else c.source,
            target=new if c.target == old else c.target,
        )
        for c in network.connections
    )
    changed = Network(tuple(new if p == old else p for p in network.populations), connections)
    with pytest.raises(ConfigError, match="trains neurons of LeakyIntegrateFire here"):
        Surrogate().check(changed)


@pytest.mark.parametrize("name", backends.BACKENDS)
def test_backends_refuse_methods_that_they_lack(name):
    backend = backends.load(name)
    for method in (Surrogate(), EProp(feedback="random"), EPropOnline(feedback="random")):
        if type(method) not in backend.CAPABILITIES.methods:
            with pytest.raises(ConfigError, match=rf"cannot train with method {method.kind}; it"):
                backend.CAPABILITIES.check(layered_network(), method)


def test_settings_of_methods():
    config = update(Config(), {"method": "surrogate", "surrogate": "boxcar", "surrogate_slope": 2})
    assert config.train.method == Surrogate("boxcar", 2.0)
    options = ["--method", "surrogate", "--surrogate", "boxcar", "--surrogate-slope", "2.0"]
    assert options_of(config) == options
    assert config.train.method.derivative == Pseudo("boxcar", 2.0, 1.0)
    with pytest.raises(ConfigError, match="feedback belongs to method=eprop or eprop-online"):
        update(config, {"feedback": "random"})
    with pytest.raises(ConfigError, match="surrogate must be one of superspike"):
        Surrogate("spike")
    with pytest.raises(ConfigError, match="0 < surrogate_slope"):
        Surrogate(surrogate_slope=0.0)
    with pytest.raises(ConfigError, match="feedback_decay belongs to feedback=adaptive"):
        EProp(feedback_decay=0.1)


EXCITABLE = LeakyIntegrateFire(v_thresh=0.5)
ADAPTIVE = AdaptiveLeakyIntegrateFire(tau_adapt=30.0, beta=0.5, v_thresh=0.5)


def trained(method, dropout, neuron=EXCITABLE, samples=SAMPLES):
    """Parameters before and after an update of the reference, and the silent neurons in it."""
    network = layered_network(hidden_sizes=(20,))
    hidden = network.hidden[0]
    new = {p: p for p in network.populations} | {hidden: replace(hidden, neuron=neuron)}
    config = replace(CONFIG, objective=Objective(dropout=dropout))
    engine = reference.compile(replace_populations(network, new), method, config)
    before = engine.parameters()
    engine.train_batch(*samples, 0.1)
    return before, engine.parameters(), dropout.masks(engine.network, len(samples[1]), 0, 0)


@pytest.mark.parametrize("neuron", [EXCITABLE, ADAPTIVE], ids=["lif", "alif"])
@pytest.mark.parametrize(
    "method", [Surrogate("atan"), EProp(), EPropOnline()], ids=lambda m: m.kind
)
def test_silent_neurons_learn_nothing(method, neuron):
    """Their weights stay to the bit; with the other neurons' something is learned."""
    one = SAMPLES[0].take(np.array([0])), SAMPLES[1][:1]
    before, after, masks = trained(method, Dropout(0.5), neuron, one)
    silent = masks["hidden0"][0]
    assert 0 < silent.sum() < 20
    for key, axis in (("input_hidden0", 1), ("hidden0_hidden0", 1), ("hidden0_output", 0)):
        change = np.abs(after[key] - before[key])
        assert np.take(change, np.flatnonzero(silent), axis).max() == 0, key
        assert np.take(change, np.flatnonzero(~silent), axis).max() > 0, key


def test_eprop_with_dropout_is_eprop_online():
    """Adam's first update is the sign of a gradient: where that is not 0, both must agree."""
    _, later, _ = trained(EProp(), Dropout(0.3))
    _, online, _ = trained(EPropOnline(), Dropout(0.3))
    assert networks.largest_error(online, later) < 1e-5


def test_operations_of_training():
    """By hand: 3 inputs with 10 spikes, 4 recurrent neurons with 6, 2 outputs, 100 steps."""
    network = layered_network("var", hidden_sizes=(4,))
    network = replace_sizes(network, {"input": 3, "output": 2})
    spikes = {"input": 10.0, "hidden0": 6.0}
    forward = 10 * 4 + 6 * 4 + 6 * 2
    assert forward_operations(network, spikes) == forward
    expected = {
        EventProp(): 2 * forward + 6 * 4 + 6 * 2,
        Surrogate(): 2 * forward + 100 * (4 * 4 + 4 * 2),
        EProp(): 2 * forward + 100 * 4 * 2,
        EPropOnline(): forward + 100 * 4 * 2 + 100 * (3 * 4 + 4 * 4 + 4 * 2),
    }
    for method, operations in expected.items():
        assert training_operations(network, method, 100, spikes) == operations, method
    near = {"hidden0": 30.0}  # neurons times steps in which a bounded surrogate is not 0
    skipping = training_operations(network, Surrogate("boxcar"), 100, spikes, near)
    assert skipping == 2 * forward + 30 * (4 + 2)
    weighted = replace_sizes(layered_network(hidden_sizes=(4,)), {"input": 3, "output": 2})
    assert training_operations(weighted, EProp(), 100, spikes) == 2 * forward + 4 * 2


def test_steps_near_the_threshold_are_counted():
    """A boxcar that reaches everywhere is like an unbounded surrogate: all neurons, all steps."""
    network = layered_network(hidden_sizes=(20,))

    def near(method):
        engine = reference.compile(network, method, CONFIG)
        return engine.train_batch(*SAMPLES, 0.0).near_steps

    wide, narrow = near(Surrogate("boxcar", 1e-6))["hidden0"], near(Surrogate("boxcar", 4.0))
    assert (wide == 20 * CONFIG.n_steps).all() and wide.shape == (3,)
    assert (narrow["hidden0"] > 0).all() and (narrow["hidden0"] < 0.5 * wide).all()
    assert near(Surrogate("atan")) == {} and near(EProp()) == {}


def test_work_of_a_method_that_is_not_known_is_refused():
    network = networks.network()
    spikes = {p.name: 1.0 for p in network.populations}
    with pytest.raises(ConfigError, match="operations of the method own are not known; add them"):
        training_operations(network, SimpleNamespace(kind="own"), 100, spikes)


def replace_sizes(network, sizes):
    """The network with populations of other sizes."""
    new = {p: replace(p, size=sizes.get(p.name, p.size)) for p in network.populations}
    return replace_populations(network, new)


def replace_populations(network, new):
    """The network with other populations in the places of its own."""
    return Network(
        tuple(new.values()),
        tuple(replace(c, source=new[c.source], target=new[c.target]) for c in network.connections),
    )


def test_the_space_of_a_comparison_is_of_settings():
    space = runpy.run_path(str(Path(__file__).parents[2] / "sweeps/methods.py"))["space"]
    chosen = space(FixedTrial({"learning_rate": 0.01, "reg_lambda": 1e-9}))
    config = update(Config(), {"method": "surrogate", **chosen})
    assert (config.train.learning_rate, config.train.reg_lambda) == (0.01, 1e-9)
