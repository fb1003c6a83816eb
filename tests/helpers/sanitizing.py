"""Kernels that watch themselves for errors: AddressSanitizer, UBSan, ThreadSanitizer.

From the folder tests, `python -m helpers.sanitizing address` runs the tests of native engine and
cochlea with kernels that AddressSanitizer watches; `undefined` and `thread` likewise. Options after
that go to pytest instead of `SUITES`. The first finding ends pytest with a report on stderr.

Python is not compiled for it, so the sanitizer's runtime is preloaded.
"""

import os
import subprocess
import sys
from pathlib import Path

from shd_genn.support.builder import find_compiler

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


def main() -> int:
    """Run tests as the command line says; pytest's exit code."""
    sanitizer, *given = sys.argv[1:]
    suites = [*(str(TESTS / path) for path in SUITES), "-k", SELECTED]
    # one process: workers of xdist would lose the report of the one that ends
    process = watched(sanitizer, "-m", "pytest", "-x", "-q", "-s", "-n", "0", *(given or suites))
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
