"""Input spikes → the steps that mlGeNN's `SpikeInput` emits them in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig, require_channels
from shd_genn.network import Network
from shd_genn.spikes.events import Events


def emitted(
    events: Events, network: Network, config: CompileConfig
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The step and the neuron of every input spike, sample by sample, ordered by neuron and step.

    A spike appears in the first step n with float32(n dt) ≥ its time. A neuron emits at most one
    spike a step; the others follow in the steps after. What comes after the last step is left out.

    Raises:
        ConfigError: if a spike is of a neuron that the network does not have.
    """
    require_channels(events, network)
    grid = _step_times(config)
    samples = []
    for index in range(len(events)):
        times, channels = events.sample(index)
        order = np.argsort(channels, kind="stable")
        neurons = channels[order].astype(np.intp)
        # step - k of a neuron's k-th spike never falls, if each spike waits for the one before;
        # neurons are kept apart by a distance that is larger than any step
        position = np.arange(len(neurons))
        apart = neurons * (2 * len(neurons) + config.n_steps + 1) - position
        steps = np.maximum.accumulate(_first_steps(times[order], grid, config) + apart) - apart
        seen = steps < config.n_steps
        samples.append((steps[seen], neurons[seen]))
    return samples


def _step_times(config: CompileConfig) -> NDArray[np.float32]:
    """Times of all steps in ms, between minus and plus infinity: that of step n has index n + 1."""
    times = (np.arange(config.n_steps) * np.float32(config.dt_ms)).astype(np.float32)
    return np.concatenate([[-np.inf], times, [np.inf]]).astype(np.float32)


def _first_steps(
    times: NDArray[np.floating], step_times: NDArray[np.float32], config: CompileConfig
) -> NDArray[np.intp]:
    """For each time the first step that is not before it; ``n_steps`` if there is none.

    A division comes within a step of it and takes a tenth of a binary search's time.
    """
    steps: NDArray[np.intp]
    steps = np.clip(np.ceil(times / config.dt_ms), 0, config.n_steps).astype(np.intp)
    steps -= step_times[steps] >= times
    steps += step_times[steps + 1] < times
    return steps
