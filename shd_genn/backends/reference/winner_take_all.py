"""Trials of a layer whose neurons compete, with STDP: the specification of winner_take_all.cpp."""

from __future__ import annotations

import numpy as np
import scipy  # loads its parts when they are first used
from numpy.typing import NDArray

from shd_genn.backends.reference.trial import steps_of_input
from shd_genn.backends.winner_take_all import Layer, State, WinnerTakeAll
from shd_genn.learning.methods.plasticity import mix, normal, uniform
from shd_genn.learning.methods.stdp import STDP
from shd_genn.spikes.events import Events

Array = NDArray[np.float64]
AT_ONCE = 16
"""Trials that are evaluated side by side."""


class Competition:
    """Hidden neurons of some trials side by side, a step forward.

    Args:
        layer: Constants.
        theta: (neurons,): adaptation; the caller may change it between steps.
        n_trials: Trials.
    """

    def __init__(self, layer: Layer, theta: Array, n_trials: int) -> None:
        self._layer, self._theta = layer, theta
        self._v, self._x = (np.zeros((n_trials, len(theta))) for _ in range(2))
        self._free_from = np.zeros((n_trials, len(theta)), np.int64)

    def step(self, step: int, arriving: Array) -> NDArray[np.int32]:
        """The neuron that spikes in each trial, -1 for none, (n_trials,).

        Args:
            step: The step.
            arriving: (n_trials, neurons): what arrives, scaled.
        """
        k, v, x = self._layer, self._v, self._x
        x[:] = k.beta * x + arriving
        v[:] = k.alpha * v + k.drive * x
        v[step < self._free_from] = 0
        excess = v - (k.v_thresh + self._theta)
        best = excess.argmax(axis=1)
        fired = np.flatnonzero(excess[np.arange(len(v)), best] >= 0)
        winners = np.full(len(v), -1, np.int32)
        winners[fired] = best[fired]
        v[fired] = k.inhibited_v
        v[fired, best[fired]] = 0
        self._free_from[fired, best[fired]] = step + 1 + k.refractory_steps
        return winners


class Devices:
    """Changes of conductances during a trial.

    Args:
        layer: Constants.
        state: Its ``w`` is changed.
        method: Window and devices.
        seed: The run's seed.
        rate: What multiplies the window.
        rewarded: Whether changes wait for the trial's end.
    """

    def __init__(
        self, layer: Layer, state: State, method: STDP, seed: int, rate: float, rewarded: bool
    ) -> None:
        n_inputs, n_neurons = state.w.shape
        self._layer, self._w, self._method, self._rate = layer, state.w, method, rate
        self._pending = np.zeros_like(state.w) if rewarded else None
        self._arrived = np.full(n_inputs, -1)
        self._spiked = np.full(n_neurons, -1)
        self._number = mix(mix(_bits(seed)) ^ _bits(state.trials))

    def arrive(self, step: int, channels: NDArray[np.intp]) -> None:
        """Spikes of channels arrive: pairs with post spikes before them."""
        self._arrived[channels] = step
        (neurons,) = np.nonzero(self._spiked >= 0)
        fall = self._layer.fall[step - self._spiked[neurons]]
        neurons, fall = neurons[fall != 0], fall[fall != 0]
        if len(neurons) and len(channels) and self._rate:
            here = np.ix_(channels, neurons)
            self._change(step, here, self._rate * fall * self._w[here], 1)

    def spike(self, step: int, neuron: int) -> None:
        """A neuron spikes: pairs with the last spike of each channel."""
        self._spiked[neuron] = step
        if not self._rate:
            return
        w, m = self._w[:, neuron], self._method
        lag = np.where(self._arrived >= 0, step - self._arrived, 0)
        rise = np.where(self._arrived >= 0, self._layer.rise[lag], 0.0)
        if m.window == "trace":
            change = (rise - m.trace_target) * (1 - w) ** m.trace_exponent
        else:
            change = rise * w
        here = np.ix_(np.arange(len(w)), np.array([neuron]))
        self._change(step, here, (self._rate * change)[:, np.newaxis], 0)

    def reward(self, rewards: Array) -> None:
        """The trial ends: make the changes that waited, multiplied by (neurons,) rewards."""
        if self._pending is not None and self._rate:
            everywhere = np.ix_(*(np.arange(n) for n in self._w.shape))
            self._make(self._layer.n_steps, everywhere, rewards * self._pending, 0)

    def _change(
        self, step: int, here: tuple[NDArray[np.intp], ...], change: Array, kind: int
    ) -> None:
        if self._layer.spread is not None:
            change = self._layer.spread[here] * change
        if self._pending is None:
            self._make(step, here, change, kind)
        else:
            self._pending[here] += self._layer.remembered[step] * change

    def _make(
        self, step: int, here: tuple[NDArray[np.intp], ...], change: Array, kind: int
    ) -> None:
        m, n_neurons = self._method, self._w.shape[1]
        changed = change != 0
        bits = np.zeros(change.shape, np.uint64)
        if m.device_noise or m.device_levels:
            synapse = (2 * (here[0] * n_neurons + here[1]) + kind).astype(np.uint64)
            bits = mix(mix(self._number ^ _bits(step)) ^ synapse)
        if m.device_noise:
            change = change * (1 + m.device_noise * normal(bits))
        w = np.clip(self._w[here] + change, 0, 1)
        if m.device_levels:
            levels = w * (m.device_levels - 1)
            below = np.floor(levels)
            up = uniform(mix(bits ^ np.uint64(3))) < levels - below
            w = (below + up) / (m.device_levels - 1)
        self._w[here] = np.where(changed, w, self._w[here])


class WinnerTakeAllReference(WinnerTakeAll):
    """The layer in NumPy; see `WinnerTakeAll`."""

    def _simulate(
        self, events: Events, learning_rate: float | None, rewards: Array | None
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        emitted = [steps_of_input(*events.sample(i), self.config) for i in range(len(events))]
        spikes = np.array([sum(map(len, steps)) for steps in emitted], np.int32)
        winners = np.zeros((len(events), self.config.n_steps), np.int32)
        if learning_rate is None:
            for first in range(0, len(events), AT_ONCE):
                part = slice(first, first + AT_ONCE)
                winners[part] = self._side_by_side(emitted[part])
            return winners, spikes
        for i, steps in enumerate(emitted):
            winners[i] = self._learn(steps, learning_rate, None if rewards is None else rewards[i])
        return winners, spikes

    def _side_by_side(self, emitted: list[list[NDArray[np.intp]]]) -> NDArray[np.int32]:
        n_steps, state = self.config.n_steps, self.state
        w, gain = state.w, _gain(self.layer, state.w)
        currents = np.zeros((n_steps, len(emitted), w.shape[1]))
        for i, steps in enumerate(emitted):
            ends = np.cumsum([0, *(len(s) for s in steps)])
            channels = np.concatenate(steps)
            spikes = scipy.sparse.csr_array(
                (np.ones(len(channels)), channels, ends), shape=(n_steps, len(w))
            )
            currents[1:, i] = (spikes @ w)[:-1] * gain
        competition = Competition(self.layer, state.theta, len(emitted))
        winners = [competition.step(n, currents[n]) for n in range(n_steps)]
        return np.array(winners, np.int32).T

    def _learn(
        self, emitted: list[NDArray[np.intp]], rate: float, rewards: Array | None
    ) -> NDArray[np.int32]:
        """One trial; weights, θ and the number of trials change."""
        state, n_steps = self.state, self.config.n_steps
        gain = _gain(self.layer, state.w)
        devices = Devices(
            self.layer, state, self.method, self.config.seed, rate, rewards is not None
        )
        competition = Competition(self.layer, state.theta, 1)
        winners = np.full(n_steps, -1, np.int32)
        nothing = np.zeros(0, np.intp)
        for step in range(n_steps):
            channels = emitted[step - 1] if step else nothing
            arriving = state.w[channels].sum(axis=0) * gain
            devices.arrive(step, channels)
            winner = int(competition.step(step, arriving[np.newaxis])[0])
            winners[step] = winner
            if winner >= 0:
                state.theta[winner] += self.method.theta_jump
                devices.spike(step, winner)
        if rewards is not None:
            devices.reward(rewards)
        state.theta *= self.layer.theta_kept
        state.trials += 1
        return winners


def _gain(layer: Layer, w: Array) -> Array:
    """What scales the input of each neuron so that its weights add up to the same, (neurons,)."""
    gain: Array = layer.total / np.maximum(w.sum(axis=0), 1e-9)
    return gain


def _bits(number: int) -> NDArray[np.uint64]:
    return np.array(number, np.uint64)
