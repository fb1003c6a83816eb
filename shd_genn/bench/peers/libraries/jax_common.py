"""What peers that step through time in JAX share: the dense batch on JAX's device."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from shd_genn.bench.peers.case import Batch, Setting
from shd_genn.datasets.noise import BATCH

Placed = tuple[jax.Array, jax.Array]


class JaxPeer:
    """Base of peers in JAX; see `shd_genn.bench.peers.libraries.Peer`."""

    batch_size = BATCH

    @staticmethod
    def place(setting: Setting, batch: Batch) -> Placed:
        """Input (n_steps, n_samples, channels) and labels."""
        dense = batch.dense(setting.n_steps, setting.n_inputs)
        return jnp.asarray(dense), jnp.asarray(batch.labels)

    def close(self) -> None:
        """Nothing to do."""
