"""A layer whose neurons compete, trained by STDP: what backends share. They simulate its trials.

In each step at most one hidden neuron spikes, that with the highest voltage above its threshold.
Symbols as in docs/methods.md; θ is what adaptation has added to the threshold, w a conductance
between 0 and 1. The input of a neuron is scaled so that its weights always have the same sum, that
of the network's initial weights: Diehl & Cook's (2015) normalisation, without a change of devices.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from shd_genn.backends.reference.neurons import constants_of
from shd_genn.backends.reference.trial import steps_of_input
from shd_genn.learning.methods import Method
from shd_genn.learning.methods.plasticity import window_tables
from shd_genn.learning.methods.stdp import STDP, RewardSTDP
from shd_genn.learning.objective import cross_entropy
from shd_genn.learning.optimisers import LearningRate, rate_of
from shd_genn.learning.reader import Reader
from shd_genn.network import Network
from shd_genn.spikes.events import Events
from shd_genn.support.errors import refuse_unless

Array = NDArray[np.float64]
FITTED_EVERY = 32
"""Updates after which the reader that answers to training samples is fitted anew; at the start
sooner, after 1, 2, 4, 8 and 16. What is evaluated or saved is always fitted to all samples."""


@dataclass(frozen=True)
class Layer:
    """Constants of the layer; all are those of float64.

    Attributes:
        n_steps: Steps of a trial.
        alpha: exp(-dt/τ_mem).
        beta: exp(-dt/τ_syn).
        drive: (1-α) S: what the synaptic current adds to V in a step.
        v_thresh: Threshold without adaptation.
        total: Sum of the weights of a neuron after scaling.
        inhibited_v: Where a spike sets the voltages of all others.
        refractory_steps: Steps after a spike in which V stays 0.
        theta_kept: Part of θ that a trial leaves.
        rise: What a pair of spikes does, by its distance; see `plasticity.window_tables`.
        fall: Likewise, of a post spike before a channel's spike.
        remembered: (n_steps,): part of a change in each step that remains at the trial's end.
        spread: (inputs, neurons): factor of all changes of a device; None: 1.
    """

    n_steps: int
    alpha: float
    beta: float
    drive: float
    v_thresh: float
    total: float
    inhibited_v: float
    refractory_steps: int
    theta_kept: float
    rise: Array
    fall: Array
    remembered: Array
    spread: Array | None

    @staticmethod
    def of(network: Network, method: STDP, config: CompileConfig) -> Layer:
        """Work them out for a network."""
        (hidden,) = network.hidden
        k = constants_of(network, hidden, {}, config.dt_ms)
        connection = method.input_of(network)
        initial = network.initial_parameters(config.seed)[connection.name].astype(np.float64)
        total = float(initial.sum(axis=0).mean())
        refuse_unless(
            total > 0,
            f"{method.kind} needs excitatory input, but the initial weights of {connection.name} "
            f"add up to {total:.3g} for each neuron",
            "raise the mean of the initial input weights (w_in_mean)",
        )
        alpha, n_steps = float(k.alpha[0]), config.n_steps
        rise, fall = window_tables(method, n_steps, config.dt_ms)
        tau = method.eligibility_tau_ms if isinstance(method, RewardSTDP) else math.inf
        rng = np.random.default_rng([config.seed, *b"devices"])
        spread = np.maximum(1 + method.device_spread * rng.standard_normal(connection.shape), 0)
        return Layer(
            n_steps=n_steps,
            alpha=alpha,
            beta=float(k.beta[0]),
            drive=(1 - alpha) * float(k.scale[0]),
            v_thresh=float(k.v_thresh[0]),
            total=total,
            inhibited_v=-method.inhibition * float(k.v_thresh[0]),
            refractory_steps=round(method.refractory_ms / config.dt_ms),
            theta_kept=math.exp(-config.trial_ms / method.theta_tau_ms),
            rise=rise,
            fall=fall,
            remembered=np.exp(-np.arange(n_steps)[::-1] * config.dt_ms / tau),
            spread=spread if method.device_spread else None,
        )


@dataclass
class State:
    """What a layer learns.

    Attributes:
        w: float64, (inputs, neurons): conductances, 0 to 1.
        theta: float64, (neurons,): what adaptation has added to thresholds.
        trials: Trials that have been learned from; numbers the random changes of devices.
    """

    w: Array
    theta: Array
    trials: int = 0


@dataclass(frozen=True)
class Trials:
    """What came out of some trials.

    Attributes:
        winners: int32, (n_samples, n_steps): the neuron that spikes in each step, -1 for none.
        input_spikes: int32, (n_samples,).
        features: int32, (n_samples, windows · neurons): what the reader gets.
    """

    winners: NDArray[np.int32]
    input_spikes: NDArray[np.int32]
    features: NDArray[np.int32]


class WinnerTakeAll(ABC):
    """A `Learner` of a layer whose neurons compete; see `shd_genn.backends.Learner`.

    Args:
        network: The network.
        config: Steps, seed.
        method: STDP, with or without reward.
    """

    def __init__(self, network: Network, config: CompileConfig, method: Method) -> None:
        assert isinstance(method, STDP)
        smoothing = config.objective.label_smoothing
        refuse_unless(
            smoothing == 0,
            f"{method.kind} fits its reader to whole labels, but label_smoothing is {smoothing}",
            "leave label_smoothing out",
        )
        self.network, self.config, self.method = network, config, method
        self.layer = Layer.of(network, method, config)
        (hidden,) = network.hidden
        rng = np.random.default_rng([config.seed, *b"conductances"])
        w = rng.random((network.input.size, hidden.size))
        if method.device_levels:
            w = np.round(w * (method.device_levels - 1)) / (method.device_levels - 1)
        self.state = State(_savable(w), np.zeros(hidden.size))
        n_classes = network.output.size
        self._reader = self._new_reader()
        self._training_reader = self._new_reader()
        self._words = np.arange(hidden.size) % n_classes
        self._step, self._fitted = 0, True

    def _new_reader(self) -> Reader:
        m, n_features = self.method, self.method.features(self.network)
        return Reader(m.reader, n_features, self.network.output.size, m.reader_memory, m.ridge)

    @abstractmethod
    def _simulate(
        self, events: Events, learning_rate: float | None, rewards: Array | None
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Simulate some trials, one after the other.

        Args:
            events: The input.
            learning_rate: What multiplies the window; None: weights and θ stay.
            rewards: (n_samples, neurons): what multiplies the changes of a trial at its end; None:
                changes are made at once.

        Returns:
            The neuron that spikes in each step, -1 for none, (n_samples, n_steps), and the input
            spikes of each trial, (n_samples,).
        """

    def __enter__(self) -> Self:
        """Nothing to do: it owns no device."""
        return self

    def __exit__(self, *error: object) -> None:  # noqa: B027 (nothing to override)
        """Nothing to do."""

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """Learn from each sample in turn, then add them to what the reader is fitted to.

        The answers are those of the reader before it; see `FITTED_EVERY`.

        Raises:
            ConfigError: if there are no samples.
        """
        require_samples(labels)
        rate = rate_of(learning_rate, self.method.input_of(self.network).name)
        rewards = None
        if isinstance(self.method, RewardSTDP):
            right = self._words == np.asarray(labels)[:, np.newaxis]
            rewards = np.where(right, 1.0, -self.method.punishment)
        trials = self._trials(events, rate if self.method.learns else 0.0, rewards)
        self.state.w, self.state.theta = _savable(self.state.w), _savable(self.state.theta)
        result = self._result(self._training_reader, trials, labels)
        self._reader.add(trials.features, labels)
        self._step += 1
        self._fitted = False
        if self._step % FITTED_EVERY == 0 or self._step & (self._step - 1) == 0:
            self._fit()
            self._training_reader.weights = self._reader.weights
            self._training_reader.bias = self._reader.bias
        return result

    def evaluate(self, events: Events, labels: NDArray[np.integer] | None = None) -> BatchResult:
        """Forward pass only; the parameters stay."""
        self._fit()
        return self._result(self._reader, self._trials(events, None, None), labels)

    def record(self, events: Events) -> Recording:
        """All spikes of some samples; a voltage is the reader's answer to the spikes so far."""
        self._fit()
        winners = self._trials(events, None, None).winners
        emitted = [steps_of_input(*events.sample(i), self.config) for i in range(len(events))]
        times = np.arange(self.config.n_steps) * self.config.dt_ms
        hidden = [(times[fired >= 0], fired[fired >= 0]) for fired in winners]
        inputs = [
            (np.repeat(times, [len(s) for s in steps]), np.concatenate(steps)) for steps in emitted
        ]
        spikes = {
            self.network.input.name: Events.of(inputs),
            self.network.hidden[0].name: Events.of(hidden),
        }
        voltages = [self._answers(*trial) for trial in zip(winners, emitted, strict=True)]
        shape = (len(events), self.config.n_steps, self.network.output.size)
        return Recording(spikes, np.array(voltages, np.float32).reshape(shape))

    def _answers(
        self, winners: NDArray[np.int32], emitted: list[NDArray[np.intp]]
    ) -> NDArray[np.float32]:
        """The reader's answer to the spikes up to each step, (n_steps, n_classes)."""
        answers = np.tile(self._reader.bias, (self.config.n_steps, 1))
        size = len(self._reader.weights) // self.method.windows
        for step, (winner, channels) in enumerate(zip(winners, emitted, strict=True)):
            spikes = channels if self.method.control == "counts" else winner[winner >= 0]
            first = self._window(step) * size
            answers[step] += self._reader.weights[first + np.atleast_1d(spikes)].sum(axis=0)
        return np.cumsum(answers - self._reader.bias, axis=0) + self._reader.bias

    def parameters(self) -> Parameters:
        """A copy of all parameters.

        ``POPULATION.theta`` is the adaptation of the hidden neurons; the output's weights are those
        of the reader, (windows · neurons, classes), and ``OUTPUT.bias`` its bias.
        """
        self._fit()
        return {
            **{key: a.astype(np.float32) for key, a in self._learned().items()},
            self._read_by: self._reader.weights.copy(),
            f"{self.network.output.name}.bias": self._reader.bias.copy(),
        }

    def set_parameters(self, parameters: Mapping[str, NDArray[np.float32]]) -> None:
        """Replace all parameters.

        Raises:
            ConfigError: if they do not fit this network.
        """
        own = {key: array.shape for key, array in self.parameters().items()}
        given = {key: array.shape for key, array in parameters.items()}
        refuse_unless(
            own == given and all(np.isfinite(a).all() for a in parameters.values()),
            f"{self.method.kind} has finite parameters of shapes {own}, but got {given}",
            "load parameters of a network of the same sizes, trained by the same method",
        )
        w, theta = self._learned()
        self.state.w = np.clip(_savable(parameters[w]), 0, 1)
        self.state.theta = _savable(parameters[theta])
        self._reader.weights = np.array(parameters[self._read_by], np.float32)
        self._reader.bias = np.array(parameters[f"{self.network.output.name}.bias"], np.float32)
        self._fitted = True

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of ``step``, of the trials that were learned from, and of what is fitted to."""
        return {
            "step": np.array(self._step),
            "trials": np.array(self.state.trials),
            **self._reader.state(),
            "training_reader": self._training_reader.weights.copy(),
            "training_bias": self._training_reader.bias.copy(),
        }

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace what `optimiser_state` gives."""
        self._step, self.state.trials = int(state["step"]), int(state["trials"])
        self._reader.set_state(state)
        self._training_reader.weights = np.array(state["training_reader"], np.float32)
        self._training_reader.bias = np.array(state["training_bias"], np.float32)

    def kernel_times(self) -> dict[str, float]:
        """Nothing is measured."""
        return {}

    def _learned(self) -> dict[str, Array]:
        """Weights and θ by their keys."""
        key = self.method.input_of(self.network).name
        return {key: self.state.w, f"{self.network.hidden[0].name}.theta": self.state.theta}

    @property
    def _read_by(self) -> str:
        """The key of the reader's weights."""
        return self.network.inputs_of(self.network.output)[0].name

    def _fit(self) -> None:
        """Fit the reader to all samples so far, unless it is."""
        if not self._fitted:
            self._reader.fit()
            self._fitted = True

    def _trials(self, events: Events, learning_rate: float | None, rewards: Array | None) -> Trials:
        """Simulate some trials, or count their input's spikes only; arguments as of `_simulate`."""
        require_channels(events, self.network)
        if self.method.control != "counts":
            winners, input_spikes = self._simulate(events, learning_rate, rewards)
            fired = [np.flatnonzero(trial >= 0) for trial in winners]
            pairs = [(steps, trial[steps]) for steps, trial in zip(fired, winners, strict=True)]
            return Trials(winners, input_spikes, self._features(pairs))
        winners = np.full((len(events), self.config.n_steps), -1, np.int32)
        emitted = [steps_of_input(*events.sample(i), self.config) for i in range(len(events))]
        steps = np.arange(self.config.n_steps)
        pairs = [
            (np.repeat(steps, [len(s) for s in trial]), np.concatenate(trial)) for trial in emitted
        ]
        input_spikes = np.array([len(neurons) for _, neurons in pairs], np.int32)
        return Trials(winners, input_spikes, self._features(pairs))

    def _window(self, step: int | NDArray[np.intp]) -> NDArray[np.intp]:
        """Which part of the trial a step belongs to."""
        part: NDArray[np.intp] = np.asarray(step) * self.method.windows // self.config.n_steps
        return part

    def _features(
        self, spikes: Sequence[tuple[NDArray[np.intp], NDArray[np.integer]]]
    ) -> NDArray[np.int32]:
        """Spike counts of each part of trials, given each trial's spikes: steps and neurons."""
        n_features = self.method.features(self.network)
        size = n_features // self.method.windows
        counts = [
            np.bincount(self._window(steps) * size + neurons, minlength=n_features)
            for steps, neurons in spikes
        ]
        return np.array(counts, np.int32).reshape(-1, n_features)

    def _result(
        self,
        reader: Reader,
        trials: Trials,
        labels: NDArray[np.integer] | None,
    ) -> BatchResult:
        (hidden,) = self.network.hidden
        readout = reader(trials.features)
        loss = np.full(len(readout), np.nan, np.float32)
        if labels is not None:
            temperature = self.config.objective.temperature
            loss = cross_entropy(readout, labels, temperature)[0].astype(np.float32)
        counts = [np.bincount(fired[fired >= 0], minlength=hidden.size) for fired in trials.winners]
        by_neuron = np.array(counts, np.int32).reshape(-1, hidden.size)
        return BatchResult(readout, loss, {hidden.name: by_neuron}, trials.input_spikes)


def _savable(array: NDArray[np.floating]) -> Array:
    """An array as float32 holds it, so that a resumed run goes on with the very same numbers."""
    return array.astype(np.float32).astype(np.float64)
