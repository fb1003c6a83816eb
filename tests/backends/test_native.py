"""What only the native engine has: threads, generated code, a compiler that may be missing."""

import platform
import stat

import numpy as np
import pytest
from helpers import networks

from shd_genn.backends.choice import get
from shd_genn.backends.native import engine
from shd_genn.backends.native.lower import lower
from shd_genn.backends.native.render import render
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
    """With 256 neurons rows are longer than strips, and their sources take more than one turn."""
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


def test_time_is_told_by_stage():
    with get("native").compile(networks.network(), EventProp(), CONFIG) as compiled:
        assert not any(compiled.kernel_times().values())
        compiled.train_batch(networks.random_events(4), networks.random_labels(4), 1e-3)
        assert all(seconds > 0 for seconds in compiled.kernel_times().values())


def test_any_graph():
    """Shortcuts and loops between layers, beside what models/ has."""
    synapse, drawn = Exponential(5.0), Dense(Normal(0.1, 0.3))
    source = Population("input", SpikeInput(), networks.N_INPUTS)
    one = Population("one", LeakyIntegrateFire(15.0), 65)
    two = Population("two", LeakyIntegrateFire(30.0, 0.7), 10)
    output = Population("output", LeakyIntegrate(20.0), networks.N_CLASSES)
    pairs = [(source, one), (source, two), (one, two), (two, one), (one, output), (two, output)]
    network = Network(
        (output, two, source, one), tuple(Connection(*pair, drawn, synapse) for pair in pairs)
    )
    events, labels = networks.random_events(4), networks.random_labels(4)
    reference = Reference(network, CONFIG)
    expected = reference.gradient(events, labels)
    with get("native").compile(network, EventProp(), CONFIG) as compiled:
        assert networks.largest_error(compiled.gradient(events, labels), expected) < 1e-4
        for name, counts in reference.evaluate(events).spike_counts.items():
            np.testing.assert_array_equal(compiled.evaluate(events).spike_counts[name], counts)


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ("k.v_thresh(j) * lambda_v + feedback", "0.98f * k.v_thresh(j) * lambda_v + feedback"),
        ("+ feedback[s - from])", "+ 0.98f * feedback[s - from])"),
        ("/ tape.slope[s]", "/ (1.02f * tape.slope[s])"),
        ("c.alpha(i) * v - new_i", "v - new_i"),
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
        render(lower(networks.network(hidden_sizes=(size,), tau_mem_ms=tau), CONFIG))
        for size, tau in ((64, 20.0), (100, 15.0))
    }
    assert len(sources) == 1
    assert render(lower(networks.network(readout="max_var"), CONFIG)) not in sources


def test_source_is_readable_and_self_contained():
    source = render(lower(networks.network(), CONFIG))
    assert source.startswith("// input -> hidden0, hidden0 -> hidden0, hidden0 -> hidden1")
    assert '#include "' not in source and "$" not in source


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BuildError, match=r"no C\+\+ compiler was found .* apt install g\+\+"):
        builder.build_library("int x;", "test")


def test_named_compiler_is_used_or_fails(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BuildError, match="CXX=no-such-compiler names no program"):
        builder.build_library("int x;", "test")


def test_compiler_failure_shows_its_words(monkeypatch, tmp_path):
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    with pytest.raises(BuildError, match=r"(?s)compiler failed on .*\.cpp.*nonsense"):
        builder.build_library("nonsense;", "test")
    assert not list(tmp_path.rglob("*.so"))


def test_library_is_compiled_once(monkeypatch, tmp_path):
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    first = builder.build_library('extern "C" int answer() { return 42; }', "test")
    written = first.stat().st_mtime_ns
    assert builder.build_library('extern "C" int answer() { return 42; }', "test") == first
    assert first.stat().st_mtime_ns == written
    assert builder.load_library('extern "C" int answer() { return 42; }', "test").answer() == 42


def test_damaged_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    path = builder.build_library("int x;", "test")
    path.write_bytes(b"not a library")
    with pytest.raises(BuildError, match=r"cannot be loaded .* delete it and try again"):
        builder.load_library("int x;", "test")


def test_unwritable_cache_is_named(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("SHD_GENN_CACHE", str(blocked))
    with pytest.raises(Exception, match="set SHD_GENN_CACHE to a folder that you may write to"):
        builder.build_library("int x;", "test")
    assert stat.S_ISREG(blocked.stat().st_mode)


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
