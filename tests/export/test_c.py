"""The C file: the words of our engines, few bits, no undefined behaviour, no heap, a Cortex-M4."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from helpers.boards import STRICT, on_a_cortex_m4
from helpers.exporting import trained_network

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.export.c_source import memory, packed, source_of, write_c
from shd_genn.export.quantise import quantise, rounded
from shd_genn.export.trained import of_run
from shd_genn.network.settings import FirstSpikeTime, GammaTau, MaxVar
from shd_genn.support.errors import ConfigError
from shd_genn.train.inference import opened, samples_for

KINDS = {
    "two layers": {},
    "time constants": {"train_tau": True, "tau_distribution": GammaTau(), "v_thresh_sd": 0.1},
    "max": {"readout": MaxVar(), "hidden_sizes": (9,)},
    "first spike": {"readout": FirstSpikeTime(), "w_out_mean": 1.0},
}


def recordings(trained, events):
    """What the program reads: the number of a sample's spikes, then their steps and channels."""
    grid = (np.arange(trained.n_steps) * np.float32(trained.dt_ms)).astype(np.float32)
    lines = []
    for i in range(len(events)):
        times_ms, channels = events.sample(i)
        steps = np.searchsorted(grid, times_ms)
        pairs = " ".join(f"{s} {c}" for s, c in zip(steps, channels, strict=True))
        lines.append(f"{len(steps)} {pairs}")
    return "\n".join(lines) + "\n"


def answers(path, trained, events):
    """Class and operations of each sample, by the compiled file, which checks itself as it runs."""
    program = path.with_suffix(".program")
    checks = ["-fsanitize=undefined", "-fno-sanitize-recover=all", "-DNETWORK_MAIN"]
    compiler = shutil.which("gcc") or shutil.which("clang") or "cc"
    subprocess.run([compiler, *STRICT, *checks, "-O1", path, "-o", program], check=True)
    done = subprocess.run(
        [program], input=recordings(trained, events), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return np.array([[int(w) for w in re.findall(r"\d+", s)] for s in done.stdout.splitlines()])


@pytest.mark.parametrize("bits", [32, 8, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_c_gives_the_words_of_the_reference(kind, bits, tmp_path):
    trained, events, _ = trained_network(**KINDS[kind])
    found = answers(write_c(trained, tmp_path, bits), trained, events)
    few = rounded(trained.network, trained.parameters, bits)
    same = Reference(trained.network, CompileConfig(n_steps=trained.n_steps), np.float32)
    same.set_parameters(few)
    result = same.evaluate(events)
    assert np.array_equal(found[:, 0], result.predictions)
    if kind == "two layers":  # operations, of which those of the last step's spikes never arrive
        spikes = {name: c.sum(1) for name, c in result.spike_counts.items()}
        spikes["input"] = result.input_spikes
        whole = sum(spikes[c.source.name] * c.target.size for c in trained.network.connections)
        assert np.all(found[:, 1] <= whole)
        assert np.all(found[:, 1] > 0.95 * whole)


def test_every_prediction_of_a_trained_run_is_the_same(run, test_set, tmp_path):
    trained = of_run(run.folder)
    samples = samples_for(run.folder, test_set, "test").dataset
    events = samples.presented(np.arange(len(samples)))
    with opened(run.folder) as (simulator, _):
        native = simulator.evaluate(events).predictions
    found = answers(write_c(trained, tmp_path), trained, events)
    assert np.array_equal(found[:, 0], native)
    eight = answers(write_c(trained, tmp_path, 8), trained, events)
    right = np.mean(native == samples.labels)
    assert np.mean(eight[:, 0] == samples.labels) >= right - 0.01


def test_the_file_needs_no_heap_and_no_library(tmp_path):
    trained, _, _ = trained_network()
    path = write_c(trained, tmp_path)
    options = ["-O2", "-ffreestanding", "-fno-tree-loop-distribute-patterns", "-c"]
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed, whose option keeps loops from becoming memset")
    subprocess.run([compiler, *STRICT, *options, path, "-o", tmp_path / "n.o"], check=True)
    names = subprocess.run(
        ["nm", "-u", tmp_path / "n.o"], capture_output=True, text=True, check=True
    )
    assert set(names.stdout.split()) <= {"U", "_GLOBAL_OFFSET_TABLE_"}


def test_memory_is_what_the_compiler_says(tmp_path):
    for kind, bits in (("two layers", 32), ("time constants", 8), ("first spike", 4)):
        trained, _, _ = trained_network(**KINDS[kind])
        path = write_c(trained, tmp_path, bits)
        (tmp_path / "size.c").write_text(
            f'#include <stdio.h>\n#include "{path.name}"\n'
            'int main(void) { printf("%zu", sizeof(network_t)); return 0; }\n'
        )
        subprocess.run(["cc", "size.c", "-o", "size"], cwd=tmp_path, check=True)
        size = int(subprocess.run(tmp_path / "size", capture_output=True, check=True).stdout)
        assert abs(size - memory(trained, bits).ram) <= 8  # padding between fields
        weights = sum(c.source.size * c.target.size for c in trained.network.connections)
        assert memory(trained, bits).flash >= weights * bits // 8


def test_hostile_names_stay_text(tmp_path):
    trained, events, _ = trained_network()
    words = ("*/ int x;", 'a"b', "??/", "wörd", "\\n")
    trained = type(trained)(**{**vars(trained), "name": "*/ #error", "words": words})
    found = answers(write_c(trained, tmp_path), trained, events)
    assert len(found) == len(events)


def test_rounding():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(40, 7)).astype(np.float32)
    weights[:, 3] = 0  # a neuron that receives nothing
    for bits, error in ((8, 0.01), (4, 0.15)):
        few = quantise(weights, bits)
        assert np.abs(few.values).max() <= 2 ** (bits - 1) - 1
        assert np.sqrt(np.mean((few.weights - weights) ** 2)) < error
        assert not few.weights[:, 3].any()
    values = quantise(weights, 4).values
    two = packed(values)
    low, high = (two & 15).astype(int) - 8, (two >> 4).astype(int) - 8
    assert np.array_equal(np.stack([low, high], 2).reshape(40, -1)[:, :7], values)


def test_delays_are_refused():
    trained, _, _ = trained_network(delay_in_ms=9.0)
    with pytest.raises(ConfigError, match="has delays"):
        source_of(trained)


def test_a_cortex_m4_gives_the_same_words(tmp_path):
    trained, events, _ = trained_network()
    for bits in (32, 8, 4):
        path = write_c(trained, tmp_path, bits)
        given = recordings(trained, events).encode()
        printed = on_a_cortex_m4([path], "-DNETWORK_MAIN", given, tmp_path)
        words = [int(line.split()[0]) for line in printed.splitlines()]
        assert words == answers(path, trained, events)[:, 0].tolist()
