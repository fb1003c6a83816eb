"""Delta synapses: V jumps by the weight; who can train them, and that gradients are right."""

import numpy as np
import pytest
from helpers import networks
from helpers.by_equations import with_neuron

from shd_genn.backends import reference
from shd_genn.backends.conformance.networks import largest_error
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.trial import steps_of_input
from shd_genn.config import Config
from shd_genn.config.flat import update
from shd_genn.learning.methods import EProp, EPropOnline, EventProp, Surrogate
from shd_genn.learning.methods.stdp import STDP
from shd_genn.network import (
    Connection,
    Delta,
    Dense,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
    Trainable,
)
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError

CONFIG = CompileConfig(40)
SAMPLES = networks.random_events(2, 120), networks.random_labels(2)


def network_of(synapse, tau_mem=15.0, v_thresh=1.0):
    source = Population("input", SpikeInput(), networks.N_INPUTS)
    hidden = Population("hidden0", LeakyIntegrateFire(tau_mem, v_thresh), 10)
    output = Population("output", LeakyIntegrate(20.0, "avg_var"), networks.N_CLASSES)
    ends = (source, hidden, Normal(0.3, 0.2)), (hidden, hidden, Normal(0.0, 0.1))
    ends += ((hidden, output, Normal(0.3, 0.2)),)
    return Network(
        (source, hidden, output),
        tuple(Connection(a, b, Dense(weights), synapse) for a, b, weights in ends),
    )


def test_v_jumps_by_the_weight_and_decays():
    """The only spike of the input, in step 3, arrives in step 4."""
    network = network_of(Delta())
    trial = reference.compile(network, Surrogate(), CONFIG)
    weights = {key: 0 * array for key, array in trial.parameters().items()}
    weights["input_hidden0"][5] = 1.0  # reaches the threshold at once
    weights["hidden0_output"][:] = 0.25
    trial.set_parameters(weights)
    recording = trial.record(Events.of([(np.array([3.0], np.float32), np.array([5], np.int32))]))
    np.testing.assert_array_equal(recording.spikes["hidden0"].times_ms, np.full(10, 4.0))
    decay = np.exp(-np.arange(35) / 20.0)
    expected = np.concatenate([np.zeros(5), 10 * 0.25 * decay])
    for voltage in recording.voltages[0].T:
        np.testing.assert_allclose(voltage, expected, rtol=1e-5)


class Tangent:
    """One trial in float64 with the tangent along a direction of all weights, step by step.

    z is 1 where V >= theta, and its tangent is that of V - theta times the surrogate's derivative.
    """

    def __init__(self, weights, along, psi, alpha, alpha_out, detached):
        self.w, self.d, self.psi, self.detached = weights, along, psi, detached
        self.alpha, self.alpha_out = alpha, alpha_out

    def readout(self, inputs):
        """The mean output voltage of a trial and its tangent, given spikes in (steps, inputs)."""
        w, d = self.w, self.d
        n_hidden, n_classes = w["hidden0_output"].shape
        v, dv = np.zeros(n_hidden), np.zeros(n_hidden)
        z, dz = np.zeros(n_hidden), np.zeros(n_hidden)
        y, dy = np.zeros(n_classes), np.zeros(n_classes)
        total, d_total = np.zeros(n_classes), np.zeros(n_classes)
        before = np.zeros(inputs.shape[1])
        for now in inputs:
            d_reset = 0 if self.detached else -v * dz
            arriving = before @ w["input_hidden0"] + z @ w["hidden0_hidden0"]
            d_arriving = before @ d["input_hidden0"] + z @ d["hidden0_hidden0"]
            d_arriving = d_arriving + dz @ w["hidden0_hidden0"]
            y, dy = (
                self.alpha_out * y + z @ w["hidden0_output"],
                self.alpha_out * dy + z @ d["hidden0_output"] + dz @ w["hidden0_output"],
            )
            dv = self.alpha * ((1 - z) * dv + d_reset) + d_arriving
            v = self.alpha * (1 - z) * v + arriving
            z = (v >= 1).astype(float)
            dz = self.psi(v - 1) * dv
            total, d_total, before = total + y, d_total + dy, now
        return total / len(inputs), d_total / len(inputs)


def derivative_along(weights, along, method):
    """Of the mean cross-entropy of the samples, by forward differentiation."""
    total, alpha, alpha_out = 0.0, np.exp(-1 / 15.0), np.exp(-1 / 20.0)

    def psi(x):
        return method.derivative(x, np.ones_like(x))

    tangent = Tangent(weights, along, psi, alpha, alpha_out, method.detach_reset)
    events, labels = SAMPLES
    for i, label in enumerate(labels):
        inputs = np.zeros((CONFIG.n_steps, networks.N_INPUTS))
        for step, channels in enumerate(steps_of_input(*events.sample(i), CONFIG)):
            inputs[step, channels] = 1
        readout, moved = tangent.readout(inputs)
        probability = np.exp(readout - readout.max())
        probability /= probability.sum()
        total += (probability - np.eye(len(readout))[label]) @ moved
    return total / len(labels)


@pytest.mark.parametrize("detached", [True, False], ids=["detached", "attached"])
def test_surrogate_gradients_are_those_of_forward_differentiation(detached):
    method = Surrogate(detach_reset=detached)
    learner = reference.compile(network_of(Delta()), method, CONFIG)
    weights = {k: a.astype(float) for k, a in learner.parameters().items()}
    gradient, rng = learner.gradient(*SAMPLES), np.random.default_rng(3)
    for key in weights:
        along = {k: rng.normal(size=a.shape) * (k == key) for k, a in weights.items()}
        got = float((gradient[key] * along[key]).sum())
        assert got == pytest.approx(derivative_along(weights, along, method), rel=1e-4), key


def test_the_order_of_spikes_and_arrivals_matters_to_the_test():
    """Forward differentiation tells a detached reset from an attached one."""
    attached, detached = (
        reference.compile(network_of(Delta()), Surrogate(detach_reset=d), CONFIG).gradient(*SAMPLES)
        for d in (False, True)
    )
    assert largest_error(attached, detached) > 0.01


def test_online_eprop_is_eprop():
    methods = EProp(), EPropOnline()
    offline, online = (
        reference.compile(network_of(Delta()), method, CONFIG).gradient(*SAMPLES)
        for method in methods
    )
    assert largest_error(online, offline) < 1e-5


@pytest.mark.parametrize("method", [Surrogate(), EProp()], ids=["surrogate", "eprop"])
@pytest.mark.parametrize("v_thresh", [1.0, Trainable(1.0, 0.1)], ids=["fixed", "learned"])
def test_native_is_the_reference(method, v_thresh):
    network = network_of(Delta(), v_thresh=v_thresh)
    native, specified = (
        networks.backend(name).compile(network, method, CONFIG) for name in ("native", "reference")
    )
    counts = [each.evaluate(SAMPLES[0]).spike_counts["hidden0"] for each in (native, specified)]
    assert counts[0].sum() > 100
    np.testing.assert_array_equal(*counts)
    gradients = (each.gradient(*SAMPLES) for each in (native, specified))
    assert largest_error(*gradients) < 1e-4


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_eventprop_is_refused_with_the_reason(backend):
    with pytest.raises(ConfigError, match=r"EventProp.*delta.*time.*no derivative by weights"):
        networks.backend(backend).compile(network_of(Delta()), EventProp(), CONFIG)


def test_what_delta_synapses_cannot_have_is_refused():
    learned = network_of(Delta(), tau_mem=Trainable(15.0, 3.0))
    with pytest.raises(ConfigError, match=r"hidden0\.tau_mem is learned"):
        reference.compile(learned, Surrogate(), CONFIG)
    with pytest.raises(ConfigError, match=r"synapse delta has no tau_syn"):
        update(Config(), {"synapse": "delta", "train_tau": True})
    with pytest.raises(ConfigError, match=r"subtract.*take synapse=exponential"):
        subtracting = LeakyIntegrateFire(reset="subtract")
        reference.compile(
            with_neuron(network_of(Delta()), lambda _: subtracting), Surrogate(), CONFIG
        )


def test_stdp_refuses_delta_synapses():
    network = networks.network(model="feedforward", hidden_sizes=(8,), synapse="delta")
    with pytest.raises(ConfigError, match=r"stdp cannot train the delta synapses"):
        reference.compile(network, STDP(), CONFIG)


def test_the_settings_choose_the_synapses():
    network = networks.network(synapse="delta")
    assert {c.synapse for c in network.connections} == {Delta()}
