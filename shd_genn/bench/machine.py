"""What this machine can do at best, measured: what the engine's speed is held against."""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from shd_genn.backends.native.layout import padded
from shd_genn.support.builder import assemble, load_library
from shd_genn.support.interface import EntryPoint, Field, Interface, Structure

READ_ARGUMENTS = Structure(
    "ReadArguments",
    "Rows of a matrix that all threads read.",
    (
        Field("const float*", "matrix", "[row][width]"),
        Field("const int32_t*", "rows", "[n_rows]"),
        Field("int32_t", "n_rows"),
        Field("int32_t", "width"),
        Field("int32_t", "n_threads"),
    ),
)

COMPUTE_ARGUMENTS = Structure(
    "ComputeArguments",
    "Multiplications and additions.",
    (
        Field("int64_t", "n", "how often"),
        Field("float", "factor"),
        Field("int32_t", "n_threads"),
        Field("float*", "result", "[n_threads]"),
    ),
)


def read_limit(n_rows: int, width: int, n_threads: int) -> float:
    """GB/s at which all threads together read random rows of one float32 matrix.

    That is the bandwidth of the innermost cache that holds the matrix.

    Args:
        n_rows: Rows of the matrix.
        width: Its columns.
        n_threads: Threads that read, each as much as the others; 1 or more.
    """
    width = padded(width)
    matrix = np.ones(n_rows * width + 16, np.float32)
    start = -matrix.ctypes.data % 64 // 4
    n = max(20_000, 200_000_000 // (4 * width))  # some 0.05 s
    rows = np.random.default_rng(0).integers(0, n_rows, n).astype(np.int32)
    arguments = READ_ARGUMENTS(
        matrix=matrix[start:].ctypes.data,
        rows=rows.ctypes.data,
        n_rows=n,
        width=width,
        n_threads=n_threads,
    )
    read_rows, _ = _entry_points()
    fastest = min(seconds(lambda: read_rows(arguments), 5))
    return n_threads * n * 4 * width / fastest / 1e9


def vector_peak(n_threads: int) -> float:
    """Gflop/s of float32 multiply-and-add in registers, by all threads together."""
    result = np.zeros(n_threads, np.float32)
    arguments = COMPUTE_ARGUMENTS(
        n=10_000_000, factor=0.5, n_threads=n_threads, result=result.ctypes.data
    )
    _, multiply_add = _entry_points()
    operations = multiply_add(arguments)
    return float(operations / min(seconds(lambda: multiply_add(arguments), 5)) / 1e9)


def seconds(work: Callable[[], object], repetitions: int) -> list[float]:
    """Seconds that each repetition takes, after one to warm up."""
    work()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


@functools.cache
def _entry_points() -> tuple[EntryPoint, EntryPoint]:
    """`read_rows` and `multiply_add` of kernels/limits.cpp."""
    source = (Path(__file__).parent / "kernels" / "limits.cpp").read_text(encoding="utf-8")
    interface = Interface((READ_ARGUMENTS, COMPUTE_ARGUMENTS))
    library = load_library(assemble(source, "limits.cpp", interface=interface), "limits")
    arguments = [ctypes.c_void_p]
    return (
        EntryPoint(library, "read_rows", arguments, ctypes.c_float),
        EntryPoint(library, "multiply_add", arguments, ctypes.c_int64),
    )
