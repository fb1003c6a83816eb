"""Surrogate gradients and e-prop in the native engine: as the reference, whatever the threads."""

import ctypes
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers import networks
from helpers.autodiff import NEURONS

from shd_genn.backends import native, reference
from shd_genn.backends.conformance.networks import config_of, layered_network, learned_network
from shd_genn.backends.native import limits, lower
from shd_genn.backends.native.names import KERNELS
from shd_genn.backends.native.store import aligned_zeros
from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.dropout import Dropout
from shd_genn.learning.methods import EProp, EPropOnline, Surrogate
from shd_genn.learning.methods.shapes import SHAPES, Pseudo
from shd_genn.learning.objective import Objective, Regulariser
from shd_genn.network import (
    KLIF,
    LTMD,
    AdaptiveLeakyIntegrateFire,
    AdLIF,
    Exponential,
    Izhikevich,
    LeakyIntegrateFire,
    Network,
    ParaLIF,
    SlidingPSN,
    Trainable,
    Uniform,
)
from shd_genn.support import builder
from shd_genn.support.errors import ConfigError

SAMPLES = networks.random_events(6), networks.random_labels(6)
RATES = networks.RATES | dict.fromkeys(("beta", "k", "k_thresh", "w0", "w1", "w2"), 1e-3)
RATES |= {"tau_adapt": 0.1}
WEAK = Regulariser(1e-5, 2e-5, 3)
"""So weak that it hides no error in the gradient of the loss."""


def config(readout="avg_var_exp_weight", **changes) -> CompileConfig:
    given = config_of(readout)
    objective = replace(given.objective, regulariser=WEAK)
    return replace(given, objective=objective, **changes)


def with_neuron(network: Network, neuron) -> Network:
    """The network with other hidden neurons."""
    return with_neurons(network, *(neuron for _ in network.hidden))


def with_neurons(network: Network, *neurons) -> Network:
    """The network with other neurons in each of its hidden layers."""
    new = {p: p for p in network.populations}
    new |= {p: replace(p, neuron=n) for p, n in zip(network.hidden, neurons, strict=True)}
    return Network(
        tuple(new.values()),
        tuple(replace(c, source=new[c.source], target=new[c.target]) for c in network.connections),
    )


def without_learned_delays(network: Network) -> Network:
    return Network(
        network.populations, tuple(replace(c, train_delay=False) for c in network.connections)
    )


def assert_agrees(network, method, given, bound=1e-4):
    """1e-4 of each array's largest number: float32 against float64, as in the conformance suite."""
    expected = reference.compile(network, method, given)
    with native.compile(network, method, given) as got:
        counts, of_reference = (e.evaluate(SAMPLES[0]).spike_counts for e in (got, expected))
        for name, array in of_reference.items():
            np.testing.assert_array_equal(counts[name], array)
        gradient = got.gradient(*SAMPLES)
        assert networks.largest_error(gradient, expected.gradient(*SAMPLES)) < bound
        near, of_reference = (e.train_batch(*SAMPLES, RATES).near_steps for e in (got, expected))
        assert near.keys() == of_reference.keys()
        for name, array in of_reference.items():
            np.testing.assert_allclose(near[name], array, rtol=0, atol=2)  # at the very edge
            assert 0 < array.max() < 0.9 * given.n_steps * counts[name].shape[1]
        for key, array in expected.parameters().items():
            assert np.mean(np.abs(got.parameters()[key] - array) > 1e-4) < 1e-3, key


LEARNED = (learned_network(), Surrogate("fast_sigmoid", 10.0, detach_reset=False), config())
LATE = (
    without_learned_delays(learned_network("max_var", delays=True)),
    Surrogate("boxcar", 2.0),
    config("max_var"),
)
ADAPTIVE = (
    layered_network(hidden_sizes=(70,)),
    EProp(feedback="adaptive", feedback_decay=0.1),
    config(),
)
STEPS = (layered_network("var", hidden_sizes=(70,)), EProp(), config("var"))
ALIF = (
    with_neuron(layered_network(hidden_sizes=(70,)), NEURONS["alif"]),
    Surrogate("atan", detach_reset=False),
    config(),
)
HELD = (
    with_neuron(
        layered_network(hidden_sizes=(70,)),
        AdaptiveLeakyIntegrateFire(tau_adapt=50.0, beta=0.3, tau_refrac=3.0),
    ),
    EProp(feedback="random"),
    config(),
)
ONLINE = (
    with_neurons(
        layered_network(hidden_sizes=(70, 20, 20)),
        LeakyIntegrateFire(v_thresh=0.5),
        LeakyIntegrateFire(Uniform(10, 30), 0.5),
        AdLIF(v_thresh=0.5),
    ),
    EPropOnline(feedback="random"),
    config(),
)
ONLINE_STEPS = (
    with_neuron(
        layered_network("var", hidden_sizes=(20,)),
        AdaptiveLeakyIntegrateFire(
            Uniform(10, 30), tau_adapt=50.0, beta=0.3, v_thresh=0.5, tau_refrac=3.0
        ),
    ),
    EPropOnline(),
    config("var"),
)
OF_STEPS = (
    with_neurons(
        layered_network(hidden_sizes=(20, 20, 20, 20, 20)),
        KLIF(Trainable(20.0, 3), Trainable(0.5, 0.1), Trainable(1.05, 0.1), scale_reset=False),
        ParaLIF(Trainable(20.0, 3), Trainable(3.0, 0.1), "bernoulli"),
        SlidingPSN(Trainable(2.0, 0.1), tuple(Trainable(2.0**-i) for i in range(3))),
        ParaLIF(Trainable(20.0, 3), Trainable(0.05, 0.01), "delta"),
        LTMD(Trainable(20.0, 3), Trainable(0.5, 0.01)),
    ),
    Surrogate("triangle", detach_reset=False),
    config(),
)
CASES = {
    "steps": OF_STEPS,
    "learned": LEARNED,
    "late": LATE,
    "adaptive": ADAPTIVE,
    "var": STEPS,
    "alif": ALIF,
    "held": HELD,
    "online": ONLINE,
    "online-var": ONLINE_STEPS,
}
"""Time constants and thresholds are learned, of the output too, in the first two; spikes have
delays, and only neurons near their thresholds are walked, in the second; see its readouts. Two
have adaptive thresholds, with all parameters learned, or with a refractory time; one has
neurons of time steps. Online e-prop has neurons that are all the same, that differ, and that
adapt."""


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_the_reference(case):
    """The reference's online e-prop is e-prop to 1e-5 (tests/learning/test_methods.py)."""
    assert_agrees(*CASES[case], bound=1e-5 if case.startswith("online") else 1e-4)


@pytest.mark.parametrize("case", ["learned", "alif", "online"])
def test_dropout_is_that_of_the_reference(case):
    """One mask a trial: silent neurons hand on no error, though their surrogate is not 0."""
    network, method, given = CASES[case]
    objective = replace(given.objective, dropout=Dropout(0.4))
    assert_agrees(network, method, replace(given, objective=objective))


@pytest.mark.parametrize("case", ["learned", "late", "adaptive", "alif", "online", "online-var"])
def test_threads_do_not_change_a_bit(case):
    """Groups of trials are made of the same trials, the last of them of fewer."""
    network, method, given = CASES[case]

    def trained(n_threads):
        with native.compile(network, method, replace(given, n_threads=n_threads)) as engine:
            for n in (11, 6):
                batch = networks.random_events(n), networks.random_labels(n)
                engine.train_batch(*batch, RATES)
            return engine.parameters()

    one = trained(1)
    for n_threads in (2, 3):
        several = trained(n_threads)
        for key, array in one.items():
            np.testing.assert_array_equal(several[key], array)


def test_shapes(tmp_path):
    """float32 against float64: 1e-6 of the largest number; slopes and thresholds differ."""
    functions = "".join(
        f"""
void psi_{name}(const float* x, const float* v_thresh, float* psi, int n, float s, float c) {{
    for (int i = 0; i < n; i += LANES)
        at(psi + i, 0) = {kind}{{s, c}}(at(x + i, 0), at(v_thresh + i, 0));
}}"""
        for name, kind in lower.SHAPES.items()
    )
    source = f'#include "surrogate_shapes.h"\nextern "C" {{{functions}\n}}\n'
    library = builder.load_library(builder.assemble(source, "shapes.cpp", KERNELS), "shapes")
    rng = np.random.default_rng(0)
    x, v_thresh, psi = (aligned_zeros((640,)) for _ in range(3))
    x[:], v_thresh[:] = rng.normal(0, 1, 640), rng.uniform(0.5, 2, 640)
    for name, shape in SHAPES.items():
        for slope, scale in ((shape.slope, shape.scale), (3.0, 0.7)):
            function = getattr(library, f"psi_{name}")
            function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int] + [ctypes.c_float] * 2
            function(*(a.ctypes.data for a in (x, v_thresh, psi)), 640, slope, scale)
            expected = Pseudo(name, slope, scale)(x.astype(float), v_thresh.astype(float))
            assert np.abs(psi - expected).max() < 1e-6 * expected.max(), name
        assert (psi == 0).any() == shape.bounded


def test_state_goes_on_where_it_was():
    network, method, given = ADAPTIVE
    with native.compile(network, method, given) as one:
        one.train_batch(*SAMPLES, 0.1)
        with native.compile(network, method, given) as other:
            other.set_parameters(one.parameters())
            other.set_optimiser_state(one.optimiser_state())
            for engine in (one, other):
                engine.train_batch(*SAMPLES, 0.1)
            for key, array in one.parameters().items():
                np.testing.assert_array_equal(other.parameters()[key], array)


def test_steps_that_are_divided_are_refused():
    network = with_neuron(layered_network(hidden_sizes=(8,)), Izhikevich())
    with pytest.raises(ConfigError, match="differentiates whole time steps, but those of pop"):
        native.compile(network, Surrogate(), config())


@pytest.mark.parametrize("neuron", [LeakyIntegrateFire(), AdaptiveLeakyIntegrateFire()])
def test_online_eprop_needs_one_synaptic_time_constant(neuron):
    network = with_neuron(layered_network("var", hidden_sizes=(8,)), neuron)
    differ = Exponential(Uniform(3, 6))
    network = Network(
        network.populations,
        tuple(
            replace(c, synapse=differ) if c.target in network.hidden else c
            for c in network.connections
        ),
    )
    with pytest.raises(ConfigError, match=r"one tau_syn for all .* but hidden0 has Uniform\("):
        native.compile(network, EPropOnline(), config("var"))


def test_voltages_of_all_steps_count_as_memory():
    network, given = layered_network(hidden_sizes=(64,)), config()
    plain = limits.bytes_needed(network, given, 1, 32)
    kept = limits.bytes_needed(network, given, 1, 32, EProp()) - plain
    assert kept == 4 * 32 * given.n_steps * 64
    side_by_side = limits.bytes_needed(network, given, 1, 32, Surrogate()) - plain - kept
    assert side_by_side > 3 * 4 * given.n_steps * 64
    online = limits.bytes_needed(network, given, 1, 32, EPropOnline()) - plain - kept
    assert online == 4 * (40 + 64) * 64 * 6


@pytest.mark.skipif(shutil.which("clang++") is None, reason="clang++ is not installed")
def test_another_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "clang++ -mno-avx512f")
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    assert_agrees(*LEARNED)


def test_a_thousandth_of_the_surrogate_is_noticed():
    """It is five times what may differ from the reference."""
    network, method, given = LEARNED
    given = replace(given, objective=Objective(temperature=0.5))
    gradients = []
    for scale in (1.0, 0.999):
        with native.compile(network, replace(method, surrogate_scale=scale), given) as engine:
            gradients.append(engine.gradient(*SAMPLES))
    assert networks.largest_error(*gradients) > 5e-4
