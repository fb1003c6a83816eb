"""Eventax: `EvNN` integrates ordinary differential equations from event to event.

This peer follows the library's documentation and its example `regression.ipynb`:
`equinox.filter_jit` compiles the whole update; neurons are `LIF`; the solver is the default one
(Diffrax' Euler, which here takes one step from event to event); outputs have a threshold that they
never reach, and their voltage is read at several times of the trial (`state_at_t`). Time is
continuous, so there are no steps. A batch has one sample.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from eventax.evnn import EvNN
from eventax.neuron_models import LIF
from numpy.typing import NDArray

from shd_genn.bench.peers.case import Batch, Setting, Weights
from shd_genn.datasets.noise import N_CHANNELS, N_CLASSES, N_SPIKES, TRIAL_MS

READ_AT_S = np.linspace(0.1, 0.9, 9)
"""Times at which output voltages are read."""
MOST_SPIKES = 50
"""Simulation fails if a hidden neuron spikes more often than this, on average."""


class Peer:
    """See `shd_genn.bench.peers.libraries.Peer`."""

    batch_size = 1

    @staticmethod
    def place(setting: Setting, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """Spike times in s and the label.

        The shape is (channels, most spikes of a channel); missing spikes are at time inf.
        """
        times_ms, channels = batch.events.sample(0)
        most = int(np.bincount(channels, minlength=N_CHANNELS).max())
        spikes = np.full((N_CHANNELS, most), np.inf, np.float32)
        for channel in range(N_CHANNELS):
            own = times_ms[channels == channel]
            spikes[channel, : len(own)] = own / 1000
        return jnp.asarray(spikes), jnp.asarray(batch.labels[0])

    def __init__(self, setting: Setting, placed: tuple[jax.Array, jax.Array]) -> None:
        self._setting, self._placed = setting, placed
        self._adam = optax.adam(setting.learning_rate)
        read_at, adam = jnp.asarray(READ_AT_S), self._adam

        def loss(network: Any, spikes: jax.Array, label: jax.Array) -> jax.Array:
            voltages = network.state_at_t(spikes, read_at)[:, :, 0]
            return optax.softmax_cross_entropy_with_integer_labels(voltages.mean(axis=1), label)

        def update(network: Any, state: Any, spikes: jax.Array, label: jax.Array) -> Any:
            value, gradient = eqx.filter_value_and_grad(loss)(network, spikes, label)
            updates, state = adam.update(gradient, state)
            return eqx.apply_updates(network, updates), state, value

        end, most = TRIAL_MS / 1000, MOST_SPIKES * setting.hidden

        def count(network: Any, spikes: jax.Array) -> jax.Array:
            times = network.spikes_until_t(spikes, end, max_spikes=most)
            return jnp.isfinite(times).sum(axis=1)

        self._update, self._count = eqx.filter_jit(update), eqx.filter_jit(count)
        self._network, self._hidden = self._make(read=True), self._make(read=False)

    def _make(self, read: bool) -> Any:
        """Make the network; ``read`` selects the outputs, else the hidden neurons are observed."""
        setting, hidden = self._setting, self._setting.hidden
        model, n_neurons = setting.model, hidden + N_CLASSES
        is_hidden = np.arange(n_neurons) < hidden
        connected = np.zeros((n_neurons + N_CHANNELS, n_neurons))
        connected[n_neurons:, is_hidden] = 1
        connected[:hidden, ~is_hidden] = 1
        if setting.topology == "recurrent":
            connected[:hidden, is_hidden] = 1
        return EvNN(
            neuron_model=LIF,
            n_neurons=n_neurons,
            max_solver_time=TRIAL_MS / 1000,
            in_size=N_CHANNELS,
            key=jax.random.PRNGKey(0),
            wmask=jnp.asarray(connected),
            input_neurons=jnp.asarray(is_hidden),
            output_neurons=jnp.asarray(is_hidden != read),
            max_event_steps=N_SPIKES + MOST_SPIKES * hidden + len(READ_AT_S) + 1,
            thresh=jnp.asarray(np.where(is_hidden, model.v_thresh, 1e9)),
            tsyn=model.tau_syn_ms / 1000,
            tmem=model.tau_mem_ms / 1000,
            init_weights=jnp.zeros(connected.shape),
            init_bias=0.0,
        )

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights, and reset Adam."""
        hidden = self._setting.hidden
        n_neurons = hidden + N_CLASSES
        all_weights = np.zeros((n_neurons + N_CHANNELS, n_neurons), np.float32)
        all_weights[n_neurons:, :hidden] = weights["input_hidden0"]
        all_weights[:hidden, hidden:] = weights["hidden0_output"]
        if "hidden0_hidden0" in weights:
            all_weights[:hidden, :hidden] = weights["hidden0_hidden0"]
        self._network = _with(self._network, jnp.asarray(all_weights))
        self._state = self._adam.init(eqx.filter(self._network, eqx.is_inexact_array))

    def spike_counts(self) -> NDArray[np.float64]:
        """Spikes of each hidden neuron."""
        hidden = _with(self._hidden, self._network.neuron_model.weights)
        return np.asarray(self._count(hidden, self._placed[0]), np.float64)

    def train_batch(self) -> float:
        """Train on the batch; returns the loss before the update."""
        updated = self._update(self._network, self._state, *self._placed)
        self._network, self._state, loss = jax.block_until_ready(updated)
        return float(loss)

    def close(self) -> None:
        """Nothing to do."""


def _with(network: Any, weights: jax.Array) -> Any:
    return eqx.tree_at(lambda net: net.neuron_model.weights, network, weights)
