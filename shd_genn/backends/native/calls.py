"""Calls of the generated C++: arrays become addresses and structures, and come back filled."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.native.layout import (
    ADAM_ARGUMENTS,
    BACKWARD_ARGUMENTS,
    CONNECTION,
    ENGINE_ARGUMENTS,
    FORWARD_ARGUMENTS,
    LEARNED_ARRAY,
    POPULATION,
    SPIKES_ARGUMENTS,
)
from shd_genn.backends.native.library import EngineLibrary
from shd_genn.backends.native.store import FloatArray, ParameterStore
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.random_spikes import key_of_batch
from shd_genn.learning.dropout import Masks
from shd_genn.learning.optimisers import Adam
from shd_genn.network import Network
from shd_genn.present.delay_line import DelayedEvents
from shd_genn.spikes.events import Events
from shd_genn.support.errors import require
from shd_genn.support.interface import Structure


class EngineCalls:
    """The entry points of one network's library, with arrays for arguments.

    Args:
        library: The generated library.
        network: The network.
        config: Sizes and constants of the trial.
        copies: Copies of each input channel that the library treats at once, or 0.
    """

    def __init__(
        self, library: EngineLibrary, network: Network, config: CompileConfig, copies: int
    ) -> None:
        self.library, self.config, self._copies = library, config, copies
        self._populations, self._n_inputs = network.populations, network.input.size
        self._n_classes = network.output.size
        self._is_input = [p == network.input for p in network.populations]
        self._random = any(
            not p.neuron.hand_written and p.neuron.derived.random for p in network.hidden
        )
        self._counted = [
            (p.name, i)
            for i, p in enumerate(network.populations)
            if p in (network.input, *network.spiking)
        ]

    def create(
        self,
        store: ParameterStore,
        network: Network,
        drive_weights: NDArray[np.floating],
        surrogate: tuple[float, float],
        n_threads: int,
    ) -> int:
        """A new C++ engine that works on the arrays of a store."""
        config = self.config
        read = network.read_weights(config.n_steps).astype(np.float32)
        drive = drive_weights.astype(np.float32)
        populations = _array(POPULATION, map(store.population, network.populations))
        connections = _array(CONNECTION, map(store.connection, network.connections))
        learned = _array(LEARNED_ARRAY, map(store.learned_array, store.learned))
        handle: int = self.library.create(
            ENGINE_ARGUMENTS(
                populations=ctypes.addressof(populations),
                connections=ctypes.addressof(connections),
                learned=ctypes.addressof(learned),
                read_weight=read.ctypes.data,
                drive_weight=drive.ctypes.data,
                n_steps=config.n_steps,
                dt_ms=config.dt_ms,
                n_threads=n_threads,
                surrogate_slope=surrogate[0],
                surrogate_scale=surrogate[1],
            )
        )
        return handle

    def lag_of(self, events: Events) -> int:
        """Steps between copies, if the engine takes them all at once; 0 if one by one."""
        known = isinstance(events, DelayedEvents) and events.line == self.config.delay_line
        return (self.config.lag_steps or 0) if self._copies and known else 0

    def forward(
        self,
        engine: int,
        events: Events,
        voltages: FloatArray | None = None,
        *,
        keep: bool,
        learn: bool = False,
        masks: Masks | None = None,
        update: int = 0,
    ) -> tuple[FloatArray, dict[str, NDArray[np.int32]]]:
        """Forward pass of some trials.

        Args:
            engine: The C++ engine.
            events: Their spikes.
            voltages: Receives the output voltages, (n_samples, n_steps, n_classes).
            keep: Whether trials stay in the engine.
            learn: Whether they keep what only learning needs.
            masks: The silent neurons.
            update: The number of the update that they are for, from 1; 0 for none.

        Returns:
            The readout, (n_samples, n_classes), and the spike counts of each population.
        """
        n, lag, n_inputs = len(events), self.lag_of(events), self._n_inputs
        if lag and isinstance(events, DelayedEvents):
            events, n_inputs = events.recorded, n_inputs // self._copies
        highest = int(events.channels.max(initial=0))
        require(
            highest < n_inputs,
            "channel < number of input neurons",
            f"channel {highest} of {n_inputs}",
            "build the network for as many channels as the dataset has",
        )
        readout = np.empty((n, self._n_classes), np.float32)
        counts = [
            np.empty(n if is_input else (n, p.size), np.int32)
            for p, is_input in zip(self._populations, self._is_input, strict=True)
        ]
        times_ms = np.ascontiguousarray(events.times_ms, np.float32)
        channels = np.ascontiguousarray(events.channels, np.uint16)
        offsets = np.ascontiguousarray(events.offsets, np.int64)
        assert len(times_ms) == len(channels)
        addresses = _addresses(counts)
        silent = [masks.get(p.name) for p in self._populations] if masks else None
        silent_addresses = None if silent is None else _addresses(silent)
        self.library.forward(
            engine,
            FORWARD_ARGUMENTS(
                times_ms=times_ms.ctypes.data,
                channels=channels.ctypes.data,
                offsets=offsets.ctypes.data,
                n_spikes=len(times_ms),
                n_trials=n,
                keep=keep,
                learn=learn,
                lag=lag,
                readout=readout.ctypes.data,
                counts=ctypes.addressof(addresses),
                voltages=None if voltages is None else voltages.ctypes.data,
                silent=None if silent_addresses is None else ctypes.addressof(silent_addresses),
                noise_key=key_of_batch(self.config.seed, update) if self._random else 0,
            ),
        )
        return readout, {name: counts[i] for name, i in self._counted}

    def backward(
        self,
        engine: int,
        drive: FloatArray,
        jumps: Mapping[str, FloatArray],
        feedback: Mapping[str, FloatArray],
    ) -> dict[str, NDArray[np.int64]]:
        """Backward pass of the trials that the last forward pass has kept.

        Args:
            engine: The C++ engine.
            drive: What the loss does to the output's adjoint, (n_samples, …).
            jumps: Population → what the regulariser does at each of its spikes, (neurons,).
            feedback: Population → weights for errors, in place of output weights.

        Returns:
            Population → `BatchResult.near_steps`, of those where it was counted.
        """
        regulariser = _addresses([jumps.get(p.name) for p in self._populations])
        of_feedback = None
        if feedback:
            of_feedback = _addresses([feedback.get(p.name) for p in self._populations])
        near = np.full((len(self._populations), len(drive)), -1, np.int64)
        self.library.backward(
            engine,
            BACKWARD_ARGUMENTS(
                n_trials=len(drive),
                drive=drive.ctypes.data,
                regulariser=ctypes.addressof(regulariser),
                feedback=None if of_feedback is None else ctypes.addressof(of_feedback),
                near_steps=near.ctypes.data,
            ),
        )
        found = zip(self._populations, near, strict=True)
        return {p.name: steps for p, steps in found if (steps >= 0).all() and len(steps)}

    def adam(self, engine: int, adam: Adam, step: int, rates: list[float]) -> None:
        """One update of all that is learned, with a rate for each array."""
        of_m, of_v = adam.bias_corrections(step)
        with np.errstate(over="ignore"):  # training reports parameters that are not finite
            corrected = (np.array(rates) / of_m).astype(np.float32)
        self.library.adam(
            engine,
            ADAM_ARGUMENTS(
                beta1=adam.beta1,
                beta2=adam.beta2,
                epsilon=adam.epsilon,
                correction2=1 / of_v,
                rates=corrected.ctypes.data,
            ),
        )

    def spikes(
        self, engine: int, trial: int, population: int, count: int
    ) -> tuple[NDArray[np.floating], NDArray[np.int32]]:
        """Times in ms and neurons of one population's spikes in a trial that is kept."""
        neurons = np.empty(count, np.int32)
        begin = np.empty(self.config.n_steps + 1, np.int32)
        self.library.spikes(
            engine,
            SPIKES_ARGUMENTS(
                trial=trial,
                population=population,
                n=count,
                neurons=neurons.ctypes.data,
                begin=begin.ctypes.data,
            ),
        )
        steps = np.repeat(np.arange(self.config.n_steps), np.diff(begin))
        return steps * self.config.dt_ms, neurons


def _array(structure: Structure, filled: Iterable[Any]) -> ctypes.Array[Any]:
    """An array of structures, for C++."""
    items = tuple(filled)
    array: ctypes.Array[Any] = (structure.ctype * len(items))(*items)
    return array


def _addresses(arrays: Iterable[NDArray[Any] | None]) -> ctypes.Array[ctypes.c_void_p]:
    """An array of pointers to the arrays' numbers."""
    addresses = [None if array is None else array.ctypes.data for array in arrays]
    return (ctypes.c_void_p * len(addresses))(*addresses)
