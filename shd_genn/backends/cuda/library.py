"""The types of the generated library's entry points: those of kernels/engine.cu."""

from __future__ import annotations

import ctypes
from typing import Any


def declare(library: ctypes.CDLL) -> Any:
    """Give ctypes the entry points' types."""
    pointer, c_int, c_float, c_bool = ctypes.c_void_p, ctypes.c_int, ctypes.c_float, ctypes.c_bool
    c_int64 = ctypes.c_int64
    signatures: dict[str, list[Any]] = {
        "engine_error": [],
        "engine_memory": [pointer],
        "engine_peak_memory": [pointer],
        "engine_create": [c_int, c_float, pointer, pointer, c_bool, pointer],
        "engine_destroy": [pointer],
        "engine_bytes_of_trial": [c_int, c_bool, c_bool],
        "engine_reserve": [pointer, c_int, c_int64, c_bool, c_bool],
        "engine_push": [pointer, c_int, c_int64, pointer, c_int64],
        "engine_pull": [pointer, c_int, c_int64, pointer, c_int64],
        "engine_forward": [pointer] * 4 + [c_int] + [pointer] * 4 + [c_bool],
        "engine_step_loss": [pointer, c_int, pointer] + [c_float] * 3 + [c_bool, pointer, pointer],
        "engine_read_curves": [pointer, c_int, pointer, c_int, pointer],
        "engine_drive_curves": [pointer, c_int, pointer, c_int, c_bool],
        "engine_curve_gradient": [pointer, pointer],
        "engine_spikes": [pointer, c_int, pointer],
        "engine_input_spikes": [pointer, c_int, c_int64, pointer, pointer],
        "engine_backward": [pointer, c_int, pointer, c_int64, pointer, c_bool],
        "engine_drop_out": [pointer, pointer, c_int, pointer, pointer],
        "engine_scale_gradient": [pointer] * 3,
        "engine_squares": [pointer, pointer, c_int],
        "engine_adam": [pointer] + [c_float] * 5 + [pointer] * 5,
        "engine_times": [pointer, pointer],
    }
    results = {
        "engine_error": ctypes.c_char_p,
        "engine_destroy": None,
        "engine_bytes_of_trial": ctypes.c_uint64,
        "engine_times": None,
        "engine_peak_memory": ctypes.c_uint64,
    }
    for name, argument_types in signatures.items():
        function = getattr(library, name)
        function.argtypes = argument_types
        function.restype = results.get(name, c_int)
    return library
