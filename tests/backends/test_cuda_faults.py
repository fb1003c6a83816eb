"""Errors that are planted in the cuda backend's kernels are noticed; without them, nothing is."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest
from helpers import emulation, networks

from shd_genn.backends.cuda import engine
from shd_genn.backends.cuda.render import render
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference import engine as reference
from shd_genn.bench.gpu import cases
from shd_genn.learning.objective import Objective, Regulariser

CONFIG = CompileConfig(
    networks.N_STEPS, objective=Objective(regulariser=Regulariser(1e-3, 2e-3, 3))
)


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
