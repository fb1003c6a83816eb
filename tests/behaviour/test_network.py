"""Networks that make no sense, or that a method cannot train, are refused with the reason."""

import numpy as np
import pytest

from shd_genn import backends
from shd_genn.backends.protocols import CompileConfig
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
)
from shd_genn.network.initialisers import AT_A_TIME
from shd_genn.network.model_files import build_network
from shd_genn.network.readouts import READOUTS
from shd_genn.network.settings import ModelConfig
from shd_genn.support.errors import ConfigError

INPUT = Population("input", SpikeInput(), 3)
HIDDEN = Population("hidden", LeakyIntegrateFire(), 4)
OUTPUT = Population("output", LeakyIntegrate(), 2)
OTHER_INPUT = Population("other", SpikeInput(), 3)
OTHER_OUTPUT = Population("other", LeakyIntegrate(), 2)


def connect(source, target, tau=5.0):
    return Connection(source, target, Dense(Normal()), Exponential(tau))


def delayed(delay, max_delay_steps, train_delay=False):
    parts = INPUT, HIDDEN, Dense(Normal()), Exponential(5.0)
    return Connection(*parts, delay, max_delay_steps, train_delay)


CHAIN = (connect(INPUT, HIDDEN), connect(HIDDEN, OUTPUT))


@pytest.mark.parametrize(
    ("populations", "connections", "message"),
    [
        ((INPUT, INPUT, OUTPUT), (), "more than one population has the name input"),
        ((HIDDEN, OUTPUT), (), "one population of SpikeInput, but this one has none; add one"),
        ((INPUT, OTHER_INPUT), (), "but this one has input, other; keep one"),
        ((INPUT, HIDDEN, OUTPUT), CHAIN[1:], "no connection ends in population hidden"),
        (
            (INPUT, HIDDEN, OUTPUT),
            (*CHAIN, CHAIN[0]),
            "more than one connection has the name input_hidden",
        ),
        ((INPUT, OUTPUT), CHAIN, "input_hidden has an end in hidden, which is no population"),
        (
            (INPUT, HIDDEN, OUTPUT),
            (*CHAIN, connect(OUTPUT, HIDDEN)),
            "output_hidden starts in neurons of LeakyIntegrate, which never spike",
        ),
        (
            (INPUT, HIDDEN, OUTPUT),
            (*CHAIN, connect(HIDDEN, INPUT)),
            "hidden_input ends in neurons of SpikeInput, which receive no spikes",
        ),
    ],
)
def test_impossible_networks(populations, connections, message):
    with pytest.raises(ConfigError, match=message):
        Network(populations, connections)


@pytest.mark.parametrize(
    ("populations", "connections", "message"),
    [
        ((INPUT, HIDDEN), CHAIN[:1], "trained on one output, but this one has none; give one"),
        (
            (INPUT, HIDDEN, OUTPUT, OTHER_OUTPUT),
            (*CHAIN, connect(HIDDEN, OTHER_OUTPUT)),
            "trained on one output, but this one has output, other; keep the readout of one",
        ),
        (
            (INPUT, HIDDEN, OUTPUT),
            (*CHAIN, connect(HIDDEN, HIDDEN, 7.0)),
            r"population hidden have different synapses: Exponential\(tau=5.0\), .*tau=7.0\)",
        ),
    ],
)
def test_networks_that_eventprop_cannot_train(populations, connections, message):
    """They are networks; the method refuses them, and with it every backend."""
    network = Network(populations, connections)
    with pytest.raises(ConfigError, match=message):
        EventProp().check(network)
    for name in backends.BACKENDS:
        with pytest.raises(ConfigError, match=message):
            backends.load(name).compile(network, EventProp(), CompileConfig(10))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeakyIntegrateFire(tau_mem=-3.0), r"0 < tau_mem < inf must hold, but got -3\.0"),
        (lambda: LeakyIntegrateFire(v_thresh=0.0), "0 < v_thresh"),
        (
            lambda: LeakyIntegrate(readout="last"),
            "LeakyIntegrate has the readouts .*, but got 'last'; choose one",
        ),
        (
            lambda: LeakyIntegrate(readout="first_spike_time"),
            "but got 'first_spike_time'; read it from a LeakyIntegrateFire",
        ),
        (
            lambda: LeakyIntegrateFire(readout="avg_var"),
            "but got 'avg_var'; read it from a LeakyIntegrate$",
        ),
        (lambda: Exponential(0.0), "0 < tau_syn"),
        (lambda: Normal(0.0, -1.0), "0 <= sd of Normal"),
        (lambda: Uniform(2.0, 1.0), "low <= high of Uniform"),
        (lambda: LeakyIntegrateFire(Gamma(3, 7)), r"0 < the lowest possible tau_mem .* Clipped"),
        (lambda: LeakyIntegrateFire(Trainable(20.0)), "0 < the lowest possible tau_mem"),
        (lambda: LeakyIntegrateFire(20.0, Normal(1, 0.1)), "0 < the lowest possible v_thresh"),
        (lambda: Exponential(Clipped(Gamma(3, 2), 0.0)), "0 < the lowest possible tau_syn"),
        (lambda: Trainable(2.0, low=3.0), "low <= initial <= high of Trainable .* initial 2.0"),
        (lambda: Clipped(Gamma(3, 2), 2.0, 1.0), "low <= high of Clipped"),
        (lambda: Gamma(0.0), "0 < shape of Gamma < inf"),
        (lambda: delayed(Uniform(0, 9), 8), "0 <= delay <= max_delay_steps .* input_hidden"),
        (lambda: delayed(-1.0, 8), "0 <= delay <= max_delay_steps .* delay -1.0"),
        (lambda: delayed(Normal(3, 1), 8), r"0 <= delay <= max_delay_steps .* clip what is drawn"),
        (
            lambda: delayed(0.0, 0, True),
            "delays of connection input_hidden are learned, but its max_delay_steps is 0",
        ),
        (lambda: Population("a b", SpikeInput(), 3), "must be a Python identifier"),
        (lambda: Population("a", SpikeInput(), 0), "1 <= size of population a"),
    ],
)
def test_impossible_parts(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_weights_depend_on_seed_and_name_only():
    small = Network((INPUT, HIDDEN, OUTPUT), CHAIN).initial_parameters(1)
    more = Network((INPUT, HIDDEN, OUTPUT), (connect(HIDDEN, HIDDEN), *CHAIN)).initial_parameters(1)
    assert (small["hidden_output"] == more["hidden_output"]).all()


def test_drawn_parameters_have_their_distribution():
    """Gamma(3, tau/3), clipped, as the papers draw them; each key has draws of its own."""
    tau = Clipped(Gamma(3, 20 / 3), 3.0, 60.0)
    many = Population("hidden", LeakyIntegrateFire(tau, Trainable(tau, 5.0, 50.0)), 5000)
    network = Network((INPUT, many, OUTPUT), (connect(INPUT, many), connect(many, OUTPUT)))
    drawn = network.initial_parameters(0)
    tau_mem, v_thresh = drawn["hidden.tau_mem"], drawn["hidden.v_thresh"]
    assert tau_mem.dtype == np.float32 and tau_mem.shape == (5000,)
    assert (tau_mem.min(), tau_mem.max()) == (3.0, 60.0) and (tau_mem != v_thresh).any()
    assert (v_thresh.min(), v_thresh.max()) == (5.0, 50.0)
    # sd of Gamma: 20/√3; the mean of 5000 has a standard error of 0.16, clipping moves it by 0.1
    assert abs(tau_mem.mean() - 20) < 0.8 and abs(tau_mem.std() - 20 / np.sqrt(3)) < 0.8
    trained = {p.key: p.trained for p in network.parameters}
    assert not trained["hidden.tau_mem"] and trained["hidden.v_thresh"]


@pytest.mark.parametrize(
    ("initialiser", "method", "parameters"),
    [(Normal(0.1, 2.0), "normal", (0.1, 2.0)), (Uniform(-1, 3), "uniform", (-1, 3)),
     (Gamma(3.0, 4.0), "gamma", (3.0, 4.0))],
)  # fmt: skip
def test_many_numbers_are_those_that_are_drawn_at_once(initialiser, method, parameters):
    shape = (3, AT_A_TIME // 2 + 1)
    expected = getattr(np.random.default_rng(1), method)(*parameters, shape).astype(np.float32)
    drawn = initialiser.draw(shape, np.random.default_rng(1))
    np.testing.assert_array_equal(drawn, expected)


def test_parameters_out_of_bounds_are_refused():
    hidden = Population("hidden", LeakyIntegrateFire(Trainable(20.0, 3.0)), 4)
    network = Network((INPUT, hidden, OUTPUT), (connect(INPUT, hidden), connect(hidden, OUTPUT)))
    parameters = network.initial_parameters(0)
    network.check_parameters(parameters)
    network.check_parameters({k: a for k, a in parameters.items() if "." not in k})
    with pytest.raises(ConfigError, match=r"3.0 <= parameters hidden.tau_mem <= inf .* got 2.0 to"):
        network.check_parameters(parameters | {"hidden.tau_mem": np.float32([2, 20, 20, 20])})
    with pytest.raises(ConfigError, match="the network has parameters of shapes"):
        network.check_parameters(parameters | {"hidden.v_thresh": np.ones(4, np.float32)})
    with pytest.raises(ConfigError, match="the network has parameters of shapes"):
        network.check_parameters({"hidden.tau_mem": parameters["hidden.tau_mem"]})


def build(**model):
    return build_network(Config(model=ModelConfig(n_inputs=3, n_classes=2, **model)))


def test_own_models_have_the_layers_asked_for():
    network = build(model="recurrent", hidden_sizes=(5, 6))
    assert [p.size for p in network.populations] == [3, 5, 6, 2]
    names = [c.name for c in network.connections]
    assert names == [
        "input_hidden0",
        "hidden0_hidden0",
        "hidden0_hidden1",
        "hidden1_hidden1",
        "hidden1_output",
    ]
    assert "hidden0_hidden0" not in {c.name for c in build(model="feedforward").connections}


def test_user_model_file(tmp_path):
    copy = tmp_path / "mine.py"
    copy.write_text("from shd_genn.network.model_files import find_model, build_network\n" + OWN)
    assert build(model=str(copy)).hidden[0].size == 9


OWN = """
from dataclasses import replace
def build(config):
    model = replace(config.model, model="feedforward", hidden_sizes=(9,))
    return build_network(replace(config, model=model))
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def build(config): return 3", "must return a Network, but got 3"),
        ("x = 1", r"must define build\(config\)"),
        ("import nonsense_module", "must run, but ModuleNotFoundError"),
        ("def build(:", "must run, but SyntaxError"),
    ],
)
def test_wrong_model_files(tmp_path, text, message):
    path = tmp_path / "wrong.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        build(model=str(path))


def test_unknown_models_are_named(tmp_path):
    with pytest.raises(ConfigError, match="model must be one of feedforward, recurrent, but is"):
        build(model="lstm")
    with pytest.raises(ConfigError, match="must be a file, but there is none"):
        build(model=str(tmp_path / "none.py"))


@pytest.mark.parametrize("readout", READOUTS)
def test_models_have_the_output_that_the_readout_needs(readout):
    for model in ("recurrent", "feedforward"):
        settings = ModelConfig(model=model, n_inputs=3, n_classes=2, readout=readout, v_thresh=0.7)
        network = build_network(Config(model=settings))
        assert network.readout == readout
        spikes = readout.startswith("first_spike")
        assert [p.name for p in network.spiking] == ["hidden0", *["output"] * spikes]
        assert [p.name for p in network.hidden] == ["hidden0"]
