"""Random spikes with SHD's density, to measure speed; nothing can be learned from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shd_genn.spikes.events import Events

N_CHANNELS, N_CLASSES, TRIAL_MS, N_SPIKES, BATCH = 700, 20, 1000, 8000, 32


def synthetic_batch(n_samples: int, n_spikes: int = N_SPIKES) -> tuple[Events, NDArray[np.int32]]:
    """Random spikes and random labels; by default a sample has as many spikes as in SHD."""
    rng = np.random.default_rng(0)
    samples = [
        (rng.uniform(0, TRIAL_MS, n_spikes), rng.integers(0, N_CHANNELS, n_spikes))
        for _ in range(n_samples)
    ]
    return Events.of(samples), rng.integers(0, N_CLASSES, n_samples).astype(np.int32)
