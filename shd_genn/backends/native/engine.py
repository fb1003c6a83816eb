"""Runs a compiled network: owns its parameters and optimiser state, calls the generated library."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.native import limits
from shd_genn.backends.native.calls import EngineCalls
from shd_genn.backends.native.layout import STAGES
from shd_genn.backends.native.library import EngineLibrary
from shd_genn.backends.native.lower import lower
from shd_genn.backends.native.render import render
from shd_genn.backends.native.store import FloatArray, ParameterStore
from shd_genn.backends.protocols import (
    BatchResult,
    CompileConfig,
    Parameters,
    Recording,
    require_samples,
)
from shd_genn.learning.dropout import Masks
from shd_genn.learning.learned_readout import LearnedReadout
from shd_genn.learning.methods import EventProp, Method
from shd_genn.learning.methods.eventprop import gradient_scale
from shd_genn.learning.objective import loss_and_drive, needs_voltages, regulariser_jump
from shd_genn.learning.optimisers import LearningRate, rate_of
from shd_genn.network import Network, Population
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError
from shd_genn.support.machine import available_cores

EVALUATION_BATCH = 256
"""Trials a forward pass takes at a time when nothing is learned from them."""


class NativeEngine:
    """A network in generated C++; see `shd_genn.backends.Differentiable`.

    Trials run in parallel. Every sum over them is made in the trials' order, so results do not
    depend on the number of threads. Threads of Python may share an engine: they wait for each
    other. After a fork, the child makes the engine anew from its parameters.
    """

    def __init__(
        self, network: Network, config: CompileConfig, method: Method | None = None
    ) -> None:
        self.network = network
        self.config = config
        self.method: Method = EventProp() if method is None else method
        self._lock = threading.RLock()
        self._handle: int | None = None
        self._step = 0
        self._n_threads = config.n_threads or available_cores()
        self._bytes = limits.bytes_needed(
            network, config, self._n_threads, config.batch_size or 1, self.method
        )
        limits.check_sizes(network, config)
        limits.check_constants(network, config)
        limits.check_memory(self._bytes, self._n_threads)
        self._plan = lower(network, config.dt_ms, self.method, limits.copies_of(network, config))
        self._library = EngineLibrary(render(self._plan))
        self._calls = EngineCalls(self._library, network, config, self._plan.copies)
        with limits.memory_errors(self._bytes, self._n_threads):
            self._store = ParameterStore(network, config.dt_ms)
            self._learned = LearnedReadout(network)
            self._create()
            self.set_parameters(network.initial_parameters(config.seed))

    def _create(self) -> None:
        """Make the C++ engine, which belongs to this process."""
        self._handle = self._calls.create(
            self._store, self.network, self._drive_weights(), self._surrogate(), self._n_threads
        )
        self._process = os.getpid()

    def __enter__(self) -> Self:
        """Nothing to do: it is ready when made."""
        return self

    def __exit__(self, *error: object) -> None:
        """Free the engine's memory and threads."""
        self.close()

    def close(self) -> None:
        """Free the engine's memory and threads; it cannot be used afterwards."""
        if self._process != os.getpid():  # its threads did not survive the fork
            self._handle, self._lock = None, threading.RLock()
        with self._lock:
            if self._handle is not None:
                self._library.destroy(self._handle)
                self._handle = None

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    @contextmanager
    def _exclusively(self) -> Iterator[int]:
        """Keep other threads of Python out; yield the C++ engine.

        Raises:
            ConfigError: if it has been closed.
            OutOfMemoryError: if memory runs out meanwhile.
        """
        if self._process != os.getpid() and self._handle is not None:
            # after a fork, the engine's threads exist in the parent only
            self._lock = threading.RLock()
            self._create()
        with self._lock, limits.memory_errors(self._bytes, self._n_threads):
            if self._handle is None:
                raise ConfigError("this engine has been closed; compile the network again")
            yield self._handle

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """One update of all that is learned; the result is that of the parameters before it."""
        rates = [rate_of(learning_rate, key) for key in self._store.gradients]
        with self._exclusively() as engine:
            step, adam = self._step + 1, self.config.adam
            result, of_readout = self._dropped_out(engine, events, labels)
            clip = self._shrink(of_readout, rates)
            self._calls.adam(engine, adam, step, rates)
            self._step = step
            self._store.update_constants()
            for key, g in of_readout.items():
                rate = rate_of(learning_rate, key)
                self._learned.update(np.float32(clip) * g, adam, step, rate)
        return result

    def _dropped_out(
        self, engine: int, events: Events, labels: NDArray[np.integer]
    ) -> tuple[BatchResult, Parameters]:
        """`_backward` with drop-out of hidden neurons."""
        dropout, update = self.config.objective.dropout, self._step + 1
        if not dropout.probability:
            return self._backward(engine, events, labels, update=update)
        masks = dropout.masks(self.network, len(labels), self.config.seed, self._step)
        with self._store.scaled(dropout.scales(self.network)):
            return self._backward(engine, events, labels, masks, update)

    def _shrink(self, of_readout: Parameters, rates: list[float]) -> float:
        """Clip gradients and decay weights; return what gradients were multiplied by."""
        adam, clip = self.config.adam, 1.0
        if adam.clip_gradient:
            gradients = self._store.unpadded(self._store.gradients) | of_readout
            clip = adam.clip(gradients, gradient_scale(self.network, self.config.n_steps))
        if adam.clip_gradient or adam.weight_decay:
            kept = {
                key: adam.kept(key, rate)
                for key, rate in zip(self._store.gradients, rates, strict=True)
            }
            self._store.shrink(clip, kept)
        return clip

    def gradient(self, events: Events, labels: NDArray[np.integer]) -> Parameters:
        """dLoss/dp of the batch's mean loss, regulariser included; parameters stay."""
        scale = np.float32(gradient_scale(self.network, self.config.n_steps))
        with self._exclusively() as engine:
            _, of_readout = self._backward(engine, events, labels)
            gradients = self._store.unpadded(self._store.gradients) | of_readout
            return {name: scale * g for name, g in gradients.items()}

    def evaluate(self, events: Events, labels: NDArray[np.integer] | None = None) -> BatchResult:
        """Forward pass only; the parameters stay."""
        parts = []
        with self._exclusively() as engine:
            for start in range(0, max(len(events), 1), EVALUATION_BATCH):
                some = np.arange(start, min(start + EVALUATION_BATCH, len(events)))
                batch = events if len(some) == len(events) else events.take(some)
                if labels is None:
                    readout, counts = self._read(engine, batch)
                    loss = np.full(len(some), np.nan, np.float32)
                else:
                    readout, counts, loss, *_ = self._learn(engine, batch, labels[some], keep=False)
                parts.append((readout, loss, counts))
        readouts, losses, all_counts = zip(*parts, strict=True)
        counts = {
            name: np.concatenate([counts[name] for counts in all_counts]) for name in all_counts[0]
        }
        return self._result(np.concatenate(readouts), np.concatenate(losses), counts)

    def record(self, events: Events) -> Recording:
        """All spikes and output voltages of some samples."""
        with self._exclusively() as engine:
            voltages = self._voltages(len(events))
            _, counts = self._calls.forward(engine, events, voltages, keep=True)
            spikes = {
                p.name: Events.of(
                    [
                        self._calls.spikes(engine, trial, i, int(counts[p.name][trial].sum()))
                        for trial in range(len(events))
                    ]
                )
                for i, p in enumerate(self._plan.populations)
                if p.name in counts and not (p == self._plan.input and self._calls.lag_of(events))
            }
            if self._calls.lag_of(events):  # they are on the grid, and the engine has no copies
                spikes[self.network.input.name] = Events.of(
                    [
                        (np.rint(times / self.config.dt_ms) * self.config.dt_ms, channels)
                        for times, channels in map(events.sample, range(len(events)))
                    ]
                )
        return Recording(spikes, voltages)

    def parameters(self) -> Parameters:
        """A copy of all parameters."""
        with self._lock:
            values = self._store.unpadded(self._store.values)
            return {key: a.copy() for key, a in values.items()} | self._learned.parameters()

    def set_parameters(self, parameters: Mapping[str, FloatArray]) -> None:
        """Replace the weights, and those other parameters that are given.

        Raises:
            ConfigError: if they are not of this network.
        """
        self.network.check_parameters(parameters)
        with self._exclusively():
            self._store.set(parameters)
            self._learned.set(parameters)

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of the optimiser's state: ``m_KEY``, ``v_KEY`` as the parameters, and ``step``."""
        with self._lock:
            state: dict[str, NDArray[np.generic]] = {"step": np.array(self._step)}
            for prefix, arrays in (("m", self._store.m), ("v", self._store.v)):
                for name, array in self._store.unpadded(arrays).items():
                    state[f"{prefix}_{name}"] = array.copy()
            return state | self._learned.state()

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the optimiser's state; moments that are not given become 0."""
        with self._exclusively():
            self._step = int(state["step"])
            self._learned.set_state(state)
            for prefix, arrays in (("m", self._store.m), ("v", self._store.v)):
                for name, array in self._store.unpadded(arrays).items():
                    array[...] = state.get(f"{prefix}_{name}", 0)

    def kernel_times(self) -> dict[str, float]:
        """Seconds spent on each of `STAGES` since this was made, summed over threads."""
        seconds = np.zeros((self._n_threads, len(STAGES)))
        with self._exclusively() as engine:
            self._library.times(engine, seconds.ctypes.data)
        return dict(zip(STAGES, seconds.sum(axis=0).tolist(), strict=True))

    def _voltages(self, n_samples: int) -> FloatArray:
        """Room for the output voltages of a forward pass."""
        return np.zeros((n_samples, self.config.n_steps, self.network.output.size), np.float32)

    def _learn(
        self,
        engine: int,
        events: Events,
        labels: NDArray[np.integer],
        *,
        keep: bool,
        masks: Masks | None = None,
        update: int = 0,
    ) -> tuple[FloatArray, dict[str, NDArray[np.int32]], FloatArray, FloatArray, Parameters]:
        """Forward pass; readout, spike counts, loss, drive, and the readout's own gradient."""
        voltages = self._voltages(len(events)) if needs_voltages(self.network.readout) else None
        readout, counts = self._calls.forward(
            engine, events, voltages, keep=keep, learn=keep, masks=masks, update=update
        )
        of_readout = {}
        if self._learned:
            assert voltages is not None
            read, loss, drive, by_readout = self._learned.loss_and_drive(
                self.config, voltages, labels
            )
            readout = read.astype(np.float32)
            of_readout = self._learned.gradient(by_readout, voltages) if keep else {}
        else:
            loss, drive = loss_and_drive(self.network, self.config, readout, labels, voltages)
        gradient = {key: g.astype(np.float32) for key, g in of_readout.items()}
        return readout, counts, loss.astype(np.float32), drive.astype(np.float32), gradient

    def _read(self, engine: int, events: Events) -> tuple[FloatArray, dict[str, NDArray[np.int32]]]:
        """Forward pass without labels; readout and spike counts."""
        voltages = self._voltages(len(events)) if self._learned else None
        readout, counts = self._calls.forward(engine, events, voltages, keep=False)
        if voltages is not None:
            readout = self._learned.read(voltages).astype(np.float32)
        return readout, counts

    def _backward(
        self,
        engine: int,
        events: Events,
        labels: NDArray[np.integer],
        masks: Masks | None = None,
        update: int = 0,
    ) -> tuple[BatchResult, Parameters]:
        """Forward and backward pass; the result, and the readout's own gradient."""
        require_samples(labels)
        readout, counts, loss, drive, of_readout = self._learn(
            engine, events, labels, keep=True, masks=masks, update=update
        )
        network = self.network
        jumps: dict[str, FloatArray] = {
            p.name: self._jump(p, counts[p.name]) for p in network.hidden
        }
        if network.output in network.spiking:  # its spikes are not regularised
            jumps[network.output.name] = np.zeros(network.output.size, np.float32)
        drive = np.ascontiguousarray(drive / np.float32(len(labels)))
        near = self._calls.backward(engine, drive, jumps, self._feedback_weights())
        return replace(self._result(readout, loss, counts), near_steps=near), of_readout

    def _jump(self, population: Population, counts: NDArray[np.int32]) -> FloatArray:
        """What the regulariser does at each spike of a population, (neurons,)."""
        return regulariser_jump(counts, self.config.objective.regulariser).astype(np.float32)

    def _drive_weights(self) -> NDArray[np.floating]:
        """What the output is driven with in each step, per unit of -∂L/∂readout, (n_steps,)."""
        return self.network.drive_weights(self.config.n_steps, self.config.dt_ms)

    def _surrogate(self) -> tuple[float, float]:
        """Slope and scale of the surrogate derivative; EventProp has none."""
        return 1.0, 1.0

    def _feedback_weights(self) -> Mapping[str, FloatArray]:
        """Hidden population → (neurons, classes, padded), of errors that use no output weights."""
        return {}

    def _result(
        self, readout: FloatArray, loss: FloatArray, counts: dict[str, NDArray[np.int32]]
    ) -> BatchResult:
        hidden = {p.name: counts[p.name] for p in self.network.hidden}
        return BatchResult(readout, loss, hidden, counts[self.network.input.name])
