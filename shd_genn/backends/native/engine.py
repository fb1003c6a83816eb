"""Runs a compiled network: owns weights and optimiser state, calls the generated library."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.native.lower import CONSTANTS, ConnectionPlan, PopulationPlan, lower
from shd_genn.backends.native.render import render
from shd_genn.backends.native.store import FloatArray, ParameterStore
from shd_genn.backends.protocols import (
    BatchResult,
    CompileConfig,
    Parameters,
    Recording,
    require_samples,
)
from shd_genn.learning.methods.eventprop import gradient_scale
from shd_genn.learning.objective import loss_and_drive, needs_voltages, regulariser_jump
from shd_genn.learning.optimisers import LearningRate, rate_of
from shd_genn.network import Network
from shd_genn.network.readouts import drive_weights, read_weights
from shd_genn.spikes.events import Events
from shd_genn.support.builder import load_library
from shd_genn.support.errors import require
from shd_genn.support.machine import available_cores

STAGES = ("input", "forward", "adjoint", "gradient", "optimiser")
"""What the engine's time goes to, in the order of `Stage` of clock.h: putting input spikes on the
grid, the three passes over a trial, and updating what is learned."""

EVALUATION_BATCH = 256
"""Trials a forward pass takes at a time when nothing is learned from them."""


class _Population(ctypes.Structure):
    """`Population` of population.h."""

    _fields_ = (
        ("size", ctypes.c_int32),
        ("padded", ctypes.c_int32),
        *((name, ctypes.c_float) for name in CONSTANTS[:6]),
        ("own", ctypes.c_void_p),
    )


class _Connection(ctypes.Structure):
    """`Connection` of population.h."""

    _fields_ = (
        ("weights", ctypes.c_void_p),
        ("steps", ctypes.c_void_p),
        ("stride", ctypes.c_int64),
    )


class NativeEngine:
    """A network in generated C++; see `shd_genn.backends.Differentiable`.

    Trials run in parallel. Every sum over them is made in the trials' order, so results do not
    depend on the number of threads.
    """

    def __init__(self, network: Network, config: CompileConfig) -> None:
        self.network = network
        self.config = config
        self._plan = lower(network, config)
        self._library = _declare(load_library(render(self._plan), "engine"))
        self._step = 0
        self._n_threads = config.n_threads or available_cores()
        self._store = ParameterStore(network, config.dt_ms)
        self._handle: int | None = self._create()
        self.set_parameters(network.initial_parameters(config.seed))

    def _create(self) -> int:
        plan, config = self._plan, self.config
        readout = self.network.readout
        read = read_weights(readout, config.n_steps).astype(np.float32)
        drive = drive_weights(
            readout, config.n_steps, config.dt_ms, self.network.tau_mem_out
        ).astype(np.float32)
        handle = self._library.engine_create(
            (_Population * len(plan.populations))(*map(self._population, plan.populations)),
            (_Connection * len(plan.connections))(*map(self._connection, plan.connections)),
            self._store.structures(),
            config.n_steps,
            config.dt_ms,
            read.ctypes.data,
            drive.ctypes.data,
            self._n_threads,
        )
        return int(handle)

    def _population(self, plan: PopulationPlan) -> _Population:
        own = self._store.constants.get(plan.name)
        return _Population(
            plan.size,
            plan.padded,
            *(plan.constants or [0.0] * 6),
            None if own is None else own.ctypes.data,
        )

    def _connection(self, plan: ConnectionPlan) -> _Connection:
        w, steps = self._store.values[plan.name], self._store.delay_steps.get(plan.name)
        return _Connection(w.ctypes.data, None if steps is None else steps.ctypes.data, w.shape[1])

    def __enter__(self) -> Self:
        """Nothing to do: it is ready when made."""
        return self

    def __exit__(self, *error: object) -> None:
        """Free the engine's memory and threads."""
        self.close()

    def close(self) -> None:
        """Free the engine's memory and threads; it cannot be used afterwards."""
        if self._handle is not None:
            self._library.engine_destroy(self._handle)
            self._handle = None

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """One update of all that is learned; the result is that of the parameters before it."""
        result = self._backward(events, labels)
        adam = self.config.adam
        rates = np.array([rate_of(learning_rate, p.key) for p in self._store.learned])
        self._step += 1
        with np.errstate(over="ignore"):  # parameters that are not finite are told of in training
            rates = (rates / (1 - adam.beta1**self._step)).astype(np.float32)
        self._library.engine_adam(
            self._handle,
            adam.beta1,
            adam.beta2,
            adam.epsilon,
            rates.ctypes.data,
            1 / (1 - adam.beta2**self._step),
        )
        self._store.update_constants()
        return result

    def gradient(self, events: Events, labels: NDArray[np.integer]) -> Parameters:
        """dLoss/dp of the batch's mean loss, regulariser included; parameters stay."""
        self._backward(events, labels)
        scale = np.float32(gradient_scale(self.network, self.config.n_steps))
        return {name: scale * g for name, g in self._gradients().items()}

    def evaluate(self, events: Events, labels: NDArray[np.integer] | None = None) -> BatchResult:
        """Forward pass only; the parameters stay."""
        parts = []
        for start in range(0, max(len(events), 1), EVALUATION_BATCH):
            mine = np.arange(start, min(start + EVALUATION_BATCH, len(events)))
            if labels is None:
                readout, counts = self._forward(events.take(mine), keep=False)
                loss = np.full(len(mine), np.nan, np.float32)
            else:
                readout, counts, loss, _ = self._learn(events.take(mine), labels[mine], keep=False)
            parts.append((readout, loss, counts))
        readouts, losses, all_counts = zip(*parts, strict=True)
        counts = {
            name: np.concatenate([counts[name] for counts in all_counts]) for name in all_counts[0]
        }
        return self._result(np.concatenate(readouts), np.concatenate(losses), counts)

    def record(self, events: Events) -> Recording:
        """All spikes and output voltages of some samples."""
        voltages = self._voltages(len(events))
        _, counts = self._forward(events, voltages, keep=True)
        spikes = {
            p.name: Events.of(
                [
                    self._spikes(trial, i, int(counts[p.name][trial].sum()))
                    for trial in range(len(events))
                ]
            )
            for i, p in enumerate(self._plan.populations)
            if p.name in counts
        }
        return Recording(spikes, voltages)

    def parameters(self) -> Parameters:
        """A copy of all parameters."""
        return {key: a.copy() for key, a in self._store.unpadded(self._store.values).items()}

    def set_parameters(self, parameters: Mapping[str, FloatArray]) -> None:
        """Replace the weights, and those other parameters that are given.

        Raises:
            ConfigError: if they are not of this network.
        """
        self.network.check_parameters(parameters)
        self._store.set(parameters)

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of the optimiser's state: ``m_KEY``, ``v_KEY`` as the parameters, and ``step``."""
        state: dict[str, NDArray[np.generic]] = {"step": np.array(self._step)}
        for prefix, arrays in (("m", self._store.m), ("v", self._store.v)):
            for name, array in self._store.unpadded(arrays).items():
                state[f"{prefix}_{name}"] = array.copy()
        return state

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the optimiser's state; moments that are not given become 0."""
        self._step = int(state["step"])
        for prefix, arrays in (("m", self._store.m), ("v", self._store.v)):
            for name, array in self._store.unpadded(arrays).items():
                array[...] = state.get(f"{prefix}_{name}", 0)

    def kernel_times(self) -> dict[str, float]:
        """Seconds spent on each of `STAGES` since this was made, summed over threads."""
        seconds = np.zeros((self._n_threads, len(STAGES)))
        self._library.engine_times(self._handle, seconds.ctypes.data)
        return dict(zip(STAGES, seconds.sum(axis=0).tolist(), strict=True))

    def _forward(
        self, events: Events, voltages: FloatArray | None = None, *, keep: bool
    ) -> tuple[FloatArray, dict[str, NDArray[np.int32]]]:
        n, n_inputs = len(events), self.network.input.size
        highest = int(events.channels.max(initial=0))
        require(
            highest < n_inputs,
            "channel < number of input neurons",
            f"channel {highest} of {n_inputs}",
            "build the network for as many channels as the dataset has",
        )
        plan = self._plan
        readout = np.empty((n, self.network.output.size), np.float32)
        counts = [
            np.empty(n if i == plan.input else (n, p.size), np.int32)
            for i, p in enumerate(plan.populations)
        ]
        times_ms = np.ascontiguousarray(events.times_ms, np.float32)
        channels = np.ascontiguousarray(events.channels, np.uint16)
        offsets = np.ascontiguousarray(events.offsets, np.int64)
        self._library.engine_forward(
            self._handle,
            times_ms.ctypes.data,
            channels.ctypes.data,
            offsets.ctypes.data,
            n,
            keep,
            readout.ctypes.data,
            _pointers(counts),
            None if voltages is None else voltages.ctypes.data,
        )
        return readout, {
            p.name: counts[i]
            for i, p in enumerate(plan.populations)
            if i in (plan.input, *plan.spiking)
        }

    def _voltages(self, n_samples: int) -> FloatArray:
        """Room for the output voltages of a forward pass."""
        return np.zeros((n_samples, self.config.n_steps, self.network.output.size), np.float32)

    def _learn(
        self, events: Events, labels: NDArray[np.integer], *, keep: bool
    ) -> tuple[FloatArray, dict[str, NDArray[np.int32]], FloatArray, FloatArray]:
        """Forward pass; readout, spike counts, loss and drive."""
        voltages = self._voltages(len(events)) if needs_voltages(self.network.readout) else None
        readout, counts = self._forward(events, voltages, keep=keep)
        loss, drive = loss_and_drive(self.network, self.config, readout, labels, voltages)
        return readout, counts, loss.astype(np.float32), drive.astype(np.float32)

    def _backward(self, events: Events, labels: NDArray[np.integer]) -> BatchResult:
        require_samples(labels)
        readout, counts, loss, drive = self._learn(events, labels, keep=True)
        jumps: list[FloatArray | None] = [
            None if p in (self.network.input, self.network.output) else self._jump(counts[p.name])
            for p in self.network.populations
        ]
        if self._plan.output in self._plan.spiking:  # its spikes are not regularised
            jumps[self._plan.output] = np.zeros(self.network.output.size, np.float32)
        drive = np.ascontiguousarray(drive / np.float32(len(labels)))
        self._library.engine_backward(
            self._handle, len(labels), drive.ctypes.data, _pointers(jumps)
        )
        return self._result(readout, loss, counts)

    def _jump(self, counts: NDArray[np.int32]) -> FloatArray:
        return regulariser_jump(counts, self.config.objective.regulariser).astype(np.float32)

    def _result(
        self, readout: FloatArray, loss: FloatArray, counts: dict[str, NDArray[np.int32]]
    ) -> BatchResult:
        hidden = {p.name: counts[p.name] for p in self.network.hidden}
        return BatchResult(readout, loss, hidden, counts[self.network.input.name])

    def _spikes(
        self, trial: int, population: int, count: int
    ) -> tuple[NDArray[np.floating], NDArray[np.int32]]:
        neurons = np.empty(count, np.int32)
        begin = np.empty(self.config.n_steps + 1, np.int32)
        self._library.engine_spikes(
            self._handle, trial, population, neurons.ctypes.data, begin.ctypes.data
        )
        steps = np.repeat(np.arange(self.config.n_steps), np.diff(begin))
        return steps * self.config.dt_ms, neurons

    def _gradients(self) -> Parameters:
        return self._store.unpadded(self._store.gradients)


def _pointers(arrays: list[Any]) -> ctypes.Array[ctypes.c_void_p]:
    addresses = [None if array is None else array.ctypes.data for array in arrays]
    return (ctypes.c_void_p * len(arrays))(*addresses)


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Tell ctypes the entry points' types."""
    pointer, c_int, c_float = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
    c_bool = ctypes.c_bool
    signatures = {
        "engine_create": [pointer] * 3 + [c_int, c_float, pointer, pointer, c_int],
        "engine_destroy": [pointer],
        "engine_forward": [pointer] * 4 + [c_int, c_bool] + [pointer] * 3,
        "engine_spikes": [pointer, c_int, c_int, pointer, pointer],
        "engine_backward": [pointer, c_int, pointer, pointer],
        "engine_adam": [pointer] + [c_float] * 3 + [pointer, c_float],
        "engine_times": [pointer, pointer],
    }
    for name, argument_types in signatures.items():
        function = getattr(library, name)
        function.argtypes = argument_types
        function.restype = pointer if name == "engine_create" else None
    return library
