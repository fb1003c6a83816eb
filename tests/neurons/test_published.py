"""ALIF and adLIF spike as the published implementations do whose names they have.

Each implementation's update of a time step is written here from its equations, beside ours. All get
the same currents, which are constant during a step.
"""

from dataclasses import replace

import numpy as np
import pytest

from shd_genn.backends.reference.derived_neurons import Neurons, constants_of
from shd_genn.network import AdaptiveLeakyIntegrateFire, AdLIF, Neuron
from shd_genn.network.initialisers import typical

N, DURATION_MS = 40, 200.0


def drives(dt_ms):
    """Currents of N neurons that go up and down, (steps, neurons)."""
    rng = np.random.default_rng(5)
    t = (np.arange(round(DURATION_MS / dt_ms)) + 0.5)[:, None] * dt_ms
    period, phase = rng.uniform(30, 90, N), rng.uniform(0, 2 * np.pi, N)
    return rng.uniform(0.9, 2.0, N) + 0.8 * np.sin(2 * np.pi * t / period + phase)


def ours(neuron, currents, dt_ms):
    """The steps and neurons of all spikes, (steps, neurons) bool."""
    values = {
        p.name: np.full(N, typical(p.value_in(neuron))) for p in neuron.description.parameters
    }
    values["tau_syn"] = np.full(N, 5.0)
    k = constants_of("hidden", neuron.derived, values, dt_ms, [], 0.0, np.dtype(np.float64))
    running = Neurons(k, [])
    for current in currents:
        running.step(current / k.scale)
    return np.array([np.isin(np.arange(N), fired) for fired in running.spikes])


def mlgenn_alif(currents, dt_ms, tau_mem, tau_adapt, v_thresh, beta):
    """mlGeNN's AdaptiveLeakyIntegrateFire, with the input scaled by 1 - α (``scale_i``)."""
    alpha, rho = np.exp(-dt_ms / tau_mem), np.exp(-dt_ms / tau_adapt)
    v, a, spikes = np.zeros(N), np.zeros(N), []
    for current in currents:
        v = alpha * v + (1 - alpha) * current
        a = rho * a
        z = v >= v_thresh + beta * a
        v, a = v - v_thresh * z, a + z
        spikes.append(z)
    return np.array(spikes)


def bellec_alif(currents, dt_ms, tau_mem, tau_adapt, v_thresh, beta):
    """ALIF of Bellec et al. (2020): reset and adaptation act in the step after a spike."""
    alpha, rho = np.exp(-dt_ms / tau_mem), np.exp(-dt_ms / tau_adapt)
    v, a, z, spikes = np.zeros(N), np.zeros(N), np.zeros(N, bool), []
    for current in currents:
        v = alpha * v + (1 - alpha) * current - z * v_thresh
        a = rho * a + z
        z = v >= v_thresh + beta * a
        spikes.append(z)
    return np.array(spikes)


def sparch_adlif(currents, dt_ms, tau_mem, tau_w, a, b):
    """sparch's adLIF (Bittar & Garner 2022), threshold 1, which a spike subtracts.

    sparch's a and b are per step: w = β w + a u + b s. So its a is ours times 1 - β, and its b is
    ours times β, because ours is added at the end of the step of the spike and then decays.
    """
    alpha, beta = np.exp(-dt_ms / tau_mem), np.exp(-dt_ms / tau_w)
    u, w, s, spikes = np.zeros(N), np.zeros(N), np.zeros(N, bool), []
    for current in currents:
        w = beta * w + (1 - beta) * a * u + beta * b * s
        u = alpha * (u - s) + (1 - alpha) * (current - w)
        s = u >= 1
        spikes.append(s)
    return np.array(spikes)


def symplectic_adlif(currents, dt_ms, tau_mem, tau_w, a, b):
    """SE-adLIF of Baronig et al. (2025): u first, then w by the new u; a spike sets u to 0.

    Its b is per step, too, and divided by 1 - β: w = β w + (1 - β) (a u + b s).
    """
    alpha, beta = np.exp(-dt_ms / tau_mem), np.exp(-dt_ms / tau_w)
    u, w, spikes = np.zeros(N), np.zeros(N), []
    for current in currents:
        u = alpha * u + (1 - alpha) * (current - w)
        s = u >= 1
        u = np.where(s, 0, u)
        w = beta * w + (1 - beta) * (a * u + b / (1 - beta) * s)
        spikes.append(s)
    return np.array(spikes)


ALIF = {"tau_mem": 20.0, "tau_adapt": 200.0, "v_thresh": 0.6, "beta": 0.07}
ADLIF = {"tau_mem": 12.0, "tau_w": 80.0, "a": 0.4, "b": 0.3}


def test_alif_is_mlgenns_spike_for_spike():
    currents = drives(1.0)
    expected = mlgenn_alif(currents, 1.0, **ALIF)
    assert expected.sum() > 300
    got = ours(AdaptiveLeakyIntegrateFire(**ALIF), currents, 1.0)
    np.testing.assert_array_equal(got, expected)


def test_alif_is_bellecs_spike_for_spike_once_its_jumps_do_not_decay():
    """Its jumps come a step later, so ours must be larger by what they decay in that step."""
    currents, dt = drives(1.0), 1.0
    usual = AdaptiveLeakyIntegrateFire(**ALIF).dynamics
    later = {"r": float(np.exp(dt / ALIF["tau_mem"])), "j": float(np.exp(dt / ALIF["tau_adapt"]))}
    neuron = Neuron(usual.text, usual.spike, "V -= r * v_thresh; A += j", ALIF | later)
    expected = bellec_alif(currents, dt, **ALIF)
    assert expected.sum() > 300
    np.testing.assert_array_equal(ours(neuron, currents, dt), expected)


@pytest.mark.parametrize("published", [sparch_adlif, symplectic_adlif])
@pytest.mark.parametrize("dt_ms", [1.0, 0.25])
def test_adlif_is_the_published_one_to_a_step(published, dt_ms):
    """Both split a step into one of u and one of w; ours takes them together, exactly.

    So voltages differ by about dt² in a step, and a spike that is nearly early, or nearly late, may
    move to the next step.
    """
    neuron = AdLIF(**ADLIF)
    if published is sparch_adlif:
        usual = neuron.dynamics
        neuron = Neuron(usual.text, usual.spike, "V -= v_thresh; w += b", ADLIF | {"v_thresh": 1.0})
    currents = drives(dt_ms)
    got, expected = ours(neuron, currents, dt_ms).T, published(currents, dt_ms, **ADLIF).T
    assert expected.sum() > 200
    np.testing.assert_array_equal(got.sum(axis=1), expected.sum(axis=1))
    assert np.abs(np.nonzero(got)[1] - np.nonzero(expected)[1]).max() <= 1
    assert (got & expected).sum() > 0.95 * expected.sum()


def test_a_wrong_constant_is_noticed():
    currents = drives(1.0)
    changed = AdaptiveLeakyIntegrateFire(**(ALIF | {"beta": 1.03 * ALIF["beta"]}))
    assert (ours(changed, currents, 1.0) != mlgenn_alif(currents, 1.0, **ALIF)).any()
    wrong = replace(AdLIF(**ADLIF), a=1.5 * ADLIF["a"])
    fine = drives(0.1)
    apart = ours(wrong, fine, 0.1).sum(axis=0) - symplectic_adlif(fine, 0.1, **ADLIF).sum(axis=0)
    assert (apart != 0).mean() > 0.3
