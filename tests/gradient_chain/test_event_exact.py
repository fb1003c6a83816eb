"""The first two links of the chain: EventProp is the gradient, and the stepped form tends to it."""

import numpy as np
import pytest
from event_exact import ExactNetwork, gradient, loss, solve

from shd_genn.backends import CompileConfig
from shd_genn.backends.reference import Reference
from shd_genn.events import Events
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

N_INPUTS, N_HIDDEN, N_CLASSES, TRIAL_MS = 6, 8, 3, 60.0

# Two readouts, and outputs with another time constant than the hidden neurons
CASES = [("avg_var_exp_weight", 20.0), ("avg_var_exp_weight", 33.0), ("avg_var", 20.0)]


def random_network(seed, readout="avg_var_exp_weight", tau_out=20.0, w_hh_sd=0.2):
    rng = np.random.default_rng(seed)
    net = ExactNetwork(
        w_ih=rng.normal(0.5, 0.5, (N_INPUTS, N_HIDDEN)),
        w_hh=rng.normal(0, w_hh_sd, (N_HIDDEN, N_HIDDEN)),
        w_ho=rng.normal(0, 1, (N_HIDDEN, N_CLASSES)),
        trial_ms=TRIAL_MS,
        tau_out=tau_out,
        readout=readout,
    )
    times = np.sort(rng.uniform(0, 0.9 * TRIAL_MS, 40)).tolist()
    inputs = list(zip(times, rng.integers(N_INPUTS, size=40).tolist(), strict=True))
    return net, inputs, int(rng.integers(N_CLASSES))


def worst_error_against_differences(net, inputs, label, grads):
    """Largest relative error over all weights whose change makes no spike appear or vanish."""
    # (central differences: truncation ~ h² = 1e-12, rounding ~ 1e-15/h = 1e-9 absolute, which is
    # 1e-4 of a gradient of 1e-5; smaller gradients are measured against that)
    h, smallest = 1e-6, 1e-5
    _, n_spikes = loss(net, inputs, label)
    worst, compared = 0.0, 0
    for name, w in net.weights().items():
        for index in np.ndindex(w.shape):
            before = w[index]
            w[index] = before + h
            above, n_above = loss(net, inputs, label)
            w[index] = before - h
            below, n_below = loss(net, inputs, label)
            w[index] = before
            if n_above != n_spikes or n_below != n_spikes:
                continue
            difference = (above - below) / (2 * h)
            error = abs(grads[name][index] - difference) / max(abs(difference), smallest)
            worst, compared = max(worst, error), compared + 1
    assert compared > 0.9 * sum(w.size for w in net.weights().values())
    return worst


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("readout", "tau_out"), CASES)
def test_eventprop_is_the_derivative(readout, tau_out, seed):
    net, inputs, label = random_network(seed, readout, tau_out, w_hh_sd=0.4)
    assert solve(net, inputs).n_hidden_spikes > 10
    grads = gradient(net, inputs, label)
    assert worst_error_against_differences(net, inputs, label, grads) < 1e-4


def test_eventprop_is_the_derivative_of_the_max_readout():
    """Where V peaks smoothly. At a kink, where a spike arrives, EventProp leaves out a term."""
    tested = 0
    for seed in range(60):
        net, inputs, label = random_network(seed, "max_var")
        solution = solve(net, inputs)
        arrivals = np.array([t for t, *_ in solution.events])
        peaks = solution.max_times[solution.readout > 0]
        if len(peaks) == 0 or np.abs(peaks[:, np.newaxis] - arrivals).min() < 1e-6:
            continue
        grads = gradient(net, inputs, label)
        assert worst_error_against_differences(net, inputs, label, grads) < 1e-4
        tested += 1
        if tested == 3:
            return
    raise AssertionError("too few networks peak smoothly")


@pytest.mark.parametrize("spoilt", ["reset_term", "feedback_term"])
def test_a_broken_jump_is_noticed(spoilt):
    net, inputs, label = random_network(0)
    grads = gradient(net, inputs, label, **{spoilt: 0.9})
    assert worst_error_against_differences(net, inputs, label, grads) > 1e-2


def stepped_gradient(net, inputs, label, dt_ms):
    hidden = Population("hidden", LeakyIntegrateFire(net.tau_mem), N_HIDDEN)
    source = Population("input", SpikeInput(), N_INPUTS)
    output = Population("output", LeakyIntegrate(net.tau_out, net.readout), N_CLASSES)
    synapse, drawn = Exponential(net.tau_syn), Dense(Normal())
    pairs = ((source, hidden), (hidden, hidden), (hidden, output))
    network = Network(
        (source, hidden, output), tuple(Connection(*pair, drawn, synapse) for pair in pairs)
    )
    reference = Reference(network, CompileConfig(round(net.trial_ms / dt_ms), dt_ms))
    reference.set_parameters(net.weights())
    times, channels = (np.array(column) for column in zip(*inputs, strict=True))
    return reference.gradient(Events.of([(times, channels)]), np.array([label]))


def relative_error(got, expected):
    square = sum(np.sum((got[name] - expected[name]) ** 2) for name in expected)
    return np.sqrt(square / sum(np.sum(expected[name] ** 2) for name in expected))


@pytest.mark.parametrize(("readout", "tau_out"), CASES)
def test_stepped_reference_converges_at_first_order(readout, tau_out):
    """The median over networks: some have two events so close that only a finer dt parts them."""
    steps = [0.2, 0.1, 0.05, 0.025, 0.0125]
    errors = []
    for seed in range(24):
        net, inputs, label = random_network(seed, readout, tau_out)
        exact = gradient(net, inputs, label)
        errors.append(
            [relative_error(stepped_gradient(net, inputs, label, dt), exact) for dt in steps]
        )
    median = np.median(errors, axis=0)
    slope = np.polyfit(np.log(steps), np.log(median), 1)[0]
    # first order is a slope of 1; 24 networks leave it a standard error of about 0.1
    assert 0.8 < slope < 1.25, (slope, median)
    assert median[-1] < 0.02
