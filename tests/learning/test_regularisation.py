"""What regularisation means, equation by equation; the conformance suite compares backends."""

from dataclasses import replace

import numpy as np
import pytest

from shd_genn import backends
from shd_genn.backends.conformance.networks import (
    CONFIG,
    layered_network,
    random_events,
    random_labels,
)
from shd_genn.backends.reference.engine import Reference
from shd_genn.config import Config
from shd_genn.learning.dropout import Dropout
from shd_genn.learning.methods import EventProp
from shd_genn.learning.objective import cross_entropy
from shd_genn.learning.optimisers import Adam
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import FirstSpikeTime, ModelConfig
from shd_genn.support.errors import ConfigError
from shd_genn.train.average import EpochAverage


def with_dropout(probability):
    return replace(CONFIG, objective=replace(CONFIG.objective, dropout=Dropout(probability)))


def test_label_smoothing_is_the_cross_entropy_with_smooth_labels():
    rng = np.random.default_rng(0)
    readout, labels, temperature = rng.normal(0, 1, (4, 5)), np.array([0, 1, 4, 2]), 0.7
    p = np.exp(readout / temperature)
    p /= p.sum(axis=1, keepdims=True)
    q = 0.8 * np.eye(5)[labels] + 0.2 / 5
    loss, drive = cross_entropy(readout, labels, temperature, 0.2)
    np.testing.assert_allclose(loss, -(q * np.log(p)).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(drive, (q - p) / temperature, rtol=1e-12)
    h = 1e-6  # central differences: truncation h², rounding 1e-16/h
    for k in range(5):
        step = h * np.eye(5)[k]
        above, below = (
            cross_entropy(readout + s, labels, temperature, 0.2)[0] for s in (step, -step)
        )
        np.testing.assert_allclose(-(above - below) / (2 * h), drive[:, k], atol=1e-8)


def test_dropout_trains_the_network_without_the_silent_neurons():
    """A trial's gradient is that of the smaller network whose hidden spikes weigh more."""
    network, config = layered_network(hidden_sizes=(30,)), with_dropout(0.4)
    events, labels = random_events(1), random_labels(1)
    masks = config.objective.dropout.masks(network, 1, config.seed, 0)
    kept = np.flatnonzero(~masks["hidden0"][0])
    assert 5 < len(kept) < 25
    full = Reference(network, config)
    result, gradient = full._backward(events, labels, masks)
    assert (result.spike_counts["hidden0"][0, masks["hidden0"][0]] == 0).all()

    # the regulariser pulls silent neurons of neither network
    small = Reference(layered_network(hidden_sizes=(len(kept),)), CONFIG)
    names = {c.name: (c.source.name, c.target.name) for c in network.connections}
    rows = {"input": slice(None), "hidden0": kept, "output": slice(None)}
    part = {
        name: full.parameters()[name][rows[source]][:, rows[target]]
        for name, (source, target) in names.items()
    }
    scale = {name: 1 / 0.6 if source == "hidden0" else 1 for name, (source, _) in names.items()}
    small.set_parameters({name: (w * scale[name]).astype(np.float32) for name, w in part.items()})
    expected_result, expected = small._backward(events, labels)
    np.testing.assert_allclose(result.readout, expected_result.readout, rtol=1e-5)
    assert expected_result.spike_counts["hidden0"].sum() > 50
    for name, (source, target) in names.items():
        got = gradient[name]
        inside = got[rows[source]][:, rows[target]]
        np.testing.assert_allclose(
            inside, scale[name] * expected[name], rtol=0, atol=1e-4 * np.abs(inside).max()
        )
        assert np.count_nonzero(got) == np.count_nonzero(inside)


def test_dropout_keeps_the_mean_of_what_arrives():
    dropout = Dropout(0.3)
    masks = dropout.masks(layered_network(), 400, seed=3, step=7)
    arriving = np.mean(~masks["hidden0"]) * dropout.scale
    # 28 000 draws: a standard deviation of 0.0027 of the part, 0.004 of the mean
    assert abs(arriving - 1) < 0.016
    again = dropout.masks(layered_network(), 400, seed=3, step=7)
    other = dropout.masks(layered_network(), 400, seed=3, step=8)
    assert (again["hidden0"] == masks["hidden0"]).all()
    assert (other["hidden0"] != masks["hidden0"]).any()
    scaled = {c.name for c in layered_network().connections if c.source.name != "input"}
    assert dropout.scales(layered_network()).keys() == scaled


def test_weight_decay_shrinks_weights_in_proportion_to_the_rate():
    events, labels, network = random_events(2), random_labels(2), layered_network()
    plain, decayed = (
        Reference(network, replace(CONFIG, adam=Adam(weight_decay=decay))) for decay in (0, 0.5)
    )
    start = plain.parameters()
    for reference in (plain, decayed):
        reference.train_batch(events, labels, 1e-2)
    for name, w in start.items():
        moved = plain.parameters()[name] - decayed.parameters()[name]
        np.testing.assert_allclose(moved, 0.5e-2 * w, atol=1e-6)
    assert Adam(weight_decay=0.5).kept("output.tau_mem", 1e-2) == 1


def test_a_weight_decay_that_changes_signs_is_refused():
    reference = Reference(layered_network(), replace(CONFIG, adam=Adam(weight_decay=200.0)))
    with pytest.raises(ConfigError, match="learning_rate \\* weight_decay <= 1 must hold"):
        reference.train_batch(random_events(1), random_labels(1), 1e-2)


def test_clipping_shortens_the_whole_gradient_to_the_norm():
    events, labels, network = random_events(3), random_labels(3), layered_network()
    whole = Reference(network, CONFIG).gradient(events, labels)
    norm = np.sqrt(sum(np.sum(g.astype(float) ** 2) for g in whole.values()))
    for clip, part in ((norm / 4, 0.25), (norm * 4, 1.0)):
        adam = Adam(clip_gradient=float(clip))
        reference = Reference(network, replace(CONFIG, adam=adam))
        reference.train_batch(events, labels, 1e-3)
        state = reference.optimiser_state()
        scale = 20.0  # of mlGeNN's gradient: tau_mem of the output
        for name, g in whole.items():
            expected = part * 0.1 * g / scale
            np.testing.assert_allclose(
                state[f"m_{name}"], expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max()
            )


def test_the_average_over_epochs_is_weighted_by_age():
    average, weights = EpochAverage(0.5), [np.array([w], np.float32) for w in (1.0, 4.0, 2.0)]
    for w in weights:
        average.add({"w": w})
    np.testing.assert_allclose(average.parameters["w"], (0.25 * 1 + 0.5 * 4 + 1 * 2) / 1.75)
    learner = Reference(layered_network(), CONFIG)
    own, average = learner.parameters(), EpochAverage(0.9)
    average.add({name: w + 1 for name, w in own.items()})
    with average.used_by(learner):
        for name, w in learner.parameters().items():
            np.testing.assert_allclose(w, own[name] + 1, atol=1e-6)
    for name, w in learner.parameters().items():
        np.testing.assert_array_equal(w, own[name])


def test_a_backend_without_a_regularisation_refuses_it():
    able = backends.load("genn").CAPABILITIES
    for config, what in (
        (with_dropout(0.1), "drop-out"),
        (replace(CONFIG, adam=Adam(weight_decay=0.1)), "weight decay"),
        (replace(CONFIG, adam=Adam(clip_gradient=1.0)), "gradient clipping"),
    ):
        with pytest.raises(ConfigError, match=f"cannot train with {what}"):
            able.check(layered_network(), EventProp(), config)
    able.check(layered_network(), EventProp(), CONFIG)


def test_settings_without_meaning_are_refused():
    with pytest.raises(ConfigError, match=r"label_smoothing = 0\.1 is for losses of voltages"):
        Config(model=ModelConfig(readout=FirstSpikeTime()), train=TrainConfig(label_smoothing=0.1))
    with pytest.raises(ConfigError, match="hidden_dropout < 1"):
        TrainConfig(hidden_dropout=1.0)
