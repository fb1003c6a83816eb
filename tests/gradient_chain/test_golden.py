"""`reference` in float32 against trials recorded from mlGeNN, the others against `reference`."""

import numpy as np
import pytest
from helpers import golden, networks
from helpers.by_equations import by_equations

from shd_genn.backends.conformance.networks import largest_error
from shd_genn.backends.reference.engine import Reference
from shd_genn.backends.reference.eventprop import backward, forward
from shd_genn.backends.reference.trial import steps_of_input
from shd_genn.learning.methods import EventProp
from shd_genn.learning.methods.eventprop import gradient_scale
from shd_genn.learning.objective import cross_entropy, regulariser_jump
from shd_genn.learning.optimisers import Adam

# rec_ring_overflow records mlGeNN's loss of spikes beyond its buffer, which is not copied here: it
# is compared only as far as it is the same thing.
FROZEN = [
    "ff_noreg",
    "ff_reg",
    "ff_delay",
    "rec_noreg",
    "rec_reg",
    "rec_avg_var",
    "rec_sum_var",
    "rec_max_var",
    "rec_offgrid_times",
    "rec_dt05",
    "rec_taus",
    "rec_long_T1000",
]
FORWARD_ONLY = ["rec_edge_late_spikes", "rec_ring_overflow"]

# float32 has 24 bits; sums over some hundred spikes and steps lose a few of them
GRADIENT_TOLERANCE = 1e-5
# the same, with the products fused and the sums in another order
NATIVE_TOLERANCE = 1e-4


@pytest.mark.skipif(not golden.FULL.is_dir(), reason="needs the full recordings from mlGeNN")
@pytest.mark.parametrize("name", [*FROZEN, *FORWARD_ONLY, "rec_adam"])
def test_the_data_in_the_tree_are_those_of_the_full_recordings(name):
    kept, full = (golden.arrays_of(f / f"{name}.npz") for f in (golden.FOLDER, golden.FULL))
    assert len(kept) > 15 and kept.keys() <= full.keys()
    for key, array in kept.items():
        assert array.dtype == full[key].dtype
        np.testing.assert_array_equal(array, full[key])


def mlgenn_trials(g):
    """Every recorded trial, forward, with mlGeNN's currents that run on from trial to trial."""
    weights, running = g.parameters(), None
    for t in range(g.n_trials):
        inputs = steps_of_input(*g.events().sample(t), g.config)
        trial = forward(g.network, g.config, weights, inputs, running, cut_last_current=True)
        yield trial
        running = {
            c.name: trial.final_x[c.name]
            + weights[c.name][trial.spikes[c.source.name][-1]].sum(axis=0)
            for c in g.network.connections
        }


@pytest.mark.parametrize("name", FROZEN + FORWARD_ONLY)
def test_reference_spikes_are_those_of_mlgenn(name):
    g = golden.load(name)
    n_spikes = 0
    for t, trial in enumerate(mlgenn_trials(g)):
        for ours, theirs in (("input", "in"), ("hidden", "hid")):
            for step, recorded in enumerate(g.spikes(theirs, t)):
                np.testing.assert_array_equal(trial.spikes[ours][step], recorded)
                n_spikes += len(recorded)
        if "out_V" in g.arrays:
            np.testing.assert_allclose(trial.voltages, g.arrays["out_V"][t], rtol=0, atol=2e-6)
    assert n_spikes > 100


@pytest.mark.parametrize("name", FROZEN)
def test_reference_gradients_are_those_of_mlgenn(name):
    g = golden.load(name)
    compared = 0
    for t, trial in enumerate(mlgenn_trials(g)):
        if t + 1 == g.n_trials or g.has_spikes_in_last_step(t):
            continue
        counts = trial.counts(g.network.hidden[0])[np.newaxis]
        jumps = {
            "hidden": regulariser_jump(counts, g.config.objective.regulariser).astype(np.float32)
        }
        _, drive = cross_entropy(trial.readout[np.newaxis], g.arrays["labels"][t : t + 1])
        gradient = backward(g.network, g.config, g.parameters(), trial, drive[0], jumps)
        for key, recorded in g.gradient(t).items():
            error = np.abs(gradient[key] - recorded).max()
            assert error <= GRADIENT_TOLERANCE * np.abs(recorded).max(), (t, key)
            compared += 1
    assert compared > 0


@pytest.mark.parametrize("name", FROZEN + FORWARD_ONLY)
@pytest.mark.parametrize("backend", ["native", "cuda"])
def test_others_are_the_reference_on_the_golden_networks(backend, name):
    g = golden.load(name)
    reference = Reference(g.network, g.config, np.float32)
    other = networks.backend(backend).compile(g.network, EventProp(), g.config)
    for compiled in (reference, other):
        compiled.set_parameters(g.parameters())
    events, labels = g.events(), g.arrays["labels"]
    ours, theirs = other.record(events), reference.record(events)
    for population in ("input", "hidden"):
        for array in ("offsets", "times_ms", "channels"):
            np.testing.assert_array_equal(
                getattr(ours.spikes[population], array), getattr(theirs.spikes[population], array)
            )
    ours, theirs = other.gradient(events, labels), reference.gradient(events, labels)
    for key, expected in theirs.items():
        error = np.abs(ours[key] - expected).max()
        assert error <= NATIVE_TOLERANCE * np.abs(expected).max(), key


@pytest.mark.parametrize("name", FROZEN + FORWARD_ONLY)
def test_lif_by_its_equations_is_the_hand_written_neuron(name):
    """The same spikes, and the same gradients to 1e-6, both in float64."""
    g = golden.load(name)
    events, labels = g.events(), g.arrays["labels"]
    written, derived = (
        Reference(network, g.config, np.float64) for network in (g.network, by_equations(g.network))
    )
    for compiled in (written, derived):
        compiled.set_parameters(g.parameters())
    old, new = (compiled.record(events).spikes for compiled in (written, derived))
    for array in ("offsets", "times_ms", "channels"):
        np.testing.assert_array_equal(getattr(new["hidden"], array), getattr(old["hidden"], array))
    gradients = (compiled.gradient(events, labels) for compiled in (derived, written))
    assert largest_error(*gradients) < 1e-6


def test_adam_follows_mlgenns_weights():
    """The recorded gradients, given to Adam, lead along the recorded weights.

    mlGeNN counts batches from 0 and updates with exponent batch + 1, but does not update in the
    first batch of an epoch.
    """
    g = golden.load("rec_adam")
    for short in g.short_names:
        m = v = np.zeros_like(g.arrays[f"W_{short}0"])
        for batch, gradient in enumerate(g.arrays[f"grad_{short}"]):
            if batch % g.n_trials == 0:
                continue
            before, after = (g.arrays[f"w_{when}_{short}"][batch] for when in ("before", "after"))
            w, m, v = Adam().update(before, gradient, m, v, batch + 1, g.settings["alpha"])
            # weights lie between 1 and 2, where float32 has steps of 1.2e-7
            np.testing.assert_allclose(w, after, rtol=0, atol=2.4e-7)


def test_gradient_is_in_documented_scale():
    """`gradient` is mlGeNN's times `gradient_scale`: tau_mem of the output, for averages."""
    g = golden.load("rec_taus")
    assert gradient_scale(g.network, g.config.n_steps) == g.settings["tau_mem_out"]
