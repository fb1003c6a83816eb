"""Conversion: the spiking network answers as its network of rates, and that learns.

Weights in ``data/conversion.npz`` are what ``trained`` gives (PyTorch 2.14, six epochs of the words
below): `python tests/learning/test_conversion.py` records them anew.
"""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from shd_genn.backends import reference
from shd_genn.backends.conformance.networks import layered_network
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.converted import few_spike, integrate_and_fire
from shd_genn.config import Config
from shd_genn.config.flat import update
from shd_genn.learning.methods import Conversion
from shd_genn.learning.methods.operations import training_operations
from shd_genn.learning.rate_network import Units, activities, gradient, quantised
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

RECORDED = Path(__file__).parent / "data" / "conversion.npz"
N_CHANNELS, N_CLASSES, N_STEPS = 40, 10, 100
KINDS = ("percentile", "qcfs", "few-spike")
without_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"
)


def layers(*sizes):
    hidden = [Population(f"hidden{i}", LeakyIntegrateFire(), size) for i, size in enumerate(sizes)]
    output = Population("output", LeakyIntegrate(readout="avg_var"), N_CLASSES)
    chain = [Population("input", SpikeInput(), N_CHANNELS), *hidden, output]
    pairs = itertools.pairwise(chain)
    dense, synapse = Dense(Normal(0.0, 0.1)), Exponential(5.0)
    return Network(tuple(chain), tuple(Connection(a, b, dense, synapse) for a, b in pairs))


def words(n, seed):
    """Ten words: rates of 8 groups of channels in 4 parts of the trial, and Poisson noise."""
    rates = np.random.default_rng(7).gamma(1.0, 1.0, (N_CLASSES, 4, 8))
    rng, labels = np.random.default_rng([seed, 1]), np.arange(n) % N_CLASSES
    samples = []
    for label in labels:
        counts = rng.poisson(0.5 * rates[label] * rng.uniform(0.6, 1.4))
        part, group = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices((4, 8)))
        times = 25 * part + rng.uniform(0, 25, len(part))
        samples.append((times, 5 * group + rng.integers(0, 5, len(part))))
    return Events.of(samples), labels


def compiled(kind="percentile", learns=True, sizes=(32, 32), **options):
    config = CompileConfig(n_steps=N_STEPS, seed=1, batch_size=40 if learns else None)
    method = Conversion(kind, bin_channels=5, rate_dropout=0.1, **options)
    return reference.compile(layers(*sizes), method, config)


def trained(kind):
    learner = compiled(kind)
    events, labels = words(1200, 0)
    for _ in range(6):
        for first in range(0, len(labels), 40):
            part = np.arange(first, first + 40)
            learner.train_batch(events.take(part), labels[part], 3e-3)
    return learner.parameters()


def record():
    found = {kind: trained(kind) for kind in KINDS[:2]}
    np.savez_compressed(
        RECORDED, **{f"{kind}/{key}": a for kind, p in found.items() for key, a in p.items()}
    )


def recorded(kind):
    prefix = ("qcfs" if kind == "qcfs" else "percentile") + "/"
    with np.load(RECORDED) as file:
        return {key.removeprefix(prefix): file[key] for key in file if key.startswith(prefix)}


def accuracy(answers, labels):
    return 100 * float((answers.argmax(axis=-1) == labels).mean())


def losses_of_conversion(kind, parameters):
    """Accuracies in percent: of the rates, and of the spiking network after some steps."""
    simulator = compiled(kind, learns=False)
    simulator.set_parameters(parameters)
    events, labels = words(2000, 1)
    rates = accuracy(simulator.answers_of_rates(events), labels)
    assert 80 < rates < 99  # so hard that a wrong conversion shows
    if kind == "few-spike":
        answers = {k: simulator.answers_by_step(events, k)[-1] for k in (2, 10)}
        return rates, {k: accuracy(a, labels) for k, a in answers.items()}
    by_step = simulator.answers_by_step(events, 64)
    return rates, {t: accuracy(by_step[t - 1], labels) for t in (2, 16, 64)}


def assert_converted(kind, parameters):
    rates, spiking = losses_of_conversion(kind, parameters)
    if kind == "few-spike":
        assert abs(spiking[10] - rates) <= 0.3 and spiking[2] < rates
    else:
        assert abs(spiking[64] - rates) <= 1.0 and spiking[2] < rates


@pytest.mark.parametrize("kind", KINDS)
def test_the_spiking_network_answers_as_the_rates(kind):
    assert_converted(kind, recorded(kind))


@without_torch
@pytest.mark.parametrize("kind", KINDS[:2])
def test_the_same_after_training(kind):
    assert_converted(kind, trained(kind))


def test_evaluation_needs_no_torch():
    simulator = compiled("qcfs", learns=False)
    simulator.set_parameters(recorded("qcfs"))
    events, labels = words(50, 2)
    result = simulator.evaluate(events, labels)
    assert result.spike_counts["hidden0"].shape == (50, 32) and np.isfinite(result.loss).all()
    np.testing.assert_allclose(result.readout, simulator.answers_by_step(events, 16)[-1], rtol=1e-6)
    recording = simulator.record(events)
    assert recording.voltages.shape == (50, 16, N_CLASSES)
    for name, counts in result.spike_counts.items():
        np.testing.assert_array_equal(recording.spikes[name].counts, counts.sum(axis=1))
    assert (result.input_spikes <= 32).all()  # non-zero inputs of 4 bins and 8 groups


@pytest.mark.parametrize("kind", KINDS)
def test_times_of_simulation(kind):
    """Each is what a network that is simulated for so many steps answers, with its spikes."""
    events, labels = words(50, 2)
    several = compiled(kind, learns=False)
    several.set_parameters(recorded(kind))
    found = several.judged_after(events, labels, [3, 12])
    for steps, (right, spikes) in found.items():
        one = compiled(kind, learns=False, simulation_steps=steps)
        one.set_parameters(recorded(kind))
        result = one.evaluate(events, labels)
        assert right == (result.predictions == labels).sum() > 10
        assert spikes == sum(counts.sum() for counts in result.spike_counts.values()) > 0


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_training_without_torch_is_refused():
    with pytest.raises(ConfigError, match="trains a network with PyTorch, which is not installed"):
        compiled()


@without_torch
@pytest.mark.parametrize("levels", [0, 4])
def test_gradient(levels):
    """Finite differences of the loss; of QCFS the rounding is left out, as its derivative is 1."""
    rng = np.random.default_rng(0)
    units = [Units("a", "b", "s"), Units("c", "d")]
    shapes = {"a": (6, 5), "b": (5,), "s": (1,), "c": (5, 3), "d": (3,)}
    p = {key: rng.normal(0, 1, shape).astype(np.float32) for key, shape in shapes.items()}
    p["s"][:] = 1.3
    x, labels = rng.random((7, 6)).astype(np.float32), rng.integers(0, 3, 7)
    mask = np.float32(2) * (rng.random((7, 5)) < 0.5).astype(np.float32)
    found = gradient(units, p, x, labels, [mask], levels, 0.1)

    def loss(parameters):
        p64 = {key: a.astype(np.float64) for key, a in parameters.items()}
        h = x @ p64["a"] + p64["b"]
        if levels:
            h = p64["s"] * np.clip(h / p64["s"] + 0.5 / levels, 0, 1)
        y = (np.maximum(h, 0) * mask) @ p64["c"] + p64["d"]
        log_p = y - np.log(np.exp(y).sum(axis=1, keepdims=True))
        smooth = 0.9 * np.eye(3)[labels] + 0.1 / 3
        return -(smooth * log_p).sum(axis=1).mean()

    assert set(found) == ({"a", "b", "c", "d"} | ({"s"} if levels else set()))
    if levels:
        return  # its forward pass is rounded: this loss is not the one that is differentiated
    for key, g in found.items():
        for where in list(np.ndindex(p[key].shape))[:6]:
            up, down = ({k: a.astype(np.float64) for k, a in p.items()} for _ in range(2))
            up[key][where] += 1e-4
            down[key][where] -= 1e-4
            assert g[where] == pytest.approx((loss(up) - loss(down)) / 2e-4, abs=1e-5)


def test_neurons():
    """One neuron of each kind, by hand."""
    units = [Units("a", "b", "s"), Units("c", "d")]
    p = {"a": [[1.0]], "b": [0.0], "s": [2.0], "c": [[1.0]], "d": [0.0]}
    p = {key: np.array(value, np.float32) for key, value in p.items()}
    x = np.array([[0.75], [3.0], [-1.0]], np.float32)
    # V: .75 1.5 2.25-2=.25 1 1.75 2.5-2=.5 1.25 2; more than the scale: every step; never below 0
    answers, (spikes,) = integrate_and_fire(units, p, x, 8, 0.0)
    assert np.flatnonzero(spikes[:, 0, 0]).tolist() == [2, 5, 7]
    assert answers[-1, :, 0].tolist() == [0.75, 2.0, 0.0] and not spikes[:, 2].any()
    answers, (spikes,) = integrate_and_fire(units, p, x, 8, 0.5)
    assert np.flatnonzero(spikes[:, 0, 0]).tolist() == [1, 3, 6]
    # α = 2/(1 - 1/8): 3 bits of 2, so 0.75 is 3/8 of it, or 011 in binary with the unit α/8
    answers, (spikes,) = few_spike(units, p, x, 3)
    assert spikes[:, :, 0].T.tolist() == [[False, True, False], [True] * 3, [False] * 3]
    np.testing.assert_allclose(answers[0, :, 0], [4 / 7, 2.0, 0.0])
    steps = quantised(np.array([-1.0, 0.2, 0.3, 0.9, 5.0], np.float32), p["s"], 4)
    np.testing.assert_array_equal(steps, [0, 0, 0.5, 1.0, 2.0])
    np.testing.assert_array_equal(activities(units, p, x)[-1], [[0.75], [3.0], [0.0]])


def test_bins():
    """Spikes after the trial are left out; the last group of channels may be smaller."""
    simulator = compiled(learns=False)
    times = np.array([0.0, 24.9, 25.0, 99.9, 100.0])
    binned = simulator._binned(Events.of([(times, np.array([0, 4, 39, 5, 0]))]))[0].reshape(4, 8)
    assert binned[0, 0] == 2 and binned[1, 7] == 1 and binned[3, 1] == 1 and binned.sum() == 4


def test_operations_and_refusals():
    simulator = compiled(learns=False)
    weights = 32 * 32 + 32 * 32 + 32 * 10
    work = training_operations(simulator.network, simulator.method, 64, {})
    assert work == 3 * weights
    for network in (layered_network(), layered_network(hidden_sizes=(8,))):
        with pytest.raises(ConfigError, match="connected to the next layer only"):
            reference.compile(network, Conversion(), CompileConfig(n_steps=9))
    for values, message in (
        ({"percentile": 50.0}, "50 < percentile"),
        ({"rate_dropout": 1.0}, "0 <= rate_dropout < 1"),
        ({"conversion": "spikes"}, "conversion must be one of percentile, qcfs, few-spike"),
    ):
        with pytest.raises(ConfigError, match=message):
            update(Config(), {"method": "conversion", **values})
    with pytest.raises(ConfigError, match="conversion has finite parameters of shapes"):
        simulator.set_parameters({})
    with pytest.raises(ConfigError, match="channel < number of input neurons"):
        simulator.evaluate(Events.of([(np.array([1.0]), np.array([N_CHANNELS]))]))


if __name__ == "__main__":
    record()
