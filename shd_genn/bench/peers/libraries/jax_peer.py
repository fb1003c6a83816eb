"""JAX without a library: surrogate gradients through `jax.lax.scan`.

This peer follows JAX's documentation: one `jax.jit` compiles the whole update and donates the old
parameters ("Buffer donation"); a scan replaces an unrolled loop (`jax.lax.scan`). The input current
does not depend on earlier steps. So it is computed before the scan, as one matrix product. Two
options were slower on a CPU: ``unroll=8`` (1.5 to 2.5 times) and ``_split_transpose=True`` (10 %).
`jax.checkpoint` would trade time for memory. Neurons and readout are those of the native engine, so
spike trains are the same.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from shd_genn.bench.peers.case import Setting, Weights
from shd_genn.bench.peers.libraries.jax_common import JaxPeer, Placed
from shd_genn.bench.peers.libraries.readout import spike_weights

SLOPE = 10.0
"""Slope of SuperSpike's fast sigmoid (Zenke & Ganguli 2018)."""


@jax.custom_jvp
def spike(v: jax.Array) -> jax.Array:
    """1 where a voltage minus the threshold is not negative: a spike; else 0."""
    return (v >= 0).astype(v.dtype)


@spike.defjvp
def _surrogate(primals: Any, tangents: Any) -> Any:
    (v,), (dv,) = primals, tangents
    return spike(v), dv / (SLOPE * jnp.abs(v) + 1) ** 2


class Peer(JaxPeer):
    """See `JaxPeer`."""

    def __init__(self, setting: Setting, placed: Placed) -> None:
        self._placed = placed
        self._adam = optax.adam(setting.learning_rate)
        loss, adam = _loss(setting), self._adam

        def update(weights: Any, state: Any, x: jax.Array, labels: jax.Array) -> Any:
            (value, _), gradient = jax.value_and_grad(loss, has_aux=True)(weights, x, labels)
            updates, state = adam.update(gradient, state)
            return optax.apply_updates(weights, updates), state, value

        self._update = jax.jit(update, donate_argnums=(0, 1))
        self._forward = jax.jit(lambda weights, x, labels: loss(weights, x, labels)[1])

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights, and reset Adam."""
        self._weights = {name: jnp.array(array) for name, array in weights.items()}
        self._state = self._adam.init(self._weights)

    def spike_counts(self) -> NDArray[np.float64]:
        """Spikes of each hidden neuron, mean over samples."""
        return np.asarray(self._forward(self._weights, *self._placed), np.float64)

    def train_batch(self) -> float:
        """Train on the batch; returns the loss before the update."""
        self._weights, self._state, loss = self._update(self._weights, self._state, *self._placed)
        jax.block_until_ready(self._weights)
        return float(loss)


def _loss(setting: Setting) -> Any:
    a, b, gain = setting.decay_mem, setting.decay_syn, setting.gain
    v_thresh, of_spikes = setting.model.v_thresh, jnp.asarray(spike_weights(setting))

    def loss(weights: Any, x: jax.Array, labels: jax.Array) -> Any:
        recurrent = weights.get("hidden0_hidden0")

        def step(carry: Any, arriving: jax.Array) -> Any:
            v, i, z = carry
            i = b * i + arriving
            if recurrent is not None:
                i = i + z @ recurrent
            v = a * v * (1 - z) + gain * i
            z = spike(v - v_thresh)
            return (v, i, z), z

        current = x @ weights["input_hidden0"]
        rest = jnp.zeros_like(current[0])
        _, spikes = jax.lax.scan(step, (rest, rest, rest), current)
        read = jnp.einsum("t,tbh->bh", of_spikes, spikes) @ weights["hidden0_output"]
        losses = optax.softmax_cross_entropy_with_integer_labels(read, labels)
        return losses.mean(), spikes.sum(axis=0).mean(axis=0)

    return loss
