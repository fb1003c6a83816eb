"""The equations of `eventprop` as a `Differentiable`: one trial after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import (
    BatchResult,
    CompileConfig,
    Parameters,
    Recording,
    require_channels,
    require_samples,
)
from shd_genn.backends.reference.eventprop import Array, backward, forward
from shd_genn.backends.reference.trial import Trial, steps_of_input
from shd_genn.learning.dropout import Masks
from shd_genn.learning.learned_readout import LearnedReadout
from shd_genn.learning.methods import EventProp, Method
from shd_genn.learning.methods.eventprop import gradient_scale
from shd_genn.learning.objective import loss_and_drive, regulariser_jump
from shd_genn.learning.optimisers import LearningRate, rate_of
from shd_genn.network import Network
from shd_genn.spikes.events import Events


class Reference:
    """A network in NumPy; see `shd_genn.backends.Differentiable`.

    Args:
        network: The network.
        config: Steps, optimiser, regulariser, seed.
        dtype: float64, or float32 to compare with engines that compute so.
        method: What it is trained with.
    """

    def __init__(
        self,
        network: Network,
        config: CompileConfig,
        dtype: type[np.floating] = np.float64,
        method: Method | None = None,
    ) -> None:
        self.network = network
        self.config = config
        self.method: Method = EventProp() if method is None else method
        self._dtype = np.dtype(dtype)
        self._step = 0
        self._parameters: dict[str, Array] = {}
        self._learned = LearnedReadout(network, self._dtype.type)
        self.set_parameters(network.initial_parameters(config.seed))
        trained = [p for p in network.parameters if p.trained]
        self._m: dict[str, Array] = {p.key: np.zeros(p.shape, self._dtype) for p in trained}
        self._v: dict[str, Array] = {p.key: np.zeros(p.shape, self._dtype) for p in trained}

    def __enter__(self) -> Self:
        """Nothing to do: it owns no device."""
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to do."""

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """One update of all that is learned; the result is that of the parameters before it."""
        masks = self.config.objective.dropout.masks(
            self.network, len(labels), self.config.seed, self._step
        )
        result, gradient = self._backward(events, labels, masks, self._step + 1)
        adam = self.config.adam
        clip = adam.clip(gradient, gradient_scale(self.network, self.config.n_steps))
        self._step += 1
        bounds = {p.key: (np.float32(p.low), np.float32(p.high)) for p in self.network.parameters}
        self._learn_readout(gradient, self._step, learning_rate, clip)
        for name, g in ((name, g) for name, g in gradient.items() if name in self._m):
            rate = rate_of(learning_rate, name)
            w, self._m[name], self._v[name] = adam.update(
                self._dtype.type(adam.kept(name, rate)) * self._parameters[name],
                self._dtype.type(clip) * g,
                self._m[name],
                self._v[name],
                self._step,
                rate,
            )
            # to what can be saved, so that a resumed run goes on with the very same weights
            kept = np.clip(w.astype(np.float32), *bounds[name])
            self._parameters[name] = kept.astype(self._dtype)
        return result

    def _learn_readout(
        self, gradient: Mapping[str, Array], step: int, rates: LearningRate, clip: float
    ) -> None:
        """One update of the readout's parameter, if it has one."""
        for key, g in gradient.items():
            if key == self._learned.key:
                rate = rate_of(rates, key)
                self._learned.update(self._dtype.type(clip) * g, self.config.adam, step, rate)

    def gradient(self, events: Events, labels: NDArray[np.integer]) -> Parameters:
        """dLoss/dp of the batch's mean loss, regulariser included; parameters stay."""
        _, gradient = self._backward(events, labels)
        scale = gradient_scale(self.network, self.config.n_steps)
        return {name: (scale * g).astype(np.float32) for name, g in gradient.items()}

    def evaluate(self, events: Events, labels: NDArray[np.integer] | None = None) -> BatchResult:
        """Forward pass only; the parameters stay."""
        trials = self._forward(events)
        loss: Array = np.full(len(events), np.nan)
        if labels is not None:
            loss, _ = self._loss(trials, labels)
        return self._result(trials, loss)

    def record(self, events: Events) -> Recording:
        """All spikes and output voltages of some samples."""
        trials = self._forward(events)
        times = np.arange(self.config.n_steps) * self.config.dt_ms
        spikes = {
            p.name: Events.of(
                [
                    (
                        np.repeat(times, [len(fired) for fired in trial.spikes[p.name]]),
                        np.concatenate(trial.spikes[p.name]),
                    )
                    for trial in trials
                ]
            )
            for p in (self.network.input, *self.network.spiking)
        }
        return Recording(spikes, self._voltages(trials).astype(np.float32))

    def parameters(self) -> Parameters:
        """A copy of all parameters."""
        simulated = {name: array.astype(np.float32) for name, array in self._parameters.items()}
        return simulated | self._learned.parameters()

    def set_parameters(self, parameters: Mapping[str, NDArray[np.float32]]) -> None:
        """Replace the weights, and those other parameters that are given.

        Raises:
            ConfigError: if they are not of this network.
        """
        self.network.check_parameters(parameters)
        self._learned.set(parameters)
        for key, array in parameters.items():
            if key != self._learned.key:
                self._parameters[key] = array.astype(self._dtype)

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of the optimiser's state: ``m_KEY``, ``v_KEY`` as the parameters, and ``step``."""
        state: dict[str, NDArray[np.generic]] = {"step": np.array(self._step)}
        state |= {f"m_{name}": array.copy() for name, array in self._m.items()}
        state |= {f"v_{name}": array.copy() for name, array in self._v.items()}
        return state | self._learned.state()

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the optimiser's state; moments that are not given become 0."""
        self._step = int(state["step"])
        self._learned.set_state(state)
        for name in self._m:
            for prefix, moments in (("m", self._m), ("v", self._v)):
                saved = state.get(f"{prefix}_{name}", np.zeros_like(moments[name]))
                moments[name] = np.asarray(saved, self._dtype)

    def kernel_times(self) -> dict[str, float]:
        """Nothing is measured."""
        return {}

    def _forward(self, events: Events, masks: Masks | None = None, update: int = 0) -> list[Trial]:
        require_channels(events, self.network)
        masks, parameters = masks or {}, self._scaled(masks)
        return [
            forward(
                self.network,
                self.config,
                parameters,
                steps_of_input(*events.sample(i), self.config),
                silent={name: mask[i] for name, mask in masks.items()},
                update=update,
            )
            for i in range(len(events))
        ]

    def _scaled(self, masks: Masks | None) -> dict[str, Array]:
        """The parameters that training with drop-out computes with."""
        scales = self.config.objective.dropout.scales(self.network) if masks else {}
        return self._parameters | {
            name: self._parameters[name] * self._dtype.type(scale) for name, scale in scales.items()
        }

    def _backward(
        self,
        events: Events,
        labels: NDArray[np.integer],
        masks: Masks | None = None,
        update: int = 0,
    ) -> tuple[BatchResult, dict[str, Array]]:
        require_samples(labels)
        trials, parameters = self._forward(events, masks, update), self._scaled(masks)
        loss, drive = self._loss(trials, labels)
        result = self._result(trials, loss)
        by_readout = self._drive_of_readout(trials, labels)
        jumps = {
            name: regulariser_jump(counts, self.config.objective.regulariser).astype(self._dtype)
            for name, counts in result.spike_counts.items()
        }
        total = {name: np.zeros_like(m) for name, m in self._m.items()}
        for trial, d in zip(trials, drive / len(trials), strict=True):
            for name, g in self._trial_gradient(
                parameters, trial, d.astype(self._dtype), jumps
            ).items():
                total[name] += g
        if masks:
            for name, scale in self.config.objective.dropout.scales(self.network).items():
                total[name] *= self._dtype.type(scale)
        result = replace(result, near_steps=self._near_steps(parameters, trials))
        return result, total | self._learned.gradient(by_readout, self._voltages(trials))

    def _near_steps(
        self, parameters: Mapping[str, Array], trials: list[Trial]
    ) -> dict[str, NDArray[np.int64]]:
        """`BatchResult.near_steps`, which the method may count."""
        return {}

    def _drive_of_readout(self, trials: list[Trial], labels: NDArray[np.integer]) -> Array:
        """-∂L/∂readout, (n_samples, n_classes), of a learned weight."""
        if not self._learned:
            return np.zeros((len(trials), 0), self._dtype)
        return self._learned.loss_and_drive(self.config, self._voltages(trials), labels)[3]

    def _trial_gradient(
        self,
        parameters: Mapping[str, Array],
        trial: Trial,
        drive: Array,
        jumps: Mapping[str, Array],
    ) -> dict[str, Array]:
        """The method's gradients of one trial, in mlGeNN's scale."""
        return backward(self.network, self.config, parameters, trial, drive, jumps)

    def _loss(self, trials: list[Trial], labels: NDArray[np.integer]) -> tuple[Array, Array]:
        readout, voltages = self._readout(trials), self._voltages(trials)
        if self._learned:
            return self._learned.loss_and_drive(self.config, voltages, labels)[1:3]
        return loss_and_drive(self.network, self.config, readout, labels, voltages)

    def _voltages(self, trials: list[Trial]) -> Array:
        shape = (len(trials), self.config.n_steps, self.network.output.size)
        return np.array([trial.voltages for trial in trials], self._dtype).reshape(shape)

    def _readout(self, trials: list[Trial]) -> Array:
        shape = (len(trials), self.network.output.size)
        if self._learned:
            return self._learned.read(self._voltages(trials))
        return np.array([trial.readout for trial in trials], self._dtype).reshape(shape)

    def _result(self, trials: list[Trial], loss: Array) -> BatchResult:
        counts = {
            p.name: np.array([trial.counts(p) for trial in trials], np.int32).reshape(-1, p.size)
            for p in (self.network.input, *self.network.hidden)
        }
        input_spikes = counts.pop(self.network.input.name).sum(axis=1, dtype=np.int32)
        readout = self._readout(trials).astype(np.float32)
        return BatchResult(readout, loss.astype(np.float32), counts, input_spikes)
