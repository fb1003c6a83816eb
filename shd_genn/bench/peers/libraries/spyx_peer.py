"""Spyx: `RCuBaLIF` neurons (`CuBaLIF` in feed-forward networks) in a `Sequential`.

This peer follows the library's README and tutorials: `spyx.nn.run` steps through time-major input;
the activation is superspike; the readout is a leaky `LI`; the loss is
`spyx.fn.integral_crossentropy`; `spyx.optimize` compiles the whole update.
`ActivityRegularization` counts spikes. The input layer processes all steps at once, outside the
scan; inside, `Sequential` would multiply step by step. The library's neurons have no gain, so the
weights are multiplied by it. Its `LI` has a single time constant.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import spyx.axn
import spyx.fn
import spyx.nn
import spyx.optimize
from flax import nnx
from numpy.typing import NDArray

from shd_genn.bench.peers.case import Setting, Weights
from shd_genn.bench.peers.libraries.jax_common import JaxPeer, Placed
from shd_genn.datasets.noise import N_CHANNELS, N_CLASSES


class Network(nnx.Module):
    """An input layer, then hidden neurons and readout, which are stepped through time."""

    def __init__(self, setting: Setting) -> None:
        rngs, hidden = nnx.Rngs(0), setting.hidden
        recurrent = setting.topology == "recurrent"
        neurons = spyx.nn.RCuBaLIF if recurrent else spyx.nn.CuBaLIF
        self.input = nnx.Linear(N_CHANNELS, hidden, use_bias=False, rngs=rngs)
        self.hidden = neurons(
            (hidden,),
            alpha=setting.decay_syn,
            beta=setting.decay_mem,
            threshold=setting.model.v_thresh,
            activation=spyx.axn.superspike(),
            rngs=rngs,
        )
        self.output = nnx.Linear(hidden, N_CLASSES, use_bias=False, rngs=rngs)
        self.steps = spyx.nn.Sequential(
            self.hidden,
            spyx.nn.ActivityRegularization((hidden,)),
            self.output,
            spyx.nn.LI((N_CLASSES,), beta=setting.decay_mem, rngs=rngs),
        )

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Output voltages (n_steps, n_samples, classes) and hidden spikes (n_samples, hidden)."""
        voltages, state = spyx.nn.run(self.steps, self.input(x))
        return voltages, state[1]


class Peer(JaxPeer):
    """See `JaxPeer`."""

    def __init__(self, setting: Setting, placed: Placed) -> None:
        self._setting, self._placed = setting, placed
        self._network = Network(setting)
        cross_entropy = spyx.fn.integral_crossentropy(smoothing=0.0, time_axis=0)

        def loss(network: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
            value: jax.Array = cross_entropy(network(x)[0], labels)
            return value

        self._step = spyx.optimize.make_train_step(loss)
        self._count = nnx.jit(lambda network, x: network(x)[1].mean(axis=0))

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights, and reset Adam."""
        gain, network = self._setting.gain, self._network
        network.input.kernel[...] = jnp.asarray(gain * weights["input_hidden0"])
        network.output.kernel[...] = jnp.asarray(gain * weights["hidden0_output"])
        if "hidden0_hidden0" in weights:
            network.hidden.recurrent_w[...] = jnp.asarray(gain * weights["hidden0_hidden0"])
        adam = optax.adam(self._setting.learning_rate)
        self._optimiser = nnx.Optimizer(network, adam, wrt=nnx.Param)

    def spike_counts(self) -> NDArray[np.float64]:
        """Spikes of each hidden neuron, mean over samples."""
        return np.asarray(self._count(self._network, self._placed[0]), np.float64)

    def train_batch(self) -> float:
        """Train on the batch; returns the loss before the update."""
        return float(
            jax.block_until_ready(self._step(self._network, self._optimiser, *self._placed))
        )
