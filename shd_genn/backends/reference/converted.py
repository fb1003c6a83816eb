"""Spiking neurons in the places of rectified linear units, in float64.

A layer gets I = Σ w a + b from the activities a of the layer before. With s the layer's scale, the
greatest activity that it codes, and z = 1 at a spike:

    integrate and fire   V[t] = V[t-1] + I[t], z = Θ(V - s), V -= s z;  a spike counts s in its step
    few-spike            V = I; for t = 1 … K: z = Θ(V - T(t)), V -= T(t) z, T(t) = α 2^-t;
                         a spike counts T(t)

The first codes an activity by its rate (soft reset: Rueckauer et al. 2017; the scale is a
percentile of the activities, or λ of QCFS, where V starts at λ/2: Bu et al. 2022). The second codes
it in binary with α = s/(1 - 2^-K) (Stöckl & Maass 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shd_genn.learning.rate_network import Units

Array = NDArray[np.float64]
Spikes = NDArray[np.bool_]


def integrate_and_fire(
    layers: Sequence[Units],
    parameters: Mapping[str, NDArray[np.float32]],
    x: NDArray[np.float32],
    n_steps: int,
    start: float,
) -> tuple[Array, list[Spikes]]:
    """Simulate integrate-and-fire neurons.

    Args:
        layers: From the first hidden layer to the output, which integrates without spikes.
        parameters: Of the network of rates.
        x: (n_samples, inputs): a constant input.
        n_steps: Time steps.
        start: V at the beginning, as a part of the scale.

    Returns:
        The output's mean input up to each step, (n_steps, n_samples, classes), and the spikes of
        each hidden layer, (n_steps, n_samples, neurons).
    """
    p = {key: a.astype(np.float64) for key, a in parameters.items()}
    *hidden, last = layers
    constant = x.astype(np.float64) @ p[layers[0].weight] + p[layers[0].bias]
    v = [np.full((len(x), p[layer.bias].size), start * p[layer.scale][0]) for layer in hidden]
    spikes = [np.zeros((n_steps, *u.shape), bool) for u in v]
    answers = np.zeros((n_steps, len(x), p[last.bias].size))
    for step in range(n_steps):
        current = constant
        for number, layer in enumerate(hidden):
            scale = p[layer.scale][0]
            if number:
                current = current @ p[layer.weight] + p[layer.bias]
            v[number] += current
            fired = v[number] >= scale
            v[number] -= scale * fired
            spikes[number][step] = fired
            current = scale * fired
        answers[step] = current @ p[last.weight] + p[last.bias] if hidden else constant
    return np.cumsum(answers, axis=0) / np.arange(1, n_steps + 1)[:, None, None], spikes


def few_spike(
    layers: Sequence[Units],
    parameters: Mapping[str, NDArray[np.float32]],
    x: NDArray[np.float32],
    n_steps: int,
) -> tuple[Array, list[Spikes]]:
    """Simulate few-spike neurons, whose layers work one after the other, ``n_steps`` each.

    Returns:
        The output's input, (1, n_samples, classes), and spikes as of `integrate_and_fire`.
    """
    p = {key: a.astype(np.float64) for key, a in parameters.items()}
    spikes, activity = [], x.astype(np.float64)
    for layer in layers[:-1]:
        v = activity @ p[layer.weight] + p[layer.bias]
        activity, fired = np.zeros_like(v), np.zeros((n_steps, *v.shape), bool)
        alpha = p[layer.scale][0] / (1 - 2.0**-n_steps)
        for t in range(n_steps):
            height = alpha * 2.0 ** -(t + 1)
            fired[t] = v >= height
            v -= height * fired[t]
            activity += height * fired[t]
        spikes.append(fired)
    answers = activity @ p[layers[-1].weight] + p[layers[-1].bias]
    return answers[np.newaxis], spikes
