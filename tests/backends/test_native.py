"""What only the native engine has: threads, generated code, its agreement with Python."""

import inspect
import platform
import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from helpers import networks

import shd_genn
from shd_genn.backends.choice import get
from shd_genn.backends.native import engine, layout
from shd_genn.backends.native import render as render_module
from shd_genn.backends.native.lower import lower
from shd_genn.backends.native.names import KERNELS
from shd_genn.backends.native.render import render
from shd_genn.backends.native.store import aligned_zeros
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp
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
)
from shd_genn.support import builder
from shd_genn.support.errors import BuildError
from shd_genn.support.interface import INCLUDE, Field, Interface, Structure

CONFIG = CompileConfig(networks.N_STEPS)


def trained(n_threads: int):
    """Parameters after three batches, of which the last is smaller."""
    config = CompileConfig(networks.N_STEPS, n_threads=n_threads)
    with get("native").compile(
        networks.learned_network(delays=True), EventProp(), config
    ) as compiled:
        for n in (11, 11, 3):
            events, labels = networks.random_events(n), networks.random_labels(n)
            compiled.train_batch(events, labels, networks.RATES)
        return compiled.parameters()


@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_threads_do_not_change_a_bit(n_threads):
    one, several = trained(1), trained(n_threads)
    for name in one:
        np.testing.assert_array_equal(one[name], several[name])


def test_no_bias_beside_the_reference_in_float32():
    """Constants are rounded as mlGeNN's are: single voltages differ by rounding, and no more.

    Its errors of 1e-7 cancel in a sum over many voltages, to less than 1e-8; 1 - alpha of an alpha
    that is not rounded would shift all of them by 6e-7.
    """
    # no loops and slow outputs, which few roundings reach
    network = networks.network(model="feedforward", hidden_sizes=(70,))
    events = networks.random_events(8)
    expected = Reference(network, CONFIG, np.float32).record(events)
    with get("native").compile(network, EventProp(), CONFIG) as compiled:
        got = compiled.record(events)
    np.testing.assert_array_equal(
        got.spikes["hidden0"].times_ms, expected.spikes["hidden0"].times_ms
    )
    v, v_expected = (r.voltages.astype(np.float64).ravel() for r in (got, expected))
    assert abs(v @ v_expected / (v_expected @ v_expected) - 1) < 1e-7


def test_many_neurons_and_more_trials_than_threads():
    """With 256 neurons rows are longer than strips, and their sources take more than one place."""
    network = networks.network(hidden_sizes=(256,))
    events, labels = networks.random_events(11), networks.random_labels(11)
    gradients = []
    for n_threads in (1, 2, 5):
        config = CompileConfig(networks.N_STEPS, n_threads=n_threads)
        with get("native").compile(network, EventProp(), config) as compiled:
            gradients.append(compiled.gradient(events, labels))
    for name, expected in Reference(network, config).gradient(events, labels).items():
        np.testing.assert_array_equal(gradients[0][name], gradients[1][name])
        np.testing.assert_array_equal(gradients[0][name], gradients[2][name])
        assert np.abs(gradients[0][name] - expected).max() < 1e-4 * np.abs(expected).max()


def test_time_is_counted_by_stage():
    with get("native").compile(networks.network(), EventProp(), CONFIG) as compiled:
        assert not any(compiled.kernel_times().values())
        compiled.train_batch(networks.random_events(4), networks.random_labels(4), 1e-3)
        assert all(seconds > 0 for seconds in compiled.kernel_times().values())


def graph(names=("input", "one", "two", "output")):
    """Shortcuts and loops between layers, beside what models/ has."""
    synapse, drawn = Exponential(5.0), Dense(Normal(0.1, 0.3))
    source = Population(names[0], SpikeInput(), networks.N_INPUTS)
    one = Population(names[1], LeakyIntegrateFire(15.0), 65)
    two = Population(names[2], LeakyIntegrateFire(30.0, 0.7), 10)
    output = Population(names[3], LeakyIntegrate(20.0), networks.N_CLASSES)
    pairs = [(source, one), (source, two), (one, two), (two, one), (one, output), (two, output)]
    return Network(
        (output, two, source, one), tuple(Connection(*pair, drawn, synapse) for pair in pairs)
    )


def assert_agrees_with_the_reference(network):
    events, labels = networks.random_events(4), networks.random_labels(4)
    reference = Reference(network, CONFIG)
    expected = reference.gradient(events, labels)
    with get("native").compile(network, EventProp(), CONFIG) as compiled:
        assert networks.largest_error(compiled.gradient(events, labels), expected) < 1e-4
        for name, counts in reference.evaluate(events).spike_counts.items():
            np.testing.assert_array_equal(compiled.evaluate(events).spike_counts[name], counts)


def test_any_graph():
    assert_agrees_with_the_reference(graph())


@pytest.mark.parametrize(
    "names",
    [
        ("int", "class", "step", "tape"),  # words of C++ and of the kernels
        ("größe", "γ", "POPULATIONS", "errno"),
        ("a", "b", "a_b", "a_a_b"),  # connections are called a_b and a_a_b, too
    ],
)
def test_any_name(names):
    """Names of populations are names in the source, unless they mean something else there."""
    assert_agrees_with_the_reference(graph(names))


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ("v_thresh * lambda_v + feedback", "0.98f * v_thresh * lambda_v + feedback"),
        ("lambda_v + feedback)", "lambda_v + 0.98f * feedback)"),
        ("/ slope - regulariser", "/ (1.02f * slope) - regulariser"),
        ("alpha * lambda_v - earlier_i", "alpha / alpha * lambda_v - earlier_i"),
    ],
)
def test_a_broken_jump_is_noticed(sound, broken, monkeypatch):
    """An error of 2 % in the adjoint's jump is a hundred times what conformance allows."""

    def render_broken(plan):
        source = render(plan)
        assert source.count(sound) == 1
        return source.replace(sound, broken)

    monkeypatch.setattr(engine, "render", render_broken)
    network = networks.network()
    events, labels = networks.random_events(4), networks.random_labels(4)
    expected = Reference(network, CONFIG).gradient(events, labels)
    with get("native").compile(network, EventProp(), CONFIG) as compiled:
        assert networks.largest_error(compiled.gradient(events, labels), expected) > 1e-3


def test_sizes_and_constants_do_not_recompile():
    sources = {
        render(lower(networks.network(hidden_sizes=(size,), tau_mem_ms=tau)))
        for size, tau in ((64, 20.0), (100, 15.0))
    }
    assert len(sources) == 1
    assert render(lower(networks.network(readout="max_var"))) not in sources


def test_source_is_readable_and_self_contained():
    source = render(lower(networks.learned_network(delays=True)))
    assert source.startswith("// input -> hidden0, hidden0 -> hidden0, hidden0 -> hidden1")
    for rest in ('#include "', "{{", "}}}", "{%", "{#", "#pragma once"):
        assert rest not in source
    assert "pop[hidden0]" in source and "connection[input_hidden0]" in source
    assert "learned[input_hidden0_delay].gradient" in source
    assert "neuron_gradient[hidden0_tau_mem]" in source
    assert not re.search(r"(?:pop|connection|tape|state|learned)\[\d", source)


def test_compilers_point_into_the_headers(monkeypatch, tmp_path):
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    source = render(lower(networks.network()))
    spoilt = source.replace("lambda_v + feedback)", "lambda_v + nothing)")
    header = (KERNELS / "leaky_integrate_fire.h").read_text(encoding="utf-8").splitlines()
    line = next(n for n, text in enumerate(header, 1) if "lambda_v + feedback)" in text)
    with pytest.raises(BuildError, match=rf"native/kernels/leaky_integrate_fire\.h:{line}:"):
        builder.build_library(spoilt, "test")
    # lines that lie in no header are those of the file that the message names
    spoilt = source.replace("of_neurons.restart(1, threads);", "of_neurons.restart(1, nothing);")
    with pytest.raises(BuildError, match=r"engine\.cpp:\d+:") as raised:
        builder.build_library(spoilt, "test")
    path = re.search(r"failed on (.*\.cpp):", str(raised.value))[1]
    number = int(re.search(r"engine\.cpp:(\d+):\d+: error", str(raised.value))[1])
    assert "nothing" in Path(path).read_text(encoding="utf-8").splitlines()[number - 1]


def test_each_kernel_names_its_numpy_twin():
    """What is named exists; every header with equations or loops names at least one."""
    named = {}
    for path in (*KERNELS.glob("*.h"), KERNELS / "engine.cpp.j2"):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"([a-z]+(?:/\w+)+)\.py:([\w.]+)", text)
        named[path.name] = found
        for file, function in found:
            member = import_module("shd_genn." + file.replace("/", "."))
            for part in function.split("."):
                member = getattr(member, part)
            assert inspect.isfunction(member), (path.name, function)
    without = {name for name, found in named.items() if not found}
    assert without == {"clock.h", "memory.h", "population.h"}


def test_a_mismatch_between_python_and_c_does_not_compile(monkeypatch, tmp_path):
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    source = render(lower(networks.network()))
    for sound, broken, reason in [
        ("    float alpha;", "    double alpha;", "Population has another size in Python"),
        ("    float beta;", "    float beta, more;", "Population has another size in Python"),
        ("    int64_t n;", "    int32_t n;", "LearnedArray::n lies elsewhere"),
        ("    STAGE_ADJOINT,\n", "", "STAGE_ADJOINT|Stage has other values in Python"),
        ("constexpr int STRIP = 64;", "constexpr int STRIP = 128;", "strips of another width"),
    ]:
        assert source.count(sound) == 1, sound
        with pytest.raises(BuildError, match=reason):
            builder.build_library(source.replace(sound, broken), "test")


def test_a_change_in_python_alone_does_not_compile(monkeypatch, tmp_path):
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    plan = lower(networks.learned_network())

    def fails(reason):
        with pytest.raises(BuildError, match=reason):
            builder.build_library(render(plan), "test")

    with monkeypatch.context() as patch:
        patch.setattr(render_module, "STRIP", 32)
        fails("strips of another width")
    with monkeypatch.context() as patch:
        constants, parameters, stages = layout.INTERFACE.enumerations
        more = (*parameters.values, "PARAMETER_REFRACTORY")
        changed = type(parameters)(parameters.name, parameters.comment, more, parameters.count)
        interface = Interface(layout.INTERFACE.structures, (constants, changed, stages))
        patch.setattr(render_module, "INTERFACE", interface)
        fails("parameters of neurons that no kernel knows")


def test_fields_are_given_by_name():
    pair = Structure("Pair", "Two numbers.", (Field("float", "a"), Field("int64_t", "b")))
    assert (pair(a=1, b=2).a, pair(a=1, b=2).b, pair.size) == (1, 2, 16)
    with pytest.raises(TypeError, match="fields of Pair"):
        pair(a=1)
    with pytest.raises(TypeError, match="fields of Pair"):
        pair(a=1, b=2, c=3)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these flags are x86's")
@pytest.mark.parametrize("flags", ["-mno-avx512f", "-mno-avx512f -mno-avx"])
def test_narrower_vectors(flags, monkeypatch, tmp_path):
    """The same source for 32-byte and 16-byte vectors agrees with the reference as well."""
    compiler = " ".join(builder.find_compiler())
    monkeypatch.setenv("CXX", f"{compiler} {flags}")
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    network = networks.learned_network(delays=True)
    events, labels = networks.random_events(4), networks.random_labels(4)
    expected = Reference(network, CONFIG).gradient(events, labels)
    with get("native").compile(network, EventProp(), CONFIG) as compiled:
        assert networks.largest_error(compiled.gradient(events, labels), expected) < 1e-4


def test_kernels_are_formatted():
    if shutil.which("clang-format") is None:
        pytest.skip("clang-format is not installed")
    package = Path(shd_genn.__file__).parent
    files = [p for folder in (KERNELS, INCLUDE) for p in folder.glob("*.h")]
    files += [package / "encode/kernels/cochlea.cpp", package / "bench/kernels/limits.cpp"]
    assert len(files) > 15
    command = ["clang-format", "--dry-run", "-Werror", *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("width", "alignment"), [(16, 64), (512, 2 * 2**20)])
def test_large_arrays_begin_on_huge_pages(width, alignment):
    zeros = aligned_zeros((1024, width))
    assert zeros.ctypes.data % alignment == 0 and not zeros.any()
    zeros += 1
    assert zeros.sum() == 1024 * width
