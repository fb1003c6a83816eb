"""Delays that neurons share: neurons by equations, threads, refusals. Conformance has the rest.

That gradients are the derivative is tested in gradient_chain/test_trained_parameters.py.
"""

from dataclasses import replace

import numpy as np
import pytest

from shd_genn.backends.choice import get
from shd_genn.backends.conformance.networks import (
    CONFIG,
    N_INPUTS,
    TOLERANCE,
    largest_error,
    learned_network,
    random_events,
    random_labels,
)
from shd_genn.backends.genn import CAPABILITIES as GENN
from shd_genn.backends.native import CAPABILITIES as NATIVE
from shd_genn.backends.native.lower import lower
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp, Surrogate
from shd_genn.network import (
    AdaptiveLeakyIntegrateFire,
    Connection,
    Dense,
    Exponential,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
    Uniform,
)
from shd_genn.network.settings import ModelConfig
from shd_genn.support.errors import ConfigError


@pytest.fixture(scope="module")
def network():
    """Both kinds of delays from the input and inside layers, into two kinds of neurons."""
    source = Population("input", SpikeInput(), N_INPUTS)
    by_equations = Population("adaptive", AdaptiveLeakyIntegrateFire(), 70)
    hand_written = Population("leaky", LeakyIntegrateFire(), 20)
    output = Population("output", LeakyIntegrate(), 3)

    def connect(a, b, mean, sd, kind):
        weight = Dense(Normal(mean, sd))
        return Connection(a, b, weight, Exponential(5.0), Uniform(0, 12), 40, True, kind)

    return Network(
        (source, by_equations, hand_written, output),
        (
            connect(source, by_equations, 0.2, 0.3, "axonal"),
            connect(source, hand_written, 0.2, 0.3, "dendritic"),
            connect(by_equations, by_equations, 0, 0.2, "dendritic"),
            connect(by_equations, hand_written, 0.1, 0.2, "synaptic"),
            connect(hand_written, by_equations, 0.1, 0.2, "dendritic"),
            connect(hand_written, hand_written, 0, 0.2, "axonal"),
            connect(source, output, 0, 0.3, "dendritic"),
            Connection(by_equations, output, Dense(Normal(0, 0.5)), Exponential(5.0)),
            Connection(hand_written, output, Dense(Normal(0, 0.5)), Exponential(5.0)),
        ),
    )


def test_any_mixture_has_the_gradients_of_the_reference(network):
    plan = lower(network)
    assert plan.late_inputs and plan.learn_by_rows  # both ways to learn delays of the input
    events, labels = random_events(4), random_labels(4) % 3
    expected = Reference(network, CONFIG)
    shapes = {key: p.shape for key, p in expected.parameters().items()}
    assert shapes["input_adaptive.delay"] == (N_INPUTS,) and shapes["input_leaky.delay"] == (20,)
    rates, results = {"weight": 1e-3, "delay": 0.5}, []
    for n_threads in (1, 3):
        with get("native").compile(
            network, EventProp(), replace(CONFIG, n_threads=n_threads)
        ) as got:
            if n_threads == 1:
                assert got.evaluate(events).spike_counts["adaptive"].mean() > 2
                error = largest_error(
                    got.gradient(events, labels), expected.gradient(events, labels)
                )
                assert error < TOLERANCE
            for _ in range(3):
                got.train_batch(events, labels, rates)
            results.append(got.parameters())
    for key, array in results[0].items():
        np.testing.assert_array_equal(array, results[1][key])


def test_what_cannot_work_is_refused(network):
    with pytest.raises(ConfigError, match="has no axonal delays with method eventprop"):
        GENN.check(learned_network(delays=True, delay_kind="axonal"), EventProp())
    fixed = tuple(replace(c, train_delay=False) for c in network.connections)
    with pytest.raises(ConfigError, match="no axonal delays with method surrogate"):
        NATIVE.check(replace(network, connections=fixed), Surrogate())
    with pytest.raises(ConfigError, match="delay_kind is axonal, but no connection has delays"):
        ModelConfig(delay_kind="axonal")
