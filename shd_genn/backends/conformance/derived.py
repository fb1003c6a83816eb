"""What every `Differentiable` has to do with neurons that are described by equations.

A backend that derives what it computes must agree with the reference, for each of our neurons and
for one of a user's own; all others must refuse each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shd_genn.backends.conformance.networks import (
    CONFIG,
    N_CLASSES,
    N_INPUTS,
    TOLERANCE,
    assert_repeated,
    batches,
    compiled,
    largest_error,
    random_events,
    random_labels,
)
from shd_genn.backends.protocols import Backend, CompileConfig, require_gradient
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp
from shd_genn.network import (
    AdaptiveLeakyIntegrateFire,
    AdLIF,
    Clipped,
    Connection,
    Dense,
    Exponential,
    Gamma,
    HodgkinHuxley,
    Izhikevich,
    LeakyIntegrateFire,
    Network,
    Neuron,
    NeuronModel,
    Normal,
    Population,
    QuadraticIntegrateFire,
    SpikeInput,
    Trainable,
    Uniform,
    output_neuron,
)
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError

Gradient = Callable[[Events, NDArray[np.integer]], Mapping[str, NDArray[np.floating]]]

Layer = tuple[NeuronModel, int, Exponential, Normal]
"""A neuron, how many, their synapses, and the weights from the layer before."""


def network_of(layers: tuple[Layer, ...], recurrent: float, late: int | None = None) -> Network:
    """Recurrent layers of different neurons; the synapses into one of them have learned delays."""
    populations = [Population("input", SpikeInput(), N_INPUTS)]
    connections = []
    for i, (neuron, size, synapse, feed) in enumerate(layers):
        target = Population(f"hidden{i}", neuron, size)
        delay = (Uniform(0, 9), 12, True) if i == late else (0.0, 0, False)
        connections.append(Connection(populations[-1], target, Dense(feed), synapse, *delay))
        connections.append(Connection(target, target, Dense(Normal(0.0, recurrent)), synapse))
        populations.append(target)
    output = Population("output", output_neuron("avg_var_exp_weight"), N_CLASSES)
    weights = Dense(Normal(0.0, 1.0))
    connections.append(Connection(populations[-1], output, weights, Exponential(5.0)))
    return Network((*populations, output), tuple(connections))


def linear() -> Network:
    """Exact steps, and every kind of parameter learned; a strip and a part of one."""
    alif = AdaptiveLeakyIntegrateFire(
        Trainable(20.0, low=5.0),
        Trainable(1.0, low=0.3),
        Trainable(100.0, low=10.0),
        Trainable(0.2, low=0.01),
    )
    adlif = AdLIF(
        Clipped(Gamma(3, 20 / 3), 5, 60), a=Trainable(0.2, low=-0.5), b=Trainable(0.2, high=2.0)
    )
    held = LeakyIntegrateFire(reset="subtract", tau_refrac=3.0)
    learned, fixed = Exponential(Trainable(5.0, low=1.0)), Exponential(5.0)
    layers: tuple[Layer, ...] = (
        (alif, 70, learned, Normal(0.2, 0.3)),
        (adlif, 20, fixed, Normal(0.1, 0.03)),
        (held, 12, fixed, Normal(0.3, 0.1)),
    )
    return network_of(layers, 0.1, late=1)


def nonlinear() -> Network:
    """The midpoint rule in sub-steps, driven so strongly that rounding grows little."""
    izhikevich = Izhikevich(
        a=Trainable(0.02, low=0.005, high=0.2), d=Trainable(8.0, low=1.0), gain=5.0
    )
    quadratic = QuadraticIntegrateFire(
        Trainable(20.0, low=5.0), v_reset=Trainable(-1.0, low=-3.0, high=-0.1)
    )
    layers: tuple[Layer, ...] = (
        (izhikevich, 40, Exponential(Trainable(5.0, low=1.0)), Normal(4.0, 0.5)),
        (quadratic, 20, Exponential(5.0), Normal(0.1, 0.03)),
    )
    return network_of(layers, 0.05)


def conductances() -> Network:
    """Exponential Euler in sub-steps: spikes without a reset, and a user's neuron that is held."""
    # beyond 1 the exponential drives V away; a spike is at 2 (after Fourcaud-Trocme et al. 2003)
    exponential = Neuron(
        name="ExponentialIntegrateFire",
        equations="tau * V' = I - V + slope * exp((V - 1) / slope)",
        spike="V >= 2",
        reset="V = 0",
        parameters={"tau": 20.0, "slope": Trainable(0.2, low=0.05, high=1.0)},
        substep_ms=0.5,
        tau_refrac=2.0,
    )
    layers: tuple[Layer, ...] = (
        (HodgkinHuxley(g_K=Trainable(36.0, low=10.0)), 20, Exponential(5.0), Normal(0.5, 0.2)),
        (exponential, 10, Exponential(5.0), Normal(1.0, 0.2)),
    )
    return network_of(layers, 0.02)


NETWORKS = {
    "linear": (linear, 100),
    "nonlinear": (nonlinear, 40),
    "conductances": (conductances, 40),
}
"""Name → a network, and the steps of its trials: rounding grows from spike to spike."""


def require_derived(backend: Backend, network: Network, config: CompileConfig) -> None:
    """Skip a test of neurons that a backend does not derive, once it has refused them."""
    if not backend.CAPABILITIES.derives:
        with pytest.raises(ConfigError, match="derives none from equations"):
            backend.compile(network, EventProp(), config)
        pytest.skip(f"{backend.CAPABILITIES.title} derives no neuron, and refuses it")


class DerivedConformance:
    """Tests of neurons by their equations; see `shd_genn.backends.conformance`."""

    @pytest.mark.parametrize("name", NETWORKS)
    def test_any_neuron_by_its_equations(self, backend: Backend, name: str) -> None:
        """Spikes and gradients by weights, delays and parameters are the reference's."""
        make, n_steps = NETWORKS[name]
        network, config = make(), replace(CONFIG, n_steps=n_steps)
        require_derived(backend, network, config)
        reference = Reference(network, config)
        with require_gradient(compiled(backend, network, config)) as got:
            for events, labels in batches(backend, random_events(2), random_labels(2)):
                counts = got.evaluate(events).spike_counts
                expected = reference.evaluate(events).spike_counts
                assert all(e.mean() > 0.5 for e in expected.values())
                for population, e in expected.items():
                    np.testing.assert_array_equal(counts[population], e)
                gradient = got.gradient(events, labels)
                assert largest_error(gradient, reference.gradient(events, labels)) < TOLERANCE
            _assert_trials_are_independent(got.gradient, backend.status().exact)


def _assert_trials_are_independent(gradient: Gradient, exact: bool) -> None:
    """What one trial leaves behind does not reach the next."""
    events, labels = random_events(1, seed=1), random_labels(1)
    once, again = gradient(events, labels), gradient(events, labels)
    for key, g in once.items():
        assert_repeated(again[key], g, exact)
