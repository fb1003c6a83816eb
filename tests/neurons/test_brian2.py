"""Izhikevich's and Hodgkin and Huxley's neurons spike when they do in Brian2."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import brian2_spikes as b2

from shd_genn.backends.reference.derived_neurons import Neurons, constants_of
from shd_genn.network import HodgkinHuxley, Izhikevich
from shd_genn.network.initialisers import typical

DT_MS = 0.02
EXPECTED = json.loads(b2.RECORDED.read_text(encoding="utf-8"))


def spike_times(neurons, currents, dt_ms, until_ms):
    """Ours in ms, of one neuron for each of the given ones, which differ in parameters only."""
    names = [p.name for p in neurons[0].description.parameters]
    values = {
        name: np.array([typical(getattr(neuron, name)) for neuron in neurons]) for name in names
    } | {"tau_syn": np.full(len(neurons), 5.0)}
    derived = replace(neurons[0].derived, substep_ms=None)
    k = constants_of("hidden", derived, values, dt_ms, [], 0.0, np.dtype(np.float64))
    running, start = Neurons(k, []), round(b2.ONSET_MS / dt_ms)
    for step in range(round(until_ms / dt_ms)):
        running.step(np.asarray(currents) * (step >= start) / k.scale)
    found = [[] for _ in neurons]
    for step, fired in enumerate(running.spikes):
        for j in fired:
            found[j].append((step + 1) * dt_ms)
    return found


def late_by(found, expected):
    """By how many ms each spike comes later than in Brian2, neuron by neuron."""
    assert [len(mine) for mine in found] == [len(theirs) for theirs in expected]
    return [np.subtract(mine, theirs) for mine, theirs in zip(found, expected, strict=True)]


def test_spikes_of_izhikevichs_cells_are_those_of_brian2():
    """Each spike is found, and its reset done, up to a step late, so lateness adds up.

    Just above its threshold (FS at the weakest current) a cell's next interval grows by up to
    three times what the reset is late. Half the step halves all of it: the limit is Brian2's.
    """
    neurons = [Izhikevich(cell, gain=1.0) for cell in b2.CELLS for _ in b2.CURRENTS["izhikevich"]]
    currents = b2.CURRENTS["izhikevich"] * len(b2.CELLS)
    mean = {}
    for dt in (2 * DT_MS, DT_MS):
        found = spike_times(neurons, currents, dt, b2.IZHIKEVICH_MS)
        late = late_by(found, EXPECTED["izhikevich"])
        step = dt + b2.STEP_MS["izhikevich"]
        assert all((np.abs(ms) <= 3.1 * step * (1 + np.arange(len(ms)))).all() for ms in late)
        mean[dt] = np.abs(np.concatenate(late)).mean()
    assert mean[DT_MS] < 0.65 * mean[2 * DT_MS], mean


def test_spikes_of_hodgkin_and_huxleys_neuron_are_those_of_brian2():
    """Exponential Euler is of first order, so two step lengths extrapolate to the limit.

    A spike is found up to one step late in both, which the extrapolation takes twice.
    """
    currents = b2.CURRENTS["hodgkin_huxley"]
    neurons = [HodgkinHuxley(gain=1.0)] * len(currents)
    coarse, fine = (
        late_by(
            spike_times(neurons, currents, dt, b2.HODGKIN_HUXLEY_MS), EXPECTED["hodgkin_huxley"]
        )
        for dt in (2 * DT_MS, DT_MS)
    )
    for one, other in zip(fine, coarse, strict=True):
        assert (np.abs(2 * one - other) <= 2 * DT_MS + b2.STEP_MS["hodgkin_huxley"]).all()


def test_what_was_recorded_is_what_brian2_does():
    pytest.importorskip("brian2", reason="needs Brian2 (pip install shd_genn[brian2])")
    for name, run in (("izhikevich", b2.izhikevich), ("hodgkin_huxley", b2.hodgkin_huxley)):
        for got, recorded in zip(run(30.0), EXPECTED[name], strict=True):
            np.testing.assert_allclose(got, [t for t in recorded if t < 30.0], atol=1e-3)
