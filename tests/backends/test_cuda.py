"""What only the cuda backend has: its kernels, proved on a CPU."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from helpers import emulation, networks

from shd_genn.backends import cuda
from shd_genn.backends.conformance.networks import TOLERANCE, WEIGHTS, layered_network
from shd_genn.backends.cuda import engine
from shd_genn.backends.cuda.lower import lower
from shd_genn.backends.cuda.render import render
from shd_genn.backends.native.constants import CONSTANTS
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference import engine as reference
from shd_genn.bench.gpu import cases
from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.objective import Objective, Regulariser
from shd_genn.learning.optimisers import Adam
from shd_genn.learning.settings import TrainConfig
from shd_genn.network import Neuron
from shd_genn.network.learned_weight import LearnedWeight
from shd_genn.network.settings import ModelConfig
from shd_genn.present.settings import AugmentConfig
from shd_genn.support.errors import ConfigError, DivergedError
from shd_genn.train import finish, loop

CONFIG = CompileConfig(
    networks.N_STEPS, objective=Objective(regulariser=Regulariser(1e-3, 2e-3, 3))
)


@pytest.mark.parametrize("name", cases.CASES)
def test_the_emulation_arrives_at_the_recorded_bits(name):
    """A GPU must arrive at them too. Record them anew (helpers.emulation) when a sum changes."""
    assert emulation.digests(cases.CASES[name]) == cases.recorded()[name]


@pytest.mark.parametrize("name", ["dendritic delays, learned", "drop-out, decay, clipping"])
def test_neurons_by_equations_have_them_as_the_reference(name):
    """Gradients, spikes and moments; conformance has the same of leaky neurons."""
    case = cases.CASES[name]
    network, config, events = cases.network_of(case), cases.config_of(case), cases.events_of(case)
    labels, expected = np.arange(cases.N_SAMPLES), reference.Reference(network, config)
    with emulation.compile(network, config) as compiled:
        error = networks.largest_error(
            compiled.gradient(events, labels), expected.gradient(events, labels)
        )
        assert error < TOLERANCE
        one, other = (x.train_batch(events, labels, networks.RATES) for x in (compiled, expected))
        for layer, counts in other.spike_counts.items():
            np.testing.assert_array_equal(one.spike_counts[layer], counts)
            assert (counts == 0).mean() > 0.15 or not case.regularised  # 0.3 are silent
        for key, moment in expected.optimiser_state().items():
            got, largest = compiled.optimiser_state()[key], np.abs(moment).max()
            np.testing.assert_allclose(got, moment, rtol=0, atol=TOLERANCE * largest)


@pytest.mark.parametrize(
    "weight",
    [LearnedWeight(knots=5), LearnedWeight(form="spline"), LearnedWeight(knots=5, attention=True)],
    ids=["one curve", "spline", "attention"],
)
def test_weights_over_time_are_learned_as_by_the_reference(weight, monkeypatch):
    """Conformance has a curve of each class. Clipping shortens their gradient, too."""
    monkeypatch.setitem(WEIGHTS, "learned_weight", weight)
    network = layered_network("learned_weight")
    config = replace(CONFIG, adam=Adam(clip_gradient=1e-3))
    events, labels = networks.random_events(3), networks.random_labels(3)
    expected = reference.Reference(network, config)
    with emulation.compile(network, config) as compiled:
        for learner in (compiled, expected):
            learner.train_batch(events, labels, 1e-3)
        moments = expected.optimiser_state()
        assert "m_output.readout_weight" in moments
        for key, got in compiled.optimiser_state().items():
            largest = max(np.abs(moments[key]).max(), 1e-12)
            np.testing.assert_allclose(got, moments[key], rtol=0, atol=TOLERANCE * largest)
        losses = [learner.evaluate(events, labels).loss for learner in (compiled, expected)]
        np.testing.assert_allclose(*losses, rtol=1e-4)


SCHEDULED = [
    "all that is learned",
    "two layers",
    "spiking output, all learned",
    "linear equations, all learned",
    "Hodgkin-Huxley, own, learned",
]


@pytest.mark.parametrize("order", [1, 2, 12345])
@pytest.mark.parametrize("name", SCHEDULED)
def test_no_schedule_changes_a_bit(name, order):
    with emulation.schedule(order):
        assert emulation.digests(cases.CASES[name]) == cases.recorded()[name]


@pytest.mark.parametrize("readout", ["avg_var_exp_weight", "var"])
def test_batches_that_do_not_fit_are_cut(readout):
    """The same bits, whatever part of a batch fits into memory."""
    network = networks.learned_network(readout, delays=True)
    events, labels = networks.random_events(7), networks.random_labels(7)
    whole = emulation.compile(network, CONFIG)
    of_one = whole.device.bytes_of(engine.Room(1, 300, True, readout == "var"))
    parts = emulation.compile(network, CONFIG, memory_bytes=3 * of_one)
    for compiled in (whole, parts):
        for _ in range(2):
            compiled.train_batch(events, labels, networks.RATES)
    assert parts.device.room.trials == 3 and whole.device.room.trials == 7
    one, other = (c.evaluate(events, labels) for c in (whole, parts))
    for name in ("readout", "loss", "input_spikes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for key, array in whole.parameters().items():
        np.testing.assert_array_equal(array, parts.parameters()[key])
    recorded = [c.record(events) for c in (whole, parts)]
    np.testing.assert_array_equal(recorded[0].voltages, recorded[1].voltages)
    for name, spikes in recorded[0].spikes.items():
        np.testing.assert_array_equal(spikes.times_ms, recorded[1].spikes[name].times_ms)


def test_memory_on_the_gpu_is_counted():
    """What trials take is worked out; the most that was allocated is counted."""
    network, events = networks.network(), networks.random_events(3)
    with emulation.compile(network, CONFIG) as compiled:
        of_network, n_values = compiled.peak_gpu_memory(), compiled.plan.n_values
        lanes = compiled.plan.lanes
        assert of_network == 4 * (
            4 * n_values + (len(CONSTANTS) + 1) * lanes + 2 * networks.N_STEPS
        )
        for n in (3, 1):
            few = events.take(np.arange(n))
            compiled.train_batch(few, networks.random_labels(n), 1e-3)
            of_trials = compiled.device.bytes_of(compiled.device.room)
            assert compiled.peak_gpu_memory() == of_network + of_trials + 8  # where the last ends


def test_a_run_records_the_memory_of_the_gpu(tmp_path, data, monkeypatch):
    for name in ("status", "describe", "compile"):
        monkeypatch.setattr(cuda, name, getattr(emulation.BACKEND, name))
    monkeypatch.setattr(finish, "memory_in_use", lambda: 3 << 30)
    config = Config(
        data=DataConfig(str(data), trial_ms=120),
        model=ModelConfig(hidden_sizes=(20,), w_in_mean=0.2),
        augment=AugmentConfig(shift_channels=0),
        train=TrainConfig(epochs=1, hidden_dropout=0.1, weight_decay=0.1, clip_gradient=1.0),
        backend="cuda",
    )
    result = loop.start(config, tmp_path).result  # 32 samples at a time, of 105 kB each
    assert (result.backend, result.gpu_memory_mb, result.gpu_boards_memory_mb) == ("cuda", 3, 3072)


def test_growth_without_bound_is_refused_with_neuron_time_and_values(monkeypatch):
    growing = Neuron("tau * V' = V * V + I", "V >= 1e30", "V = 0", {"tau": 20.0})
    monkeypatch.setitem(cases.NEURONS, "growing", (lambda of: growing, 5.0))
    case = cases.Case((20,), neurons=("growing",))
    message = r"V of neuron \d+ of population hidden0 has no bound: it has come to V = .* ms; take"
    with (
        emulation.compile(cases.network_of(case), cases.config_of(case)) as compiled,
        pytest.raises(DivergedError, match=message),
    ):
        compiled.evaluate(cases.events_of(case))


def test_a_trial_that_does_not_fit_is_refused():
    network = networks.network()
    events, labels = networks.random_events(2), networks.random_labels(2)
    with emulation.compile(network, CONFIG, memory_bytes=1000) as compiled:
        wrong = r"memory of one trial .* <= memory that is free must hold, but got \d+ MB of 0 MB"
        with pytest.raises(ConfigError, match=wrong):
            compiled.train_batch(events, labels, 1e-3)


def test_networks_that_are_too_large_are_refused():
    with pytest.raises(ConfigError, match=r"4005 neurons, which take 4224 lanes .* has 4096"):
        lower(networks.network(hidden_sizes=(2000, 2000)), CONFIG)
    with pytest.raises(ConfigError, match=r"n_steps <= 65533 .* got 70000"):
        lower(networks.network(), replace(CONFIG, n_steps=70_000))


def test_the_source_is_readable_and_self_contained():
    source = render(lower(networks.network(), CONFIG), "input")
    assert "// input -> hidden0, hidden0 -> hidden0, hidden0 -> hidden1" in source
    assert '#include "' not in source and "{{" not in source and "{%" not in source


def test_errors_of_the_library_become_exceptions():
    with emulation.compile(networks.network(), CONFIG) as compiled:
        library = compiled.device._library
        library.engine_error.restype = ctypes.c_char_p
        with pytest.raises(
            engine.device.CudaError,
            match=r"CUDA: \d+ MB for spikes of .*: out of memory; close what",
        ):
            compiled.device.make_room(engine.Room(1, 1 << 58))
