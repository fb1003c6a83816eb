"""What only GeNN has: generated code in a folder of its own, one sample at a time on a CPU."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import networks

from shd_genn.backends.choice import get
from shd_genn.backends.conformance.networks import assert_repeated
from shd_genn.backends.genn import installation
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp
from shd_genn.learning.objective import Objective, Regulariser
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
    Uniform,
)
from shd_genn.spikes.events import Events
from shd_genn.support.errors import BuildError, ConfigError

pytestmark = [
    pytest.mark.genn,
    pytest.mark.skipif(bool(installation.missing()), reason="needs pygenn and ml_genn"),
]

CONFIG = CompileConfig(networks.N_STEPS, batch_size=1)
ON_CPU = installation.genn_backend() == "single_threaded_cpu"


def random_network(seed: int):
    """A network and its steps, with constants that differ from mlGeNN's defaults."""
    rng = np.random.default_rng(seed)
    network = networks.network(
        model="recurrent" if seed % 2 else "feedforward",
        hidden_sizes=tuple(int(n) for n in rng.integers(10, 70, 1 + seed % 2)),
        tau_mem_ms=float(rng.uniform(10, 30)),
        tau_syn_ms=float(rng.uniform(2, 8)),
        tau_mem_out_ms=float(rng.uniform(10, 30)),
        v_thresh=float(rng.uniform(0.6, 1.2)),
        w_in_mean=float(rng.uniform(0.2, 0.4)),
    )
    regulariser = Regulariser(1e-4, 2e-4, float(rng.uniform(2, 10)))
    dt_ms = float(rng.choice([0.5, 1.0]))
    return network, replace(
        CONFIG, dt_ms=dt_ms, seed=seed, objective=Objective(regulariser=regulariser)
    )


@pytest.mark.parametrize("seed", range(5))
def test_native_has_the_same_spikes_and_gradients(seed):
    """Both compute in float32; sums in another order differ in the last of their 24 bits."""
    network, config = random_network(seed)
    events, labels = networks.random_events(1, 400, seed), networks.random_labels(1, seed)
    with (
        get("genn").compile(network, EventProp(), config) as genn,
        get("native").compile(network, EventProp(), config) as native,
    ):
        one, other = genn.record(events), native.record(events)
        assert len(other.spikes["hidden0"].times_ms) > 20
        for name, spikes in other.spikes.items():
            np.testing.assert_array_equal(one.spikes[name].times_ms, spikes.times_ms)
            np.testing.assert_array_equal(one.spikes[name].channels, spikes.channels)
        expected = native.gradient(events, labels)
        assert networks.largest_error(genn.gradient(events, labels), expected) < 1e-4


def test_training_parts_from_native_by_rounding_alone():
    """Weights and Adam's state are set equal before every batch: no error can add up or hide.

    A spike whose voltage meets the threshold within float32's rounding may fall a step later, in a
    few of 1000 samples; all others have the same spikes, and gradients that agree as at the start.
    """
    network, config = random_network(3)
    together = 0
    with (
        get("genn").compile(network, EventProp(), config) as genn,
        get("native").compile(network, EventProp(), config) as native,
    ):
        for seed in range(200):
            batch = networks.random_events(1, 400, seed), networks.random_labels(1, seed)
            error = networks.largest_error(genn.gradient(*batch), native.gradient(*batch))
            one, other = genn.train_batch(*batch, 1e-3), native.train_batch(*batch, 1e-3)
            same = [np.array_equal(one.spike_counts[n], c) for n, c in other.spike_counts.items()]
            together += all(same) and error < 1e-4
            genn.set_parameters(native.parameters())
            genn.set_optimiser_state(native.optimiser_state())
    assert together >= 198


@pytest.mark.parametrize("readout", ["first_spike_time", "first_spike_time_exp"])
def test_first_spikes_of_outputs_that_spike(readout):
    """Some outputs spike, once or often, others are kicked; both reach the hidden weights."""
    network = networks.network(hidden_sizes=(30,), w_out_mean=0.2, w_out_sd=3.0, readout=readout)
    events, labels = networks.random_events(1), np.array([1])
    truth = Reference(network, CONFIG, np.float64)
    with get("genn").compile(network, EventProp(), CONFIG) as genn:
        spikes = genn.record(events).spikes["output"].channels
        assert 0 < len(np.unique(spikes)) < networks.N_CLASSES and len(spikes) > 10
        for label in range(networks.N_CLASSES):
            expected = truth.gradient(events, labels * label)
            got = genn.gradient(events, labels * label)
            assert networks.largest_error(got, expected) < 1e-4


@pytest.mark.parametrize("dt_ms", [1.0, 0.5])
def test_delays_are_learned(dt_ms):
    """Fixed and learned ones, from the input, in a loop, and to the output."""
    late = {"delay": Uniform(0, 12), "max_delay_steps": 14, "train_delay": True}
    source = Population("input", SpikeInput(), networks.N_INPUTS)
    hidden = Population("hidden", LeakyIntegrateFire(15.0), 30)
    output = Population("output", LeakyIntegrate(20.0), networks.N_CLASSES)
    synapse = Exponential(5.0)
    network = Network(
        (source, hidden, output),
        (
            Connection(source, hidden, Dense(Normal(0.2, 0.3)), synapse, **late),
            Connection(hidden, hidden, Dense(Normal(0, 0.2)), synapse, **late),
            Connection(
                hidden, output, Dense(Normal(0.5, 1)), synapse, delay=3.0, max_delay_steps=3
            ),
        ),
    )
    config = replace(
        CONFIG, dt_ms=dt_ms, objective=Objective(regulariser=Regulariser(1e-3, 2e-3, 3))
    )
    truth = Reference(network, config, np.float64)
    events, labels = networks.random_events(2), networks.random_labels(2)
    with get("genn").compile(network, EventProp(), config) as genn:
        counts = truth.evaluate(events).spike_counts["hidden"]
        np.testing.assert_array_equal(genn.evaluate(events).spike_counts["hidden"], counts)
        for i in range(2):
            batch = events.take(np.array([i])), labels[i : i + 1]
            assert networks.largest_error(genn.gradient(*batch), truth.gradient(*batch)) < 1e-4
            for compiled in (genn, truth):
                compiled.train_batch(*batch, {"weight": 1e-3, "delay": 0.3})
        assert genn.optimiser_state().keys() == truth.optimiser_state().keys()
        for key, array in truth.parameters().items():
            # a thousandth of the rates; Adam follows the sign of gradients that are but rounding
            strays = np.abs(genn.parameters()[key] - array) > (3e-4 if "delay" in key else 1e-6)
            assert np.mean(strays) <= 5e-3


def test_constants_of_each_neuron_are_refused():
    with pytest.raises(ConfigError, match=r"hidden0.tau_mem that differs .* --backend"):
        get("genn").compile(networks.learned_network(), EventProp(), CONFIG)
    with pytest.raises(ConfigError, match=r"tau_mem != tau_syn of population hidden0 on GeNN"):
        get("genn").compile(networks.network(tau_mem_ms=5.0, tau_syn_ms=5.0), EventProp(), CONFIG)


def test_more_spikes_than_there_was_room_for():
    """Weights and optimiser state stay when a batch needs larger buffers than those before."""
    network = networks.network(hidden_sizes=(20,))
    few, many = networks.random_events(1, 10), networks.random_events(1, 1500)
    labels = networks.random_labels(1)
    with (
        get("genn").compile(network, EventProp(), CONFIG) as one,
        get("genn").compile(network, EventProp(), CONFIG) as other,
    ):
        one.train_batch(few, labels, 1e-2)
        state = one.optimiser_state()
        other.evaluate(many)
        other.gradient(many, labels)
        other.set_parameters(one.parameters())
        other.set_optimiser_state(state)
        for compiled in (one, other):
            compiled.train_batch(many, labels, 1e-2)
        assert int(one.optimiser_state()["step"]) == 2
        for name, w in one.parameters().items():
            if ON_CPU:
                np.testing.assert_array_equal(other.parameters()[name], w)
            else:  # two updates with a rate of 1e-2; see networks.assert_weights_repeated
                assert np.mean(np.abs(other.parameters()[name] - w) > 1e-4) <= 1e-3
        other.set_parameters(one.parameters())
        assert_repeated(other.evaluate(many).readout, one.evaluate(many).readout, exact=ON_CPU)


@pytest.mark.skipif(not ON_CPU, reason="a GPU takes batches")
def test_batches_on_a_cpu_are_refused():
    with pytest.raises(ConfigError, match=r"batch_size = 1 on .* but got 32; .*--backend native"):
        get("genn").compile(networks.network(), EventProp(), replace(CONFIG, batch_size=32))
    with get("genn").compile(networks.network(), EventProp(), CONFIG) as compiled:
        events, labels = networks.random_events(2), networks.random_labels(2)
        assert len(compiled.evaluate(events).readout) == 2  # nothing is learned: any number
        with pytest.raises(ConfigError, match=r"batch_size .* got 2 of 1"):
            compiled.train_batch(events, labels, 1e-3)


def test_training_needs_a_batch_size():
    with (
        get("genn").compile(
            networks.network(), EventProp(), CompileConfig(networks.N_STEPS)
        ) as compiled,
        pytest.raises(ConfigError, match="batch_size must be given to train on GeNN"),
    ):
        compiled.gradient(networks.random_events(1), networks.random_labels(1))


def test_times_that_mlgenn_would_miss_are_refused():
    """Float32 times are compared to a thousandth of a step: of long trials too many are missed."""
    with pytest.raises(ConfigError, match=r"missed steps .* of 20000 steps of 0.1 ms"):
        get("genn").compile(networks.network(), EventProp(), CompileConfig(20_000, 0.1))


def test_a_compiler_that_fails_is_quoted(monkeypatch, tmp_path):
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    nvcc = tmp_path / "cuda/bin/nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    nvcc.chmod(0o755)
    monkeypatch.setenv("CXX", "false")  # makes the CPU backend's code
    monkeypatch.setenv("CUDA_PATH", str(tmp_path / "cuda"))  # the CUDA backend's
    message = "GeNN's code for this network could not" if ON_CPU else "nvcc cannot compile a kernel"
    with (
        get("genn").compile(networks.network(), EventProp(), CONFIG) as compiled,
        pytest.raises(BuildError, match=message),
    ):
        compiled.evaluate(networks.random_events(1))
    assert list((tmp_path / "genn-code").iterdir()) == []


def test_another_mlgenn_is_noticed():
    """Our additions to mlGeNN's code find their place in it, or nothing is run."""
    from shd_genn.backends.genn.compiler import _insert

    class Model:
        model = {"sim_code": "LambdaV += 1;"}  # noqa: RUF012

    with pytest.raises(BuildError, match="install a tested version"):
        _insert(Model(), "LambdaV -= Jump;", "// Decrease read pointer")


def test_no_spikes_at_all():
    nothing = Events.of([(np.zeros(0), np.zeros(0, int))])
    with get("genn").compile(networks.network(), EventProp(), CONFIG) as compiled:
        assert (compiled.train_batch(nothing, np.array([0]), 1e-3).input_spikes == 0).all()


def random_times(seed: int, dt_ms: float) -> np.ndarray:
    """Times at, just before and just after steps, between them, before the first and after all."""
    rng = np.random.default_rng(seed)
    at = (rng.integers(0, 1000, 2000) * np.float32(dt_ms)).astype(np.float32)
    near = [np.nextafter(at, np.float32(side * np.inf)) for side in (-1, 1)]
    return np.concatenate([at, *near, rng.uniform(-5, 1200 * dt_ms, 2000).astype(np.float32)])


@pytest.mark.parametrize("dt_ms", [1.0, 0.5, 0.1, 0.3, 2.0, 1000 / 7])
def test_a_spike_waits_for_the_first_step_that_is_not_before_it(dt_ms):
    """In float32, in which mlGeNN compares times."""
    from shd_genn.backends.genn.inputs import emitted

    network, config = networks.network(), CompileConfig(1000, dt_ms)
    grid = (np.arange(1000) * np.float32(dt_ms)).astype(np.float32)
    times = random_times(0, dt_ms)
    for some in np.array_split(times, 200):  # fewer than channels, so that none waits for another
        ((steps, neurons),) = emitted(Events.of([(some, np.arange(len(some)))]), network, config)
        expected = np.searchsorted(grid, some)
        np.testing.assert_array_equal(neurons, np.flatnonzero(expected < 1000))
        np.testing.assert_array_equal(steps, expected[expected < 1000])
