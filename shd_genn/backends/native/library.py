"""The entry points of a generated engine, for Python."""

from __future__ import annotations

import ctypes

from shd_genn.support.builder import load_library
from shd_genn.support.interface import EntryPoint


class EngineLibrary:
    """The functions of kernels/engine.cpp.j2, which says what they do.

    Args:
        source: The rendered source; it is compiled unless the cache has it.
    """

    def __init__(self, source: str) -> None:
        library = load_library(source, "engine")
        engine = structure = ctypes.c_void_p
        self.create = EntryPoint(library, "engine_create", [structure], engine)
        self.destroy = EntryPoint(library, "engine_destroy", [engine])
        self.forward = EntryPoint(library, "engine_forward", [engine, structure])
        self.spikes = EntryPoint(library, "engine_spikes", [engine, structure])
        self.backward = EntryPoint(library, "engine_backward", [engine, structure])
        self.adam = EntryPoint(library, "engine_adam", [engine, structure])
        self.times = EntryPoint(library, "engine_times", [engine, ctypes.c_void_p])
