"""The gradient chain of a learned weight, per knot: differences, the reference, and order in dt."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import event_exact
from helpers.event_exact import ExactNetwork, learned_curve

from shd_genn.backends.conformance.networks import (
    CONFIG,
    layered_network,
    random_events,
    random_labels,
)
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods.eventprop import gradient_scale
from shd_genn.learning.objective import Objective
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
from shd_genn.network.formulas import GRID, Formula
from shd_genn.network.learned_weight import LearnedWeight, basis
from shd_genn.network.readouts import read_weights
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError

KEY = "output.readout_weight"
LIF = LeakyIntegrateFire()
WEIGHTS = {
    "softmax": LearnedWeight(knots=5, smoothness=0.02),
    "softmax of each class": LearnedWeight(knots=5, per_class=True, smoothness=0.02),
    "spline": LearnedWeight(knots=6, form="spline", smoothness=0.02),
    "spline of each class": LearnedWeight(knots=4, form="spline", per_class=True),
    "attention": LearnedWeight(knots=5, attention=True, smoothness=0.02),
}


def network_with(weight, network=None):
    network = network or layered_network("avg_var")
    output = replace(network.output, neuron=LeakyIntegrate(20.0, "learned_weight", weight))
    moved = [
        replace(c, target=output) if c.target == network.output else c for c in network.connections
    ]
    return Network((*network.populations[:-1], output), tuple(moved))


def moved(reference, seed=0):
    """The reference with a parameter that is not at its start."""
    value = reference._learned.value
    reference._learned.value = value + np.random.default_rng(seed).normal(0, 0.5, value.shape)
    return reference._learned.value.copy()


def objective(reference, events, labels):
    """The loss that knots lower: the batch's mean, and the roughness of the curves."""
    weight, value = reference._learned.weight, reference._learned.value
    curves = np.atleast_2d(value[: weight.knots] if weight.attention else value)
    rough = weight.smoothness * np.sum(np.diff(curves, 2, axis=1) ** 2)
    return reference._loss(reference._forward(events), labels)[0].mean() + rough


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_gradient_of_each_knot_is_the_derivative(name):
    reference = Reference(network_with(WEIGHTS[name]), CONFIG)
    start = moved(reference)
    events, labels = random_events(3), random_labels(3)
    _, gradient = reference._backward(events, labels)
    got = gradient_scale(reference.network, CONFIG.n_steps) * gradient[KEY]
    h = 1e-5  # truncation h² = 1e-10, rounding 1e-16/h = 1e-11
    for index in np.ndindex(start.shape):
        ends = []
        for sign in (1, -1):
            reference._learned.value = start.copy()
            reference._learned.value[index] += sign * h
            ends.append(objective(reference, events, labels))
        difference = (ends[0] - ends[1]) / (2 * h)
        assert abs(got[index] - difference) <= 1e-4 * max(abs(difference), 1e-5)


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_drive_of_each_step_is_the_derivative_by_its_voltage(name):
    """Of the readout's loss, but for the weight's sampling one step later, which is undone here."""
    weight, rng = WEIGHTS[name], np.random.default_rng(1)
    voltages, drive = rng.normal(0, 1, (2, 40, 5)), rng.normal(0, 1, (2, 5))
    value = weight.initial(5) + rng.normal(0, 0.5, weight.shape(5))
    original = weight._weights

    def same_step(*arguments):
        now, _ = original(*arguments)
        return now, now

    object.__setattr__(weight, "_weights", same_step)
    try:
        got = weight.drive(value, drive, voltages)
    finally:
        object.__delattr__(weight, "_weights")
    h = 1e-6
    for index in [(0, 0, 0), (0, 17, 3), (1, 39, 4), (1, 5, 2)]:
        ends = []
        for sign in (1, -1):
            there = voltages.copy()
            there[index] += sign * h
            ends.append((drive * weight.read(value, there)).sum())
        np.testing.assert_allclose(got[index] / 40, (ends[0] - ends[1]) / (2 * h), rtol=1e-4)


def exact_by_knot(net, inputs, label, weight):
    """∂L/∂θ_k of the event-exact network, by central differences of its readout's curve."""
    theta, h = weight.initial(3)[0], 1e-5
    found = []
    for k in range(weight.knots):
        ends = []
        for sign in (1, -1):
            there = theta + sign * h * np.eye(weight.knots)[k]

            class Moved(LearnedWeight):
                def initial(self, n_classes, there=there):
                    return there[np.newaxis]

            curve = Moved(weight.knots, start=weight.start)
            event_exact.READ_WEIGHTS["learned_weight"] = lambda s, c=curve: learned_curve(c, s)
            ends.append(event_exact.loss(net, inputs, label)[0])
        found.append((ends[0] - ends[1]) / (2 * h))
    return np.array(found)


def test_each_knot_converges_to_the_event_exact_gradient(monkeypatch):
    monkeypatch.setitem(event_exact.READ_WEIGHTS, "learned_weight", None)  # restored at the end
    weight, errors = LearnedWeight(knots=6, start=event_exact.RISING), []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        net = ExactNetwork(
            *(rng.normal(0.5, 0.5, (6, 8)), rng.normal(0, 0.2, (8, 8)), rng.normal(0, 1, (8, 3))),
            trial_ms=60.0,
            readout="learned_weight",
            temperature=0.1,
        )
        times = np.sort(rng.uniform(0, 54, 40))
        inputs = list(zip(times.tolist(), rng.integers(6, size=40).tolist(), strict=True))
        expected = exact_by_knot(net, inputs, 1, weight)
        source, hidden = (
            Population("input", SpikeInput(), 6),
            Population("hidden", LeakyIntegrateFire(), 8),
        )
        output = Population("output", LeakyIntegrate(20.0, "learned_weight", weight), 3)
        pairs = ((source, hidden), (hidden, hidden), (hidden, output))
        drawn, synapse = Dense(Normal()), Exponential(5.0)
        network = Network(
            (source, hidden, output), tuple(Connection(*pair, drawn, synapse) for pair in pairs)
        )
        row = []
        for dt in (0.2, 0.1, 0.05):
            config = CompileConfig(round(60 / dt), dt, objective=Objective(0.1))
            reference = Reference(network, config)
            reference.set_parameters(net.weights())
            events = Events.of([tuple(np.array(column) for column in zip(*inputs, strict=True))])
            got = reference.gradient(events, np.array([1]))[KEY][0]
            row.append(np.linalg.norm(got - expected) / np.linalg.norm(expected))
        errors.append(row)
    mean = np.exp(np.mean(np.log(errors), axis=0))
    slope = np.polyfit(np.log([0.2, 0.1, 0.05]), np.log(mean), 1)[0]
    assert 0.7 < slope < 1.3 and mean[-1] < 0.05


def exact_loss(net, inputs, label, weight, value):
    """The loss in the limit dt → 0, with the readout's curve at ``value``."""
    segments = event_exact.solve(net, inputs).segments
    t, dt = event_exact.points_of(segments)
    v, part = event_exact.voltages(net, segments, t), dt[:, :, np.newaxis] / net.trial_ms
    curves = np.atleast_2d(value[: weight.knots] if weight.attention else value)
    base = basis(weight.knots, np.ravel(t / net.trial_ms)).reshape(*t.shape, weight.knots)
    w = base @ curves.T
    if weight.attention:
        w = w + (v @ value[weight.knots :])[:, :, np.newaxis]
    if weight.form == "softmax":
        w = np.exp(w) / (part * np.exp(w)).sum(axis=(0, 1))
    y = (part * w * v).sum(axis=(0, 1))
    return -np.log(event_exact.softmax(y / net.temperature)[label])


def random_network(rng):
    """Weights of input, hidden and output, and 40 input spikes."""
    matrices = {
        "input_hidden": rng.normal(0.5, 0.5, (6, 8)),
        "hidden_hidden": rng.normal(0, 0.2, (8, 8)),
        "hidden_output": rng.normal(0, 1, (8, 3)),
    }
    times = np.sort(rng.uniform(0, 54, 40))
    return matrices, list(zip(times.tolist(), rng.integers(6, size=40).tolist(), strict=True))


def network_of(weight):
    """The same in time steps."""
    source, hidden = Population("input", SpikeInput(), 6), Population("hidden", LIF, 8)
    output = Population("output", LeakyIntegrate(20.0, "learned_weight", weight), 3)
    pairs = ((source, hidden), (hidden, hidden), (hidden, output))
    connections = tuple(Connection(*pair, Dense(Normal()), Exponential(5.0)) for pair in pairs)
    return Network((source, hidden, output), connections)


@pytest.mark.parametrize("name", ["softmax of each class", "spline of each class", "attention"])
def test_weights_and_knots_converge_to_the_event_exact_gradient(name):
    """The derivatives of the loss in twelve random directions of all weights, and by all knots."""
    weight, errors, h = replace(WEIGHTS[name], smoothness=0.0), [], 1e-5
    for seed in range(6):
        rng = np.random.default_rng(seed)
        matrices, inputs = random_network(rng)
        value = weight.initial(3) + rng.normal(0, 0.5, weight.shape(3))
        ways = [{k: rng.normal(size=w.shape) for k, w in matrices.items()} for _ in range(12)]

        def loss(way, step, value, matrices=matrices, inputs=inputs):
            weights = [w + step * way[key] if way else w for key, w in matrices.items()]
            net = ExactNetwork(*weights, trial_ms=60.0, readout="avg_var", temperature=0.1)
            return exact_loss(net, inputs, 1, weight, value)

        by_weights = [(loss(way, h, value) - loss(way, -h, value)) / (2 * h) for way in ways]
        steps = h * np.eye(value.size).reshape(-1, *value.shape)
        by_knots = [(loss({}, 0, value + d) - loss({}, 0, value - d)) / (2 * h) for d in steps]
        row = []
        for dt in (0.1, 0.05, 0.025):
            config = CompileConfig(round(60 / dt), dt, objective=Objective(0.1))
            reference = Reference(network_of(weight), config)
            reference.set_parameters(matrices)
            reference._learned.value = value.copy()
            events = Events.of([tuple(np.array(column) for column in zip(*inputs, strict=True))])
            gradient = reference.gradient(events, np.array([1]))
            got = [sum((gradient[key] * w).sum() for key, w in way.items()) for way in ways]
            row.append([distance(got, by_weights), distance(gradient[KEY].ravel(), by_knots)])
        errors.append(row)
    mean = np.exp(np.mean(np.log(errors), axis=0))  # (dt, weights or knots)
    slopes = [np.polyfit(np.log([0.1, 0.05, 0.025]), np.log(column), 1)[0] for column in mean.T]
    # first order; resampling six networks moves a slope by about 0.2, and a wrong gradient has 0
    assert all(0.5 < slope < 1.5 for slope in slopes)
    assert mean[-1, 0] < 0.06 and mean[-1, 1] < 0.006


def distance(got, expected):
    """Length of the error in parts of what is expected."""
    return np.linalg.norm(np.subtract(got, expected)) / np.linalg.norm(expected)


def test_a_weight_at_its_start_is_that_of_the_formula():
    """The spline fits a line exactly, and exp(-s) in the exponent, too."""
    n = 100
    linear = LearnedWeight(form="spline", start=Formula("1 - s"))
    w = linear.weights(linear.initial(5), n)[0] / n
    np.testing.assert_allclose(w, read_weights("avg_var_linear_weight", n), atol=1e-12)
    exponential = LearnedWeight()
    w = exponential.weights(exponential.initial(5), n)[0]
    expected = np.exp(-np.arange(n) / n)
    np.testing.assert_allclose(w, expected / expected.mean(), rtol=1e-10)
    assert np.allclose(basis(8, GRID).sum(axis=1), 1)


def test_training_lowers_the_loss_through_the_weight_alone():
    network = network_with(LearnedWeight(knots=5, per_class=True))
    reference = Reference(network, CONFIG)
    events, labels = random_events(4), random_labels(4)
    rates = {"weight": 0.0, "readout_weight": 0.05}
    losses = [reference.train_batch(events, labels, rates).loss.mean() for _ in range(20)]
    assert losses[-1] < losses[0] - 1e-3
    assert (np.diff(losses) < 0).all()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"knots": 3}, "3 < weight_knots must hold"),
        ({"attention": True, "per_class": True}, "weight_attention is set, but"),
        ({"attention": True, "form": "spline"}, "weight_attention is set, but"),
        ({"start": Formula("1 - s")}, "0 < weight_start for all s"),
        ({"form": "spline", "start": Formula("1/s")}, "must be a finite float32"),
    ],
)
def test_what_does_not_fit_is_refused(settings, problem):
    with pytest.raises(ConfigError, match=problem):
        LearnedWeight(**settings)
