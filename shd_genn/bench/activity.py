"""What is measured: networks whose hidden neurons spike as often as trained ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from shd_genn.backends.protocols import Simulator
from shd_genn.datasets.noise import N_CHANNELS, N_CLASSES
from shd_genn.network.settings import ModelConfig
from shd_genn.spikes.events import Events

SPIKES_PER_NEURON = 9.0
Topology = Literal["recurrent", "feedforward"]


def synthetic_model(topology: str, hidden: int, settings: ModelConfig | None = None) -> ModelConfig:
    """Settings of a network with one hidden layer between SHD's channels and classes.

    Args:
        topology: Name of its model file.
        hidden: Hidden neurons.
        settings: All others; by default the project's.
    """
    return replace(
        settings or ModelConfig(),
        model=topology,
        hidden_sizes=(hidden,),
        n_inputs=N_CHANNELS,
        n_classes=N_CLASSES,
    )


def scale_to_activity(
    activity: Callable[[float], float], target: float = SPIKES_PER_NEURON
) -> float:
    """Scale input weights until hidden neurons reach a mean number of spikes.

    Args:
        activity: Spikes per hidden neuron and sample when input weights are so many times larger
            than they were.
        target: That number, reached to within a quarter of a spike by factors of 0.1 to 10.

    Returns:
        How many times larger they are in the end.
    """
    low, high = 0.1, 10.0
    for _ in range(12):
        scale = math.sqrt(low * high)
        spikes = activity(scale)
        if abs(spikes - target) < 0.25:
            break
        low, high = (scale, high) if spikes < target else (low, scale)
    return scale


def activate(compiled: Simulator, events: Events, target: float = SPIKES_PER_NEURON) -> float:
    """Scale a network's input weights until its hidden neurons reach a mean number of spikes.

    Returns:
        Spikes per hidden neuron and sample in the end.
    """
    original = compiled.parameters()

    def activity(scale: float) -> float:
        scaled = original["input_hidden0"] * np.float32(scale)
        compiled.set_parameters({**original, "input_hidden0": scaled})
        return float(compiled.evaluate(events).spike_counts["hidden0"].mean())

    return activity(scale_to_activity(activity, target))
