"""Descriptions of networks that EventProp cannot be derived for are refused, with the reason."""

import pytest

from shd_genn.config import Config, ModelConfig
from shd_genn.errors import ConfigError
from shd_genn.model import build_network
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
    Uniform,
)
from shd_genn.readouts import READOUTS

INPUT = Population("input", SpikeInput(), 3)
HIDDEN = Population("hidden", LeakyIntegrateFire(), 4)
OUTPUT = Population("output", LeakyIntegrate(), 2)


def connect(source, target, tau=5.0):
    return Connection(source, target, Dense(Normal()), Exponential(tau))


CHAIN = (connect(INPUT, HIDDEN), connect(HIDDEN, OUTPUT))


@pytest.mark.parametrize(
    ("populations", "connections", "message"),
    [
        ((INPUT, INPUT, OUTPUT), (), "unique population names"),
        ((HIDDEN, OUTPUT), (), "exactly one SpikeInput must hold"),
        ((INPUT, HIDDEN), (), r"exactly one output \(with a readout\) must hold"),
        ((INPUT, HIDDEN, OUTPUT), CHAIN[1:], "at least one connection into population hidden"),
        ((INPUT, HIDDEN, OUTPUT), (*CHAIN, CHAIN[0]), "one connection per pair"),
        ((INPUT, OUTPUT), CHAIN, "both ends of connection input_hidden in the network"),
        ((INPUT, HIDDEN, OUTPUT), (*CHAIN, connect(OUTPUT, HIDDEN)), "a spiking source"),
        ((INPUT, HIDDEN, OUTPUT), (*CHAIN, connect(HIDDEN, INPUT)), "that takes input"),
        (
            (INPUT, HIDDEN, OUTPUT),
            (*CHAIN, connect(HIDDEN, HIDDEN, 7.0)),
            r"one tau_syn for all connections into population hidden must hold, but got \[5",
        ),
        (
            (INPUT, HIDDEN, OUTPUT),
            (connect(INPUT, HIDDEN, 20.0), CHAIN[1]),
            r"tau_mem != tau_syn of population hidden must hold, but got tau_mem 20\.0, tau_syn 20",
        ),
    ],
)
def test_impossible_networks(populations, connections, message):
    with pytest.raises(ConfigError, match=message):
        Network(populations, connections)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeakyIntegrateFire(tau_mem=-3.0), r"0 < tau_mem < inf must hold, but got -3\.0"),
        (lambda: LeakyIntegrateFire(v_thresh=0.0), "0 < v_thresh"),
        (lambda: LeakyIntegrate(readout="last"), "readout of LeakyIntegrate in .*, but got 'last'"),
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
    copy.write_text("from shd_genn.model import find_model, build_network\n" + OWN)
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
    with pytest.raises(ConfigError, match="model in feedforward, recurrent must hold, but got"):
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
