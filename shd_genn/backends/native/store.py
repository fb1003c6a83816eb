"""A network's parameters, their gradients and the optimiser's state, laid out for the kernels."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.native.constants import (
    CONSTANTS,
    SHARED,
    constants,
    derived_constants,
    is_derived,
    number_of_constants,
    parameters_of,
)
from shd_genn.backends.native.layout import CONNECTION, LEARNED_ARRAY, POPULATION, STRIP, padded
from shd_genn.backends.protocols import Parameters
from shd_genn.backends.reference.synapses import whole_steps
from shd_genn.network import Connection, Network, Population
from shd_genn.network.initialisers import Parameter

FloatArray = NDArray[np.float32]

HUGE_PAGE = 2 * 2**20
"""Bytes of a huge page, which memory.h takes, too."""


class ParameterStore:
    """Arrays whose last axis is padded to whole strips and starts on cache lines.

    Args:
        network: The network whose parameters they are.
        dt_ms: Length of a step in ms.

    Attributes:
        learned: The parameters that are learned, in the order of `structures`.
        values: Key → all parameters.
        gradients, m, v: Key → likewise, of those that are learned.
        delay_steps: Connection name → int32, delays in whole steps, padded.
        constants: Population name → (strips, `CONSTANTS`, neurons of a strip), where they differ;
            of neurons by their equations also (constants,), where they are the same.
    """

    def __init__(self, network: Network, dt_ms: float) -> None:
        self._network, self._dt_ms = network, dt_ms
        self._parameters = {p.key: p for p in network.parameters}
        self.learned = tuple(p for p in network.parameters if p.trained)
        self.values = {p.key: _zeros_for(p) for p in network.parameters}
        self.gradients, self.m, self.v = (
            {p.key: _zeros_for(p) for p in self.learned} for _ in range(3)
        )
        self.constants: dict[str, FloatArray] = {}
        for p in network.populations:
            n = number_of_constants(network, p, dt_ms)
            if parameters_of(network, p):
                self.constants[p.name] = aligned_zeros((padded(p.size) // STRIP, n, STRIP))
            elif is_derived(p):
                self.constants[p.name] = aligned_zeros((n,))
                self._update_derived(p, {})
        self.delay_steps = {
            c.name: np.zeros(self.values[f"{c.name}.delay"].shape, np.int32)
            for c in network.connections
            if c.delayed
        }

    def unpadded(self, arrays: Mapping[str, FloatArray]) -> Parameters:
        """Views without the padding."""
        return {key: a[..., : self._parameters[key].shape[-1]] for key, a in arrays.items()}

    def set(self, parameters: Mapping[str, FloatArray]) -> None:
        """Replace the parameters that are given."""
        for key, array in self.unpadded(self.values).items():
            if key in parameters:
                array[...] = parameters[key]
        self.update_constants()

    @contextmanager
    def scaled(self, scales: Mapping[str, float]) -> Iterator[None]:
        """Multiply weights meanwhile, and their gradients at the end; see `Dropout`."""
        before = {key: self.values[key].copy() for key in scales}
        try:
            for key, scale in scales.items():
                self.values[key] *= np.float32(scale)
            yield
        finally:
            for key, scale in scales.items():
                self.values[key][...] = before[key]
                self.gradients[key] *= np.float32(scale)

    def shrink(self, gradients: float, values: Mapping[str, float]) -> None:
        """Multiply all gradients by one number, and each parameter by its own; 1 changes no bit."""
        for key, part in values.items():
            if gradients != 1:
                self.gradients[key] *= np.float32(gradients)
            if part != 1:
                self.values[key] *= np.float32(part)

    def update_constants(self) -> None:
        """Compute what depends on parameters of neurons, and delays in whole steps."""
        for name, steps in self.delay_steps.items():
            steps[...] = whole_steps(self.values[f"{name}.delay"])
        if not self.constants:
            return
        values = self.unpadded(self.values)
        for p in self._network.populations:
            if is_derived(p):
                self._update_derived(p, values)
            elif p.name in self.constants:
                self._update_constants_of(p, values)

    def _update_derived(self, population: Population, values: Parameters) -> None:
        """One column of constants, or one a neuron, in strips; padding has those of the last."""
        columns = derived_constants(self._network, population, values, self._dt_ms)
        kept = self.constants[population.name]
        if kept.ndim == 1:
            kept[...] = columns[:, 0]
            return
        beyond = padded(population.size) - population.size
        rows = np.pad(columns, ((0, 0), (0, beyond)), "edge")
        kept[...] = rows.reshape(len(rows), -1, STRIP).transpose(1, 0, 2)

    def _update_constants_of(self, population: Population, values: Parameters) -> None:
        rows = np.zeros((len(CONSTANTS), padded(population.size)))
        rows[CONSTANTS.index("v_thresh")] = np.inf  # padding never spikes
        rows[:, : population.size] = constants(self._network, population, values, self._dt_ms)
        strips = rows.reshape(len(CONSTANTS), -1, STRIP).transpose(1, 0, 2)
        self.constants[population.name][...] = strips

    def population(self, population: Population) -> Any:
        """A population for the kernels."""
        shared = dict.fromkeys(SHARED, 0.0)
        per_neuron = self.constants.get(population.name)
        if per_neuron is None and population != self._network.input:
            of_all = constants(self._network, population, {}, self._dt_ms)[:, 0]
            shared = dict(zip(SHARED, of_all.tolist(), strict=False))
        return POPULATION(
            size=population.size,
            padded=padded(population.size),
            **shared,
            per_neuron=None if per_neuron is None else per_neuron.ctypes.data,
        )

    def connection(self, connection: Connection) -> Any:
        """A connection for the kernels."""
        weights = self.values[connection.name]
        delay_steps = self.delay_steps.get(connection.name)
        return CONNECTION(
            weights=weights.ctypes.data,
            delay_steps=None if delay_steps is None else delay_steps.ctypes.data,
            stride=weights.shape[1],
        )

    def learned_array(self, parameter: Parameter) -> Any:
        """What is learned, for the kernels."""
        key = parameter.key
        return LEARNED_ARRAY(
            value=self.values[key].ctypes.data,
            gradient=self.gradients[key].ctypes.data,
            m=self.m[key].ctypes.data,
            v=self.v[key].ctypes.data,
            n=self.values[key].size,
            low=parameter.low,
            high=parameter.high,
        )


def _zeros_for(parameter: Parameter) -> FloatArray:
    """Rows of whole strips; a cache line longer where a strip of all rows would crowd few sets.

    With 1024 neurons that makes the forward pass 1.14 times faster, and gradients likewise.
    """
    width = padded(parameter.shape[-1])
    if len(parameter.shape) == 2 and width % 256 == 0:
        width += 16
    return aligned_zeros((*parameter.shape[:-1], width))


def aligned_zeros(shape: tuple[int, ...]) -> FloatArray:
    """Zeros that start on a cache line; from 2 MB on, on a huge page, where the system has them.

    Otherwise chance decides how much of an array has huge pages. A network of 1024 neurons took 2
    to 4 % more processor time then.
    """
    size = int(np.prod(shape))
    alignment = HUGE_PAGE if 4 * size >= HUGE_PAGE else 64
    raw = _huge_zeros(size) if alignment == HUGE_PAGE else np.zeros(size + 16, np.float32)
    start = -raw.ctypes.data % alignment // 4
    return raw[start : start + size].reshape(shape)


def _huge_zeros(size: int) -> FloatArray:
    """Zeros and room to begin on a huge page; a hint to the system, which it may ignore."""
    n_bytes = 4 * size + HUGE_PAGE
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(n_bytes // 4, np.float32)
    memory = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.float32)
