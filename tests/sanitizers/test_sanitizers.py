"""Kernels watched by sanitizers: a short version of `python -m helpers.sanitizing`.

The emulated GPU is watched in backends/test_cuda.py.
"""

import os
import platform

import pytest
from helpers import sanitizing

from shd_genn.support.builder import PACKAGE, SANITIZERS, BuildError, flags

CONFORMANCE = PACKAGE / "backends/conformance"
NATIVE = PACKAGE / "backends/native/kernels"

BATCH = """
from helpers import networks
from shd_genn.backends.choice import get
from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.methods import EventProp
network = networks.network(hidden_sizes=(20,))
config = CompileConfig(networks.N_STEPS, n_threads=2)
with get("native").compile(network, EventProp(), config) as engine:
    for _ in range(2):
        result = engine.train_batch(
            networks.random_events(4), networks.random_labels(4), networks.RATES
        )
assert result.spike_counts["hidden0"].sum() > 100
print("done")
"""
PLANTED = {
    "address": (
        "int x[4]; for (volatile int i = 0; i < 5; i++) x[i] = i; return x[0];",
        "stack-buffer-overflow",
    ),
    "undefined": ("volatile int x = 2147483647; x = x + 1;", "signed integer overflow"),
    "thread": (
        "static int x; auto add = [] { for (int i = 0; i < 9999; i++) x++; };"
        " std::thread one(add), other(add); one.join(); other.join();",
        "data race",
    ),
}
"""Sanitizer → an error, and what is reported."""


@pytest.fixture(params=SANITIZERS)
def sanitizer(request):
    if platform.system() != "Linux" or sanitizing.runtime(request.param) is None:
        pytest.skip(f"the compiler has no runtime for the {request.param} sanitizer")
    return request.param


def test_a_batch_has_no_finding(sanitizer):
    process = sanitizing.watched(sanitizer, "-c", BATCH)
    output, _ = process.communicate()
    assert process.returncode == 0 and "done" in output, output


def test_an_error_is_found(sanitizer):
    error, report = PLANTED[sanitizer]
    source = f'#include <thread>\nextern "C" int planted() {{ {error} return 0; }}'
    script = (
        "from shd_genn.support.builder import load_library; "
        f"load_library({source!r}, 'planted').planted()"
    )
    process = sanitizing.watched(sanitizer, "-c", script)
    output, _ = process.communicate()
    assert process.returncode != 0 and report in output, output


def test_an_unknown_sanitizer_is_refused(monkeypatch):
    monkeypatch.setenv("SHD_GENN_SANITIZE", "memory")
    with pytest.raises(BuildError, match="SHD_GENN_SANITIZE=memory is none of address, undefined"):
        flags()
    assert os.environ["SHD_GENN_SANITIZE"] == "memory"


def test_the_selection_names_tests_and_notices_what_they_do_not_compile(tmp_path):
    """`select` must reach each kernel: a new one, or a renamed test, shows."""
    for test in sanitizing.ONCE:
        path, *_, name = test.split("[")[0].split("::")
        suites = (sanitizing.TESTS / path, *CONFORMANCE.glob("*.py"))
        assert any(f"def {name}(" in suite.read_text() for suite in suites), test
    kernels = {path.name.removesuffix(".j2") for path in NATIVE.iterdir()}
    parts = {name.removesuffix(".j2") for name in sanitizing.PARTS}
    missing = sanitizing.unreached(tmp_path)
    assert kernels - parts <= missing and {"cochlea.cpp", "simd.h"} <= missing
    (tmp_path / "engine-1.cpp").write_text(
        '#line 1 "engine.cpp"\n#line 3 "shd_genn/backends/native/kernels/adam.h"\n'
    )
    assert sanitizing.unreached(tmp_path) == missing - {"engine.cpp", "adam.h"}
