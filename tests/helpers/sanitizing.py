"""Kernels that watch themselves for errors: AddressSanitizer, UBSan, ThreadSanitizer.

From the folder tests, `python -m helpers.sanitizing address` runs the tests of native engine and
cochlea with kernels that AddressSanitizer watches; `undefined` and `thread` likewise. Options after
that go to pytest instead of `SUITES`. The word `select` runs `ONCE`: a few tests that compile every
kernel, from an empty cache; it fails if one was not compiled. The first finding ends pytest with a
report on stderr.

Python is not compiled for it, so the sanitizer's runtime is preloaded.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from shd_genn.support.builder import PACKAGE, find_compiler
from shd_genn.support.interface import INCLUDE

TESTS = Path(__file__).parents[1]
RUNTIMES = {"address": "libasan.so", "undefined": "libubsan.so", "thread": "libtsan.so"}
SUITES = (
    "backends/test_conformance.py",
    "backends/test_native.py",
    "backends/test_native_derived.py",
    "backends/test_native_methods.py",
    "backends/test_native_faults.py",
    "backends/test_input_stage.py",
    "backends/test_delay_line.py",
    "gradient_chain",
    "encode/test_cochlea.py",
)
"""Tests of everything that is compiled for the processor."""
ONCE = (
    "backends/test_native.py::test_many_neurons_and_more_trials_than_threads",
    "backends/test_native_methods.py::test_gradients_are_those_of_the_reference",
    "backends/test_native_methods.py::test_dropout_is_that_of_the_reference",
    "backends/test_native_methods.py::test_threads_do_not_change_a_bit[online]",
    "backends/test_native_derived.py::test_threads_do_not_change_a_bit",
    "backends/test_native_derived.py::test_dropout_silences_derived_neurons",
    "backends/test_input_stage.py"
    "::test_gradients_are_those_of_the_reference_for_any_number_of_threads",
    "backends/test_delay_line.py"
    "::test_gradients_are_those_of_the_reference_for_any_number_of_threads",
    "backends/test_conformance.py::TestBackends::test_any_neuron_by_its_equations",
    "backends/test_conformance.py::TestBackends::test_all_that_is_learned",
    "backends/test_conformance.py::TestBackends::test_delays_that_neurons_share",
    "backends/test_conformance.py::TestBackends::test_first_spikes_and_silent_outputs_learn",
    "backends/test_conformance.py::TestBackends::test_regularised_updates",
    "backends/test_shared_delays.py::test_any_mixture_has_the_gradients_of_the_reference",
    "learning/test_delta.py::test_native_is_the_reference",
    "learning/test_stdp.py::test_native_is_the_reference",
    "encode/test_cochlea.py::test_workers_do_not_change_a_spike",
    "encode/test_filter_bank.py::test_the_kernel_gives_the_spikes_of_numpy",
)
"""Tests that together compile every kernel of `KERNELS`, with every neuron and method."""
KERNELS = (PACKAGE / "backends/native/kernels", PACKAGE / "encode/kernels", INCLUDE)
PARTS = frozenset(
    {
        "macros.j2",
        "surrogate.j2",
        "entry_points.j2",
        "trial_and_worker.j2",
        "neuron.h.j2",
        "interface.h.j2",
    }
)
"""Templates that are parts of others: what is compiled does not name them."""
SELECTED = "not cuda and not genn and not reference and not clang"
OPTIONS = {
    # Python leaves its own objects to the system at its end; kernels' leaks are looked for in
    # test_native_faults.py, by making and closing engines
    "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1:halt_on_error=1:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    # libraries that are not compiled for it use locks that it does not see
    "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:halt_on_error=1:exitcode=99",
}


def runtime(sanitizer: str) -> Path | None:
    """The library that must be preloaded; None if the compiler has none."""
    name = RUNTIMES[sanitizer]
    command = [*find_compiler(), f"-print-file-name={name}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return Path(found).resolve() if found != name and Path(found).is_file() else None


def watched(sanitizer: str, *arguments: str) -> subprocess.Popen[str]:
    """Start Python with kernels that a sanitizer watches.

    Args:
        sanitizer: One of `RUNTIMES`.
        arguments: Of Python.
    """
    preloaded = runtime(sanitizer)
    assert preloaded is not None
    environment = os.environ | OPTIONS
    environment |= {"SHD_GENN_SANITIZE": sanitizer, "LD_PRELOAD": str(preloaded)}
    environment["PYTHONPATH"] = ":".join((str(TESTS), str(TESTS.parent)))
    # without randomised addresses, which may lie where ThreadSanitizer has its shadow
    prefix = ["setarch", "-R"] if sanitizer == "thread" else []
    return subprocess.Popen(
        [*prefix, sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=TESTS.parent,
    )


def unreached(libraries: Path) -> set[str]:
    """Names of the kernels that none of the compiled sources in a folder has."""
    named = set()
    for source in libraries.glob("*.cpp"):
        named |= set(re.findall(r'^#line \d+ "(?:.*/)?([^/"]+)"', source.read_text(), re.MULTILINE))
    kernels = {path.name.removesuffix(".j2") for folder in KERNELS for path in folder.iterdir()}
    return kernels - named - {name.removesuffix(".j2") for name in PARTS}


def select(sanitizer: str) -> int:
    """Run `ONCE`, and look whether it has reached every kernel; the exit code."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SHD_GENN_CACHE"] = cache
        given = [*(str(TESTS / test) for test in ONCE), "-k", SELECTED]
        code = run(sanitizer, given)
        missing = unreached(Path(cache) / "libraries")
    print(f"kernels that were not compiled: {', '.join(sorted(missing)) or 'none'}")
    return code or bool(missing)


def main() -> int:
    """Run tests as the command line says; pytest's exit code."""
    sanitizer, *given = sys.argv[1:]
    if given == ["select"]:
        return select(sanitizer)
    suites = [*(str(TESTS / path) for path in SUITES), "-k", SELECTED]
    return run(sanitizer, given or suites)


def run(sanitizer: str, given: list[str]) -> int:
    """Run pytest, and print what it does; its exit code."""
    # one process: workers of xdist would lose the report of the one that ends
    process = watched(sanitizer, "-m", "pytest", "-x", "-q", "-s", "-n", "0", *given)
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
