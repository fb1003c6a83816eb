"""Neurons of time steps: KLIF, without a reset, spiking at random, sliding PSN."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import networks
from helpers.by_equations import with_neuron

from shd_genn import check
from shd_genn.backends import cuda, native, reference
from shd_genn.backends.conformance.networks import layered_network
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.derived_neurons import Neurons, constants_of
from shd_genn.backends.reference.derived_steps import Watched, local_derivatives
from shd_genn.backends.reference.random_spikes import noise_of
from shd_genn.config import Config
from shd_genn.config.flat import update
from shd_genn.learning.methods import EProp, EPropOnline, EventProp, Surrogate
from shd_genn.learning.methods.shapes import Pseudo
from shd_genn.network import (
    KLIF,
    LTMD,
    LeakyIntegrateFire,
    Neuron,
    ParaLIF,
    SlidingPSN,
    Trainable,
)
from shd_genn.network.layers import hidden_neuron
from shd_genn.network.settings import ModelConfig
from shd_genn.support.errors import ConfigError

CONFIG = CompileConfig(60, seed=3)
SAMPLES = networks.random_events(3, 150), networks.random_labels(3)
LIF = LeakyIntegrateFire(20.0, Trainable(0.5, 0.1))
OF_STEPS = {
    "klif": KLIF(v_thresh=0.5, k=1.1, scale_reset=False),
    "delta": ParaLIF(v_thresh=0.05, spikes="delta"),
    "bernoulli": ParaLIF(v_thresh=3.0, spikes="bernoulli"),
    "sliding psn": SlidingPSN(2.0, (1.0, 0.5, 0.3)),
}


def network(neuron):
    return with_neuron(layered_network("var", hidden_sizes=(12,)), lambda _: neuron)


def alone(neuron, size=1, noise=None):
    """Neurons without synapses: what they do with a current."""
    values = {
        p.name: np.full(size, float(p.value_in(neuron))) for p in neuron.description.parameters
    }
    values["tau_syn"] = np.full(size, 5.0)
    k = constants_of("alone", neuron.derived, values, 1.0, [], 0.0, np.dtype(np.float64))
    return Neurons(k, [], noise=noise)


def respond(neurons, currents):
    """Their voltages, or newest currents, after each step."""
    shown = []
    for current in currents:
        neurons.step(np.full(neurons.k.size, current) / neurons.k.scale)
        shown.append(neurons.state[neurons.k.derived.states[0]].copy())
    return np.array(shown)


def test_klif_is_its_published_equations():
    """F = max(0, k H) with H the charged voltage, and V = F where it does not spike."""
    neurons = alone(KLIF(20.0, 1.0, 1.1, scale_reset=False))
    rng, alpha, v, expected, spikes = np.random.default_rng(0), np.exp(-1 / 20), 0.0, [], []
    currents = rng.normal(3, 15, 80)
    for current in currents:
        f = max(0.0, 1.1 * (alpha * v + (1 - alpha) * current))
        spikes.append(f >= 1)
        v = 0.0 if f >= 1 else f
        expected.append(v)
    np.testing.assert_allclose(respond(neurons, currents)[:, 0], expected, rtol=1e-12, atol=1e-15)
    assert [len(s) == 1 for s in neurons.spikes] == spikes and 3 < sum(spikes) < 70
    assert expected.count(0.0) > sum(spikes)  # V was cut off at 0, too


def test_without_a_reset_voltages_are_a_filter_of_the_input():
    """As the papers compute them: a convolution with powers of exp(-dt/tau_mem)."""
    currents, alpha = np.random.default_rng(1).normal(1, 2, 50), np.exp(-1 / 20)
    filtered = np.convolve(currents, (1 - alpha) * alpha ** np.arange(50))[:50]
    for spikes, v_thresh, above in (
        ("threshold", 0.8, filtered >= 0.8),
        ("delta", 0.05, np.diff(filtered, prepend=0.0) >= 0.05),
    ):
        neurons = alone(ParaLIF(20.0, v_thresh, spikes))
        np.testing.assert_allclose(respond(neurons, currents)[:, 0], filtered, rtol=1e-12)
        assert [len(fired) == 1 for fired in neurons.spikes] == list(above)
        assert 5 < above.sum() < 45


def test_random_spikes_have_the_probability_of_the_sigmoid():
    """2000 neurons, 30 steps: a standard error of 0.002 at most; the bound is 4 of them."""
    neuron, n = ParaLIF(20.0, 1.0, "bernoulli"), 2000
    for current in (-1.0, 1.0, 4.0):
        neurons = alone(neuron, n, noise_of(7, 1, n))
        v = respond(neurons, np.full(230, current))[200:, 0]
        rate = np.mean([len(fired) for fired in neurons.spikes[200:]]) / n
        p = np.mean(1 / (1 + np.exp(1.0 - v)))
        assert abs(rate - p) < 4 * np.sqrt(p * (1 - p) / (30 * n))


def test_the_surrogate_does_not_see_the_noise():
    """ψ is taken at V - v_thresh, whatever the random number was (straight through)."""
    neurons = alone(ParaLIF(20.0, 1.0, "bernoulli"), 50, noise_of(8, 1, 50))
    v, psi = respond(neurons, np.linspace(0, 40, 20)), Pseudo.of("sigmoid", 1.0, None)
    watched = Watched(neurons)
    assert [list(f) for f in watched.spikes] == [list(f) for f in neurons.spikes]
    for step in (0, 7, 19):
        (sub,) = watched.steps[step]
        local = local_derivatives(neurons.k, sub, watched.current[step], psi)
        expected = np.exp(1 - v[step]) / (1 + np.exp(1 - v[step])) ** 2
        np.testing.assert_allclose(local.psi, expected, rtol=1e-9)


def test_random_spikes_depend_on_seed_update_and_trial_only():
    """Not on the batch; an evaluation repeats itself, and each update draws anew."""
    method, at_random = Surrogate("sigmoid", 1.0), network(OF_STEPS["bernoulli"])
    engine = reference.compile(at_random, method, CONFIG)
    events, labels = SAMPLES
    whole = engine.evaluate(events).spike_counts["hidden0"]
    for i in (2, 0):
        one = engine.evaluate(events.take(np.array([i]))).spike_counts["hidden0"]
        np.testing.assert_array_equal(one[0], whole[i])
    other = reference.compile(at_random, method, replace(CONFIG, seed=4))
    other.set_parameters(engine.parameters())
    assert (other.evaluate(events).spike_counts["hidden0"] != whole).any()
    updates = [engine.train_batch(events, labels, 0.0).spike_counts["hidden0"] for _ in range(2)]
    assert (updates[0] != whole).any() and (updates[0] != updates[1]).any()


@pytest.mark.parametrize("name", OF_STEPS)
def test_eprop_is_eprop_online(name):
    given = network(OF_STEPS[name])
    later, online = (
        reference.compile(given, method, CONFIG).gradient(*SAMPLES)
        for method in (EProp(), EPropOnline())
    )
    assert networks.largest_error(online, later) < 1e-5
    assert all(np.abs(array).max() > 0 for array in later.values())


def test_the_threshold_of_ltmd_is_a_hyperbolic_tangent():
    """It is a LIF neuron with this threshold, whose gradient is that by V_th times 1 - tanh² k.

    Gradients by thresholds are those of JAX (tests/learning/test_methods.py); all in float64.
    """
    k = np.linspace(0.3, 0.9, 12)
    found = {}
    for given, start in ((LTMD(20.0, Trainable(0.5, 0.01)), k), (LIF, np.tanh(k))):
        engine = reference.compile(network(given), Surrogate("boxcar"), CONFIG)
        (key,) = (p.key for p in engine.network.parameters if p.kind in ("k_thresh", "v_thresh"))
        engine.set_parameters(engine.parameters() | {key: start.astype(np.float32)})
        found[type(given)] = engine.gradient(*SAMPLES)
    by_k, by_v_thresh = (
        found[LTMD].pop("hidden0.k_thresh"),
        found[type(LIF)].pop("hidden0.v_thresh"),
    )
    assert np.abs(by_v_thresh).min() > 0
    np.testing.assert_allclose(by_k, by_v_thresh * (1 - np.tanh(k) ** 2), rtol=1e-5)
    assert networks.largest_error(found[LTMD], found[type(LIF)]) < 1e-5


@pytest.mark.parametrize("name", OF_STEPS)
def test_eventprop_refuses_them(name):
    for backend in (reference, native):
        with pytest.raises(ConfigError, match=r"by the times of spikes, which .* in steps"):
            backend.compile(network(OF_STEPS[name]), EventProp(), CONFIG)


def test_what_cannot_be_is_refused(monkeypatch):
    with pytest.raises(ConfigError, match="1 <= number of weights of SlidingPSN <= 64"):
        SlidingPSN(weights=())
    with pytest.raises(ConfigError, match="psn_order <= 64"):
        update(Config(), {"neuron": "sliding_psn", "psn_order": 65})
    with pytest.raises(ConfigError, match="update 'W = V' sets W, which has no differential"):
        _ = Neuron("V' = I - V", "V >= 1", "V = 0", update="W = V").derived
    with pytest.raises(ConfigError, match=r"scheme exact does not fit.* steps are updated"):
        _ = Neuron("V' = I - V", "V >= 1", "V = 0", scheme="exact", update="V = 2 * V").derived
    with pytest.raises(ConfigError, match="no input can reach the spike condition"):
        _ = Neuron("V' = I - V; W' = -W", "W >= 1", "W = 0", update="W = 2 * W").derived
    with pytest.raises(ConfigError, match="cannot"):
        cuda.CAPABILITIES.check(network(OF_STEPS["klif"]), Surrogate())
    monkeypatch.setattr(sys, "argv", ["check", "klif"])
    with pytest.raises(ConfigError, match="check proves EventProp's adjoint, which klif has none"):
        check.main()


def test_settings_choose_them():
    model = replace(ModelConfig(), tau_mem_ms=15.0, v_thresh=0.7)

    def chosen(**options):
        return hidden_neuron(update(Config(model=model), options).model)

    assert chosen(neuron="klif") == KLIF(15.0, 0.7, Trainable(1.0, 0.1))
    klif = chosen(neuron="klif", klif_factor=1.5, reset="subtract", scale_reset=False)
    assert klif == KLIF(15.0, 0.7, Trainable(1.5, 0.1), "subtract", scale_reset=False)
    assert chosen(neuron="ltmd", k_thresh=0.4) == LTMD(15.0, Trainable(0.4, 0.01))
    assert chosen(neuron="paralif", spikes="delta") == ParaLIF(15.0, 0.7, "delta")
    usual = chosen(neuron="sliding_psn", psn_order=3)
    assert usual == SlidingPSN(0.7, tuple(map(Trainable, (1.0, 0.5, 0.25))))
    assert [p.name for p in usual.description.parameters] == ["v_thresh", "w0", "w1", "w2"]
    assert chosen(neuron="sliding_psn", psn_order=2, train_neuron=()) == SlidingPSN(0.7, (1.0, 0.5))
