"""What is measured on: random spikes of SHD's density, and networks as active as trained ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends import Compiled
from shd_genn.events import Events

N_CHANNELS, N_CLASSES, TRIAL_MS, N_SPIKES, BATCH = 700, 20, 1000, 8000, 32
SPIKES_PER_NEURON = 9.0
Topology = Literal["recurrent", "feedforward"]


def synthetic_batch(n_samples: int, n_spikes: int = N_SPIKES) -> tuple[Events, NDArray[np.int32]]:
    """Random spikes, as dense as SHD's unless told otherwise, and labels."""
    rng = np.random.default_rng(0)
    samples = [
        (rng.uniform(0, TRIAL_MS, n_spikes), rng.integers(0, N_CHANNELS, n_spikes))
        for _ in range(n_samples)
    ]
    return Events.of(samples), rng.integers(0, N_CLASSES, n_samples).astype(np.int32)


def scale_to_activity(
    activity: Callable[[float], float], wanted: float = SPIKES_PER_NEURON
) -> float:
    """Scale input weights until hidden neurons spike as often as wanted.

    Args:
        activity: Spikes per hidden neuron and sample when input weights are so many times larger
            than they were.
        wanted: As many, to within a quarter of a spike, if that is between 0.1 and 10 times.

    Returns:
        How many times larger they are in the end.
    """
    low, high = 0.1, 10.0
    for _ in range(12):
        scale = math.sqrt(low * high)
        spikes = activity(scale)
        if abs(spikes - wanted) < 0.25:
            break
        low, high = (scale, high) if spikes < wanted else (low, scale)
    return scale


def activate(compiled: Compiled, events: Events, wanted: float = SPIKES_PER_NEURON) -> float:
    """Scale a network's input weights until its hidden neurons spike as often as wanted.

    Returns:
        Spikes per hidden neuron and sample in the end.
    """
    original = compiled.parameters()

    def activity(scale: float) -> float:
        scaled = original["input_hidden0"] * np.float32(scale)
        compiled.set_parameters({**original, "input_hidden0": scaled})
        return float(compiled.evaluate(events).spike_counts["hidden0"].mean())

    return activity(scale_to_activity(activity, wanted))
