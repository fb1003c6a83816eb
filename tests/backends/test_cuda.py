"""What only the cuda backend has: kernels that are proved on a CPU, and what a GPU needs."""

import ctypes
import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import emulation, networks

from shd_genn.backends import choice, cuda
from shd_genn.backends.conformance.networks import TOLERANCE, WEIGHTS, layered_network
from shd_genn.backends.cuda import build, engine
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
from shd_genn.support.errors import BuildError, ConfigError, DivergedError
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


END_OF_STEP = "        __syncthreads();\n    }\n"
BARRIERS = {
    "all have read the lists": ("forward", "if (!__syncthreads_or(any))", "if (false)"),
    "the lists are written": ("forward", END_OF_STEP, "    }\n"),
    "the differences are written": ("adjoint", END_OF_STEP, "    }\n"),
    "all bins are counted": (
        "sort_input",
        "__syncthreads();\n\n    // every thread",
        "// every thread",
    ),
    "all warps have a sum": (
        "sort_input",
        "__syncthreads();\n    int at = until",
        "int at = until",
    ),
}
"""What a barrier is for → the kernel, the barrier's place, and what stands there without it."""


@pytest.fixture(scope="module")
def processes():
    """A pool of one process that breaks kernels; the last of the list, a new one after a crash."""
    pools = [ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))]
    yield pools
    for pool in pools:
        pool.shutdown()


@pytest.mark.parametrize("name", BARRIERS)
def test_a_missing_barrier_is_noticed(name, processes):
    """Some schedule leads to other bits, or to a crash: hence the process."""
    try:
        work = processes[-1].submit(emulation.digests_without, "two layers", *BARRIERS[name])
        found = work.result()
    except BrokenProcessPool:
        processes.append(ProcessPoolExecutor(1, multiprocessing.get_context("spawn")))
        return
    assert any(digests != cases.recorded()["two layers"] for digests in found)


SMALL = [
    cases.Case((40,)),
    cases.Case(
        (33, 12, 9),
        "max_var",
        learns_neurons=True,
        delay=4,
        learns_delays=True,
        delay_kind="dendritic",
        neurons=("", "adLIF", "own"),
    ),
]


@pytest.mark.parametrize("sanitizer", emulation.SANITIZERS)
@pytest.mark.parametrize("case", SMALL)
def test_sanitizers_find_nothing(sanitizer, case, tmp_path):
    result = emulation.watched(tmp_path, sanitizer, case)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[0]) > 100


def test_memory_errors_are_found(tmp_path):
    """A step too far ahead is read from the input's current."""

    def read_too_far(source):
        sound = "if (takes_input && !takes_late && step < n_steps)"
        assert source.count(sound) == 1
        return source.replace(sound, sound.replace("< n_steps", "<= n_steps"))

    result = emulation.watched(tmp_path, "address", SMALL[0], read_too_far)
    assert result.returncode != 0
    assert "heap-buffer-overflow" in result.stderr and "forward.cuh" in result.stderr


@pytest.mark.parametrize("name", ["the differences are written"])
def test_races_are_found(name, tmp_path):
    kernel = BARRIERS[name][0]
    result = emulation.watched(
        tmp_path, "thread", SMALL[0], lambda source: emulation.without(source, *BARRIERS[name])
    )
    assert result.returncode != 0
    assert "data race" in result.stderr and f"{kernel}.cuh" in result.stderr


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


@pytest.fixture(scope="module")
def gradient_of_reference():
    network = networks.network()
    events, labels = networks.random_events(4), networks.random_labels(4)
    return network, events, labels, reference.Reference(network, CONFIG).gradient(events, labels)


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        (
            "fmaf(v_thresh[v], lambda_v[v], caused[v])",
            "fmaf(0.98f * v_thresh[v], lambda_v[v], caused[v])",
        ),
        ("caused[v]) / last.slope[v]", "0.98f * caused[v]) / last.slope[v]"),
        ("fmaf(alpha[v], above_v, d[v])", "fmaf(0.99f * alpha[v], above_v, d[v])"),
        ("-tau_syn * total", "-0.98f * tau_syn * total"),
    ],
)
def test_a_broken_equation_is_noticed(sound, broken, monkeypatch, gradient_of_reference):
    """An error of 1 or 2 % in the adjoint is a hundred times what conformance allows."""

    def render_broken(*plan):
        source = render(*plan)
        assert source.count(sound) == 1
        return source.replace(sound, broken)

    monkeypatch.setattr(engine, "render", render_broken)
    network, events, labels, expected = gradient_of_reference
    with emulation.compile(network, CONFIG) as compiled:
        assert networks.largest_error(compiled.gradient(events, labels), expected) > 1e-3


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine without nvcc."""
    for name in ("NVCC", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)


def test_no_nvcc(nowhere):
    with pytest.raises(BuildError, match=r"no nvcc was found; .*pip install 'shd_genn\[cuda\]'"):
        build.find_nvcc()


def test_nvcc_is_found_where_pip_puts_it(nowhere, monkeypatch, tmp_path):
    nvcc = tmp_path / "nvidia" / "cu13" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\n")
    nvcc.chmod(0o755)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / "nvidia")])
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: spec)
    assert build.find_nvcc() == nvcc


def test_a_named_nvcc_is_used_or_fails(nowhere, monkeypatch):
    monkeypatch.setenv("NVCC", "no-such-compiler")
    with pytest.raises(BuildError, match="NVCC=no-such-compiler names no program"):
        build.find_nvcc()


def test_no_driver(monkeypatch):
    def no_library(name):
        raise OSError(name)

    monkeypatch.setattr(build.ctypes, "CDLL", no_library)
    with pytest.raises(ConfigError, match=r"no NVIDIA driver was found .*--backend native"):
        choice.get("cuda")


def driver(error=0, capability=(9, 0), version=13000):
    """A driver that describes a GPU, or answers with an error."""

    def attribute(value, which, device):
        value._obj.value = dict(zip((75, 76), capability, strict=True))[which]
        return 0

    def put(number):
        def call(value, *arguments):
            value._obj.value = number
            return 0

        return call

    def name(buffer, size, device):
        buffer.value = b"Some GPU"
        return 0

    return SimpleNamespace(
        cuInit=lambda flags: error,
        cuDeviceGet=put(0),
        cuDeviceGetName=name,
        cuDriverGetVersion=put(version),
        cuDeviceGetAttribute=attribute,
    )


def test_no_gpu(monkeypatch):
    monkeypatch.setattr(build.ctypes, "CDLL", lambda name: driver(error=100))
    with pytest.raises(BuildError, match=r"driver finds no GPU; .*CUDA_VISIBLE_DEVICES"):
        build.find_gpu()


def test_the_driver_describes_the_gpu(monkeypatch):
    monkeypatch.setattr(build.ctypes, "CDLL", lambda name: driver(capability=(8, 6), version=12040))
    assert build.find_gpu() == build.Gpu("Some GPU", 86, 124)


def test_a_gpu_or_a_driver_that_is_too_old():
    build.require_usable(build.Gpu("Some GPU", 75, 130), "13.0.88")
    with pytest.raises(BuildError, match=r"Some GPU has compute capability 7.0, .* 7.5 and later"):
        build.require_usable(build.Gpu("Some GPU", 70, 130), "13.0.88")
    with pytest.raises(BuildError, match=r"nvcc is 13.0.88, but the driver .* knows CUDA 12.4"):
        build.require_usable(build.Gpu("Some GPU", 90, 124), "13.0.88")


def test_auto_is_cuda_where_nvcc_and_a_gpu_are(monkeypatch):
    monkeypatch.setattr(build, "find_nvcc", lambda: Path("nvcc"))
    monkeypatch.setattr(build, "nvcc_version", lambda nvcc: "13.0.88")
    monkeypatch.setattr(build, "find_gpu", lambda: build.Gpu("Some GPU", 90, 130))
    why = "nvcc 13.0.88 compiles for the GPU Some GPU"
    assert choice.choose("auto") == choice.Choice("cuda", why)
    monkeypatch.setattr(build, "find_gpu", lambda: build.Gpu("Some GPU", 70, 130))
    chosen = choice.choose("auto")
    assert chosen.name != "cuda" and "Some GPU has compute capability 7.0" in chosen.why


def test_compiler_failure_shows_its_words(monkeypatch, tmp_path):
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    with pytest.raises(BuildError, match=r"(?s)CUDA compiler failed on .*nonsense"):
        build.build_library("nonsense;", emulation.toolchain())
    assert not list(tmp_path.rglob("*.so"))


def test_who_does_not_ask_for_it_imports_none_of_it():
    program = (
        "import sys; from shd_genn.backends import choice\n"
        "choice.get('native'); choice.choose('auto')\n"
        "print([name for name in sys.modules if 'backends.cuda.' in name])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "['shd_genn.backends.cuda.build']" and result.stderr == ""


def test_the_source_is_readable_and_self_contained():
    source = render(lower(networks.network(), CONFIG), "input")
    assert "// input -> hidden0, hidden0 -> hidden0, hidden0 -> hidden1" in source
    assert '#include "' not in source and "{{" not in source and "{%" not in source


def test_errors_of_the_library_become_exceptions():
    with emulation.compile(networks.network(), CONFIG) as compiled:
        library = compiled.device._library
        library.engine_error.restype = ctypes.c_char_p
        with pytest.raises(engine.device.CudaError, match=r"CUDA: \d+ MB for spikes of the input"):
            compiled.device.make_room(engine.Room(1, 1 << 58))
