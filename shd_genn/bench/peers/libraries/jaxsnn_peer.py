"""jaxsnn: event-based simulation and EventProp, one event after the other.

This peer follows the library's example `yinyang_recurrent_event_prop.py`: a `Topology` computes
gradients by ``eventprop`` with the analytical solver; the loss is the squared error of the outputs'
first spikes; one `jax.jit` compiles the whole update; Adam uses gradients that are divided by
tau_syn and clipped. Two things differ from the other peers, because the solver and the loss need
them: tau_mem is twice tau_syn, and outputs spike. The number of events must be fixed beforehand. A
batch has one sample.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

# it would change the root logger, and warn that there is no neuromorphic chip
logging.getLogger("jaxsnn").addHandler(logging.NullHandler())
logging.getLogger("jaxsnn").setLevel(logging.ERROR)
from jaxsnn.event.loss import mse_loss  # noqa: E402
from jaxsnn.event.modules import LIF, Linear, Source  # noqa: E402
from jaxsnn.event.modules.lif.parameters import LIFParameters  # noqa: E402
from jaxsnn.event.topology import Topology  # noqa: E402
from jaxsnn.event.types import Spike  # noqa: E402
from jaxsnn.examples.event.utils import loss_wrapper  # noqa: E402

from shd_genn.bench.peers.case import Batch, Setting, Weights  # noqa: E402
from shd_genn.datasets.noise import N_CHANNELS, N_CLASSES, N_SPIKES, TRIAL_MS  # noqa: E402

HEADROOM, OUTPUT_SPIKES = 1.2, 1000
"""Room for hidden spikes as a multiple of the target; room for the spikes of all outputs."""
OUTPUT_WEIGHT = 15.0
"""Sum of the weights of an output, with which it spikes about 40 times."""
RIGHT_S, WRONG_S, LOSS_TAU_S = 0.2, 0.6, 0.5
"""Target times of first spikes of the right and the wrong outputs, and the loss's scale, in s."""
NAMES = {"input_hidden0": "in", "hidden0_hidden0": "rec", "hidden0_output": "out"}


class Peer:
    """See `shd_genn.bench.peers.libraries.Peer`."""

    batch_size = 1

    @staticmethod
    def place(setting: Setting, batch: Batch) -> tuple[Any, jax.Array]:
        """Spikes sorted by time in s, and the target times of the outputs' first spikes."""
        times_ms, channels = batch.events.sample(0)
        shape = (1, len(times_ms))
        spikes = Spike(
            time=jnp.asarray(times_ms / 1000)[None],
            idx=jnp.asarray(channels.astype(np.int32))[None],
            current=jnp.zeros(shape),
            layer_idx=jnp.zeros(shape, int),
            internal=jnp.ones(shape, bool),
        )
        targets = np.full((1, N_CLASSES), WRONG_S, np.float32)
        targets[0, batch.labels[0]] = RIGHT_S
        return spikes, jnp.asarray(targets)

    def __init__(self, setting: Setting, placed: tuple[Any, jax.Array]) -> None:
        self._placed, model = placed, setting.model
        tau_mem_s = model.tau_mem_ms / 1000
        params = LIFParameters(
            v_reset=0.0, v_th=model.v_thresh, tau_syn=tau_mem_s / 2, tau_mem=tau_mem_s
        )
        hidden_spikes = round(HEADROOM * setting.spikes_per_neuron * setting.hidden)
        connections = [("inp", "in"), ("in", "hidden"), ("hidden", "out"), ("out", "output")]
        synapses = {"in": Linear(), "out": Linear()}
        if setting.topology == "recurrent":
            connections += [("hidden", "rec"), ("rec", "hidden")]
            synapses["rec"] = Linear()
        topology = Topology(t_max=TRIAL_MS / 1000, backprop_method="eventprop")
        topology.add(
            {
                "inp": Source(N_CHANNELS),
                "hidden": LIF(setting.hidden, N_SPIKES + hidden_spikes, params),
                "output": LIF(N_CLASSES, hidden_spikes + OUTPUT_SPIKES, params),
                **synapses,
            }
        )
        topology.connect(connections)
        init, apply = topology.done()
        self._parameters = init(jax.random.PRNGKey(0))
        self._adam = optax.chain(
            optax.scale(2 / tau_mem_s), optax.clip(0.01), optax.adam(setting.learning_rate)
        )
        loss, adam = (
            partial(loss_wrapper, apply, mse_loss, LOSS_TAU_S, "output", N_CLASSES),
            self._adam,
        )

        def update(parameters: Any, state: Any, *batch: Any) -> Any:
            (value, _), gradient = jax.value_and_grad(loss, has_aux=True)(parameters, batch)
            updates, state = adam.update(gradient, state)
            return optax.apply_updates(parameters, updates), state, value

        def count(parameters: Any, spikes: Any) -> jax.Array:
            fired = apply({"inp": spikes}, parameters)["hidden"]
            return jnp.zeros(setting.hidden).at[fired.idx].add(fired.internal & (fired.idx >= 0))

        self._update, self._count = jax.jit(update), jax.jit(count)

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights, and reset Adam."""
        placed = {NAMES[name]: jnp.asarray(array) for name, array in weights.items()}
        to_output = jnp.abs(placed["out"])
        placed["out"] = OUTPUT_WEIGHT * to_output / to_output.sum(axis=0)
        self._parameters = {**self._parameters, **placed}
        self._state = self._adam.init(self._parameters)

    def spike_counts(self) -> NDArray[np.float64]:
        """Spikes of each hidden neuron."""
        return np.asarray(self._count(self._parameters, self._placed[0]), np.float64)

    def train_batch(self) -> float:
        """Train on the batch; returns the loss before the update."""
        spikes, targets = self._placed
        updated = self._update(self._parameters, self._state, {"inp": spikes}, targets)
        self._parameters, self._state, loss = jax.block_until_ready(updated)
        return float(loss)

    def close(self) -> None:
        """Nothing to do."""
