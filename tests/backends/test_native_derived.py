"""The native engine's neurons by their equations: threads, padding, states without bound."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import networks

from shd_genn.backends.choice import get
from shd_genn.backends.conformance.derived import linear, nonlinear
from shd_genn.backends.native import limits
from shd_genn.backends.native.constants import derived_constants
from shd_genn.backends.native.lower import lower
from shd_genn.backends.native.render import render
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.dropout import Dropout
from shd_genn.learning.methods import EventProp
from shd_genn.learning.objective import Objective
from shd_genn.network import (
    AdLIF,
    Connection,
    Dense,
    Exponential,
    Izhikevich,
    LeakyIntegrateFire,
    Network,
    Neuron,
    Normal,
    Population,
    SpikeInput,
    output_neuron,
)
from shd_genn.support.errors import DivergedError

CONFIG = CompileConfig(40)
DRAWN = Normal(0.2, 0.1)
DRAWN = Normal(0.2, 0.1)


def compiled(network, config=CONFIG):
    return get("native").compile(network, EventProp(), config)


def one_layer(neuron, size=10, weight=DRAWN):
    source = Population("input", SpikeInput(), networks.N_INPUTS)
    hidden = Population("hidden0", neuron, size)
    output = Population("output", output_neuron("avg_var"), networks.N_CLASSES)
    pairs = (source, hidden), (hidden, output)
    return Network(
        (source, hidden, output),
        tuple(Connection(*pair, Dense(weight), Exponential(5.0)) for pair in pairs),
    )


@pytest.mark.parametrize("network", [linear(), nonlinear()], ids=["linear", "nonlinear"])
def test_threads_do_not_change_a_bit(network):
    parameters = []
    for n_threads in (1, 3):
        with compiled(network, replace(CONFIG, n_threads=n_threads)) as engine:
            for n in (7, 2):
                events, labels = networks.random_events(n), networks.random_labels(n)
                engine.train_batch(events, labels, 1e-3)
            parameters.append(engine.parameters())
    for key, one in parameters[0].items():
        np.testing.assert_array_equal(parameters[1][key], one)
    assert any((p != network.initial_parameters(0)[k]).any() for k, p in parameters[0].items())


def test_a_state_that_grows_without_bound_is_refused_by_neuron_time_and_values():
    """In the same step, and with the same words, as the reference."""
    growing = Neuron(
        equations="V' = V * V + I; w' = -w",
        spike="V >= 1e30",
        parameters={},
        name="Growing",
    )
    network, events = one_layer(growing), networks.random_events(3)
    with pytest.raises(DivergedError, match="has no bound") as expected:
        Reference(network, CONFIG).evaluate(events)
    with compiled(network) as engine, pytest.raises(DivergedError) as got:
        engine.evaluate(events)
    number = re.compile(r"= [-+.\deinf]+")  # float32 has other digits at the end
    assert number.sub("=", str(got.value)) == number.sub("=", str(expected.value))


def test_neurons_that_spike_by_themselves_do_not_spike_in_the_padding():
    """Nor do they grow there without bound: 10 of 64 neurons of a strip exist."""
    tonic = Neuron(
        equations="tau * V' = V * V + 1 + I",
        spike="V >= 5",
        reset="V = -5",
        parameters={"tau": 5.0},
        substep_ms=0.25,
    )
    network, events = one_layer(tonic), networks.random_events(2)
    with compiled(network) as engine:
        spikes = engine.record(events).spikes["hidden0"]
        gradient = engine.gradient(events, networks.random_labels(2))
    assert 0 < len(spikes.channels) and spikes.channels.max() < 10
    assert all(np.isfinite(g).all() for g in gradient.values())


def test_dropout_silences_derived_neurons():
    """The reference's updates, with the same neurons silent."""
    config = replace(CONFIG, objective=Objective(dropout=Dropout(0.5)))
    network = one_layer(Izhikevich(gain=5.0), 20, Normal(2.0, 0.3))
    events, labels = networks.random_events(3), networks.random_labels(3)
    reference = Reference(network, config)
    with compiled(network, config) as engine:
        got, expected = (e.train_batch(events, labels, 1e-3) for e in (engine, reference))
        for key, array in reference.parameters().items():
            assert np.mean(np.abs(engine.parameters()[key] - array) > 1e-5) < 1e-2
    counts = expected.spike_counts["hidden0"]
    assert (counts == 0).any() and (counts > 0).any()
    np.testing.assert_array_equal(got.spike_counts["hidden0"], counts)


def test_memory_of_kept_states_is_counted():
    """Izhikevich's neurons keep V, u and x of every step of every sample of a batch."""
    network = one_layer(Izhikevich(), 64)
    one, ten = (limits.bytes_needed(network, CONFIG, 1, n) for n in (1, 10))
    of_outputs = 4 * CONFIG.n_steps * networks.N_CLASSES
    assert ten - one == 9 * (4 * 3 * CONFIG.n_steps * 64 + of_outputs)
    plain = one_layer(LeakyIntegrateFire(reset="subtract"), 64)
    one, ten = (limits.bytes_needed(plain, CONFIG, 1, n) for n in (1, 10))
    assert ten - one == 9 * of_outputs


def test_parameters_are_no_part_of_the_source():
    """A sweep over them compiles once; another length of sub-steps compiles anew."""
    texts = {render(lower(one_layer(Izhikevich(a=a)))) for a in (0.02, 0.1)}
    assert len(texts) == 1
    assert render(lower(one_layer(Izhikevich()), 0.5)) not in texts


def test_names_of_parameters_may_be_those_of_the_code():
    """A parameter that is called s0, c1, current or beta is not taken for another thing."""
    odd = Neuron(
        equations="s0 * m0' = I * current - m0 * beta",
        spike="m0 >= c1",
        reset="m0 = t0",
        parameters={"s0": 20.0, "current": 1.0, "beta": 1.0, "c1": 1.0, "t0": 0.0},
    )
    plain = LeakyIntegrateFire(reset="subtract")
    network = one_layer(odd)
    events, labels = networks.random_events(2), networks.random_labels(2)
    with compiled(network) as engine:
        gradient = engine.gradient(events, labels)
    expected = Reference(network, CONFIG).gradient(events, labels)
    assert networks.largest_error(gradient, expected) < 1e-4
    columns = derived_constants(one_layer(plain), one_layer(plain).hidden[0], {}, 1.0)
    assert columns.shape[1] == 1 and np.isfinite(columns).all()


def test_a_neuron_that_is_in_the_cache_starts_without_sympy_and_scipys_parts():
    """Each takes longer to import than everything else that a start does."""
    compiled(one_layer(AdLIF())).close()
    code = (
        "import sys; from test_native_derived import *; compiled(one_layer(AdLIF())).close();"
        "print([m for m in ('sympy', 'scipy.linalg', 'scipy.sparse') if m in sys.modules])"
    )
    where = [
        str(Path(__file__).parent),
        str(Path(__file__).parents[1]),
        os.environ.get("PYTHONPATH", ""),
    ]
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(where)},
    )
    assert result.stdout.strip() == "[]"
