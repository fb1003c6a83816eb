"""Trials of a layer whose neurons compete, with STDP, in C++; see kernels/winner_take_all.cpp."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.native.names import KERNELS
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.winner_take_all import Array, WinnerTakeAll
from shd_genn.learning.methods import Method
from shd_genn.network import Network
from shd_genn.spikes.events import Events
from shd_genn.support.builder import assemble, load_library
from shd_genn.support.interface import EntryPoint, Field, Interface, Structure

LAYER_ARGUMENTS = Structure(
    "LayerArguments",
    "A layer, and trials of it; symbols as in backends/winner_take_all.py.",
    (
        Field("int32_t", "n_inputs"),
        Field("int32_t", "n_neurons"),
        Field("int32_t", "n_steps"),
        Field("float", "dt_ms"),
        Field("double*", "w", "[input][neuron]: conductances"),
        Field("double*", "theta", "[neuron]: what adaptation has added to thresholds"),
        Field("double", "alpha"),
        Field("double", "beta"),
        Field("double", "drive"),
        Field("double", "v_thresh"),
        Field("double", "total"),
        Field("double", "inhibited_v"),
        Field("int32_t", "refractory_steps"),
        Field("bool", "learn", "whether weights and theta change"),
        Field("bool", "trace", "the window: trace, or nanocomposite"),
        Field("double", "rate", "what multiplies the window"),
        Field("double", "trace_target"),
        Field("double", "trace_exponent"),
        Field("double", "theta_jump"),
        Field("double", "theta_kept"),
        Field("const double*", "rise", "[step]"),
        Field("const double*", "fall", "[step]"),
        Field("const double*", "remembered", "[step]"),
        Field("const double*", "spread", "[input][neuron], or null"),
        Field("int32_t", "device_levels"),
        Field("double", "device_noise"),
        Field("int64_t", "seed"),
        Field("int64_t", "first_trial", "trials that were learned from before"),
        Field("const double*", "rewards", "[trial][neuron], or null: changes are made at once"),
        Field("const float*", "times_ms", "of all input spikes, sorted within a trial"),
        Field("const uint16_t*", "channels", "of all input spikes"),
        Field("const int64_t*", "offsets", "[n_trials + 1]: where the spikes of a trial begin"),
        Field("int64_t", "n_spikes", "of all trials: length of times_ms and channels"),
        Field("int32_t", "n_trials"),
        Field("int32_t*", "winners", "[trial][step]: the neuron that spikes, -1 for none"),
        Field("int32_t*", "input_spikes", "[trial]"),
    ),
)


class WinnerTakeAllNative(WinnerTakeAll):
    """The layer in C++, on one core, because each trial changes the weights of the next one."""

    def __init__(self, network: Network, config: CompileConfig, method: Method) -> None:
        super().__init__(network, config, method)
        source = '#include "winner_take_all.cpp"\n'
        interface = Interface((LAYER_ARGUMENTS,))
        text = assemble(source, "winner_take_all", KERNELS, interface=interface)
        self._run = EntryPoint(
            load_library(text, "winner_take_all"), "layer_run", [ctypes.c_void_p]
        )

    def _simulate(
        self, events: Events, learning_rate: float | None, rewards: Array | None
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        k, m, state = self.layer, self.method, self.state
        winners = np.full((len(events), k.n_steps), -1, np.int32)
        input_spikes = np.zeros(len(events), np.int32)
        w, theta = np.ascontiguousarray(state.w), np.ascontiguousarray(state.theta)
        times_ms = np.ascontiguousarray(events.times_ms, np.float32)
        channels = np.ascontiguousarray(events.channels, np.uint16)
        offsets = np.ascontiguousarray(events.offsets, np.int64)
        spread = None if k.spread is None else k.spread.ctypes.data
        self._run(
            LAYER_ARGUMENTS(
                n_inputs=len(w),
                n_neurons=len(theta),
                n_steps=k.n_steps,
                dt_ms=self.config.dt_ms,
                w=w.ctypes.data,
                theta=theta.ctypes.data,
                alpha=k.alpha,
                beta=k.beta,
                drive=k.drive,
                v_thresh=k.v_thresh,
                total=k.total,
                inhibited_v=k.inhibited_v,
                refractory_steps=k.refractory_steps,
                learn=learning_rate is not None,
                trace=m.window == "trace",
                rate=learning_rate or 0.0,
                trace_target=m.trace_target,
                trace_exponent=m.trace_exponent,
                theta_jump=m.theta_jump,
                theta_kept=k.theta_kept,
                rise=k.rise.ctypes.data,
                fall=k.fall.ctypes.data,
                remembered=k.remembered.ctypes.data,
                spread=spread,
                device_levels=m.device_levels,
                device_noise=m.device_noise,
                seed=self.config.seed,
                first_trial=state.trials,
                rewards=None if rewards is None else rewards.ctypes.data,
                times_ms=times_ms.ctypes.data,
                channels=channels.ctypes.data,
                offsets=offsets.ctypes.data,
                n_spikes=len(times_ms),
                n_trials=len(events),
                winners=winners.ctypes.data,
                input_spikes=input_spikes.ctypes.data,
            )
        )
        if learning_rate is not None:
            state.w, state.theta = w, theta
            state.trials += len(events)
        return winners, input_spikes
