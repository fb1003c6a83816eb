"""What this machine can do at best, measured: what the engine's speed is held against."""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from shd_genn.backends.native.lower import padded
from shd_genn.support.builder import assemble, load_library


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
    address = ctypes.c_void_p(matrix[start:].ctypes.data)
    arguments = (address, ctypes.c_void_p(rows.ctypes.data), n, width, n_threads)
    fastest = min(seconds(lambda: _library().read_rows(*arguments), 5))
    return n_threads * n * 4 * width / fastest / 1e9


def vector_peak(n_threads: int) -> float:
    """Gflop/s of float32 multiply-and-add in registers, by all threads together."""
    result = np.zeros(n_threads, np.float32)
    arguments = (10_000_000, 0.5, result.ctypes.data, n_threads)
    operations = _library().multiply_add(*arguments)
    return float(operations / min(seconds(lambda: _library().multiply_add(*arguments), 5)) / 1e9)


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
def _library() -> ctypes.CDLL:
    source = (Path(__file__).parent / "kernels" / "limits.cpp").read_text(encoding="utf-8")
    library = load_library(assemble(source), "limits")
    library.read_rows.restype = ctypes.c_float
    library.multiply_add.restype = ctypes.c_int64
    library.multiply_add.argtypes = [
        *(ctypes.c_int64, ctypes.c_float, ctypes.c_void_p, ctypes.c_int)
    ]
    return library
