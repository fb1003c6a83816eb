"""Rates of gates that the native engine reads from tables: near enough, and computed outside."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import networks

from shd_genn.backends.choice import get
from shd_genn.backends.native.neuron_code import neuron_code
from shd_genn.backends.native.tables import TOLERANCE, values_of
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    HodgkinHuxley,
    Network,
    Normal,
    Population,
    SpikeInput,
    output_neuron,
)
from shd_genn.network.neurons.derived import derived_of
from shd_genn.support.errors import ConfigError

SUBSTEP_MS = 0.05


def tables_of(derived):
    return neuron_code(derived, (), 20, SUBSTEP_MS).tables


def rates(v):
    """R of m, h and n at some voltages, and where they go, by the paper's formulas."""
    opens = [
        -0.1 * (v + 40) / np.expm1(-(v + 40) / 10),
        0.07 * np.exp(-(v + 65) / 20),
        -0.01 * (v + 55) / np.expm1(-(v + 55) / 10),
    ]
    closes = [
        4 * np.exp(-(v + 65) / 18),
        1 / (1 + np.exp(-(v + 35) / 10)),
        0.125 * np.exp(-(v + 65) / 80),
    ]
    opens, closes = np.array(opens), np.array(closes)
    return -np.expm1(-(opens + closes) * SUBSTEP_MS), opens / (opens + closes)


def test_tables_are_the_rates_of_the_gates():
    tables = tables_of(HodgkinHuxley().derived)
    assert tables.gates == (1, 2, 3)
    v = np.linspace(tables.low + 1e-9, tables.low + 16 * tables.length - 1e-9, 999)
    leaves, goal = rates(v)
    got = values_of(tables.leaves, tables, v)
    np.testing.assert_allclose(got, leaves, rtol=2 * TOLERANCE)
    errors = np.abs(values_of(tables.enters, tables, v) - leaves * goal)
    assert (errors <= 2 * TOLERANCE * leaves).all()


def test_bounds_that_are_too_wide_are_refused():
    neuron = HodgkinHuxley()
    wide = replace(neuron.dynamics, table=("V", -300.0, 300.0))
    names = tuple(p.name for p in neuron.description.parameters)
    with pytest.raises(
        ConfigError, match="must vary little within one of the 16 intervals of a table"
    ):
        tables_of(derived_of(wide, names, names))


@pytest.mark.parametrize("weight", [0.4, -0.6], ids=["inside", "outside"])
def test_gradients_are_the_references_inside_and_outside_of_tables(weight):
    """Inhibition takes half of the neurons below -89 mV."""
    source = Population("input", SpikeInput(), networks.N_INPUTS)
    hidden = Population("hidden0", HodgkinHuxley(), 20)
    output = Population("output", output_neuron("avg_var"), networks.N_CLASSES)
    pairs = (source, hidden), (hidden, output)
    network = Network(
        (source, hidden, output),
        tuple(Connection(*pair, Dense(Normal(0.3, 0.1)), Exponential(5.0)) for pair in pairs),
    )
    weights = network.initial_parameters(0)
    weights["input_hidden0"][:, ::2] = weight
    samples = networks.random_events(2, 60), networks.random_labels(2)
    gradients, spikes = [], []
    for engine in (
        Reference(network, CompileConfig(30)),
        get("native").compile(network, EventProp(), CompileConfig(30)),
    ):
        engine.set_parameters(weights)
        spikes.append(engine.record(samples[0]).spikes["hidden0"])
        gradients.append(engine.gradient(*samples))
    assert len(spikes[0].times_ms) > 10
    np.testing.assert_array_equal(spikes[0].times_ms, spikes[1].times_ms)
    for key, expected in gradients[0].items():
        np.testing.assert_allclose(
            gradients[1][key], expected, atol=1e-4 * np.abs(expected).max(), err_msg=key
        )
