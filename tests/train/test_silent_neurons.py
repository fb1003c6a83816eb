"""Silent neurons are lifted, and nothing else is."""

import numpy as np
import pytest

from shd_genn import backends
from shd_genn.backends.protocols import CompileConfig
from shd_genn.config import Config
from shd_genn.learning.methods import EventProp
from shd_genn.network.model_files import build_network
from shd_genn.network.settings import ModelConfig
from shd_genn.train.silent_neurons import feeding, lift_silent


def network(model, sizes):
    settings = ModelConfig(model=model, hidden_sizes=sizes, n_inputs=5, n_classes=2)
    return build_network(Config(model=settings))


@pytest.mark.parametrize("model", ["recurrent", "feedforward"])
def test_only_the_input_weights_of_silent_neurons_are_lifted(model):
    compiled = backends.get("reference").compile(
        network(model, (4, 3)), EventProp(), CompileConfig(10)
    )
    before, state = compiled.parameters(), compiled.optimiser_state()
    spikes = {"hidden0": np.array([3, 0, 1, 0]), "hidden1": np.array([0, 2, 2])}
    assert lift_silent(compiled, spikes, 0.002) == 3
    after = compiled.parameters()
    expected = {name: array.copy() for name, array in before.items()}
    expected["input_hidden0"][:, [1, 3]] += np.float32(0.002)
    expected["hidden0_hidden1"][:, [0]] += np.float32(0.002)
    assert set(after) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(after[name], array)
    for name, array in compiled.optimiser_state().items():
        np.testing.assert_array_equal(array, state[name])


def test_without_silent_neurons_nothing_changes():
    compiled = backends.get("reference").compile(
        network("recurrent", (4,)), EventProp(), CompileConfig(10)
    )
    before = compiled.parameters()
    assert lift_silent(compiled, {"hidden0": np.ones(4, int)}, 0.002) == 0
    for name, array in compiled.parameters().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_layer_is_fed_by_the_one_before():
    net = network("recurrent", (4, 3))
    assert feeding(net, "hidden0") == ["input_hidden0"]
    assert feeding(net, "hidden1") == ["hidden0_hidden1"]
