"""Random numbers of neurons that spike at random, the same in every backend.

They depend on the run's seed, the number of the update and the trial's input alone: not on the
trial's batch, nor on the number of threads. With `mix` scrambling 64-bit numbers,

    key    = mix(mix(mix(seed) ^ update) ^ the sum of mix(step · 2³² + neuron) over input spikes)
    bits   = mix(mix(key ^ population) ^ (step · 2³² + neuron))
    u      = (the upper 23 of the bits + 1/2) / 2²³
    number = ln(u / (1 - u))

A number of this logistic distribution is below g with the probability 1 / (1 + exp(-g)).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shd_genn.learning.methods.plasticity import mix

Array = NDArray[np.floating]
Noise = Callable[[int], Array]
"""Step → what the spike condition of each neuron must reach in it, (neurons,)."""

OF_STEP = np.uint64(32)
"""Bits that a step is shifted by, to stand above the number of a neuron."""


def key_of_batch(seed: int, update: int) -> int:
    """The part of a trial's key that all trials of a batch share.

    Args:
        seed: The run's seed.
        update: The number of the update that the batch is for, from 1; 0 for none.
    """
    return int(mix(mix(np.array(seed, np.uint64)) ^ np.uint64(update)))


def key_of_trial(of_batch: int, inputs: list[NDArray[np.intp]]) -> int:
    """The key of a trial, given the input neurons that spike in each of its steps."""
    steps = np.repeat(np.arange(len(inputs)), [len(each) for each in inputs])
    places = _place(steps.astype(np.uint64), np.concatenate(inputs).astype(np.uint64))
    return int(mix(np.uint64(of_batch) ^ mix(places).sum(dtype=np.uint64)))


def noise_of(key: int, population: int, n_neurons: int) -> Noise:
    """The random numbers of a population.

    Args:
        key: The trial's.
        population: The population's place in the network.
        n_neurons: Its size.
    """
    of_population = mix(np.array(key, np.uint64) ^ np.uint64(population))
    neurons = np.arange(n_neurons, dtype=np.uint64)

    def of_step(step: int) -> Array:
        bits = mix(of_population ^ _place(np.uint64(step), neurons))
        u = ((bits >> np.uint64(41)).astype(np.float64) + 0.5) * 2.0**-23
        numbers: Array = np.log(u / (1 - u))
        return numbers

    return of_step


def _place(step: NDArray[np.uint64] | np.uint64, neuron: NDArray[np.uint64]) -> NDArray[np.uint64]:
    place: NDArray[np.uint64] = (step << OF_STEP) | neuron
    return place
