"""A network of rectified linear units: its forward pass in NumPy, its gradient by PyTorch."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.support.errors import ConfigError

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Units:
    """The keys of a layer's parameters.

    Attributes:
        weight: Of its weights, (inputs, units).
        bias: Of its biases, (units,).
        scale: Of the greatest activity that its spiking neurons code, (1,); empty for the output.
    """

    weight: str
    bias: str
    scale: str = ""


def activities(
    layers: Sequence[Units], parameters: Mapping[str, Array], x: Array, levels: int = 0
) -> list[Array]:
    """The activities of all layers, (n_samples, units) each; the last are the answers.

    Args:
        layers: From the first hidden layer to the output.
        parameters: Key → array.
        x: (n_samples, inputs).
        levels: L of `quantised`; 0: units are a = max(x, 0).
    """
    found = []
    for layer in layers:
        x = x @ parameters[layer.weight] + parameters[layer.bias]
        if layer.scale:
            x = np.maximum(x, 0) if not levels else quantised(x, parameters[layer.scale], levels)
        found.append(x)
    return found


def quantised(x: Array, scale: Array, levels: int) -> Array:
    """λ clip(floor(x L/λ + 1/2)/L, 0, 1): quantisation, clip, floor, shift (Bu et al. 2022)."""
    steps = np.floor(x * np.float32(levels) / scale + np.float32(0.5)) / np.float32(levels)
    a: Array = (scale * np.clip(steps, 0, 1)).astype(np.float32)
    return a


def import_torch() -> Any:
    """PyTorch.

    Raises:
        ConfigError: if it is not installed.
    """
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise ConfigError(
            "conversion trains a network with PyTorch, which is not installed; install it: "
            "pip install 'shd_genn[conversion]' (a trained run needs none to be evaluated)"
        ) from error


def gradient(
    layers: Sequence[Units],
    parameters: Mapping[str, Array],
    x: Array,
    labels: NDArray[np.integer],
    masks: Sequence[Array],
    levels: int,
    label_smoothing: float,
) -> dict[str, Array]:
    """∂L/∂parameter of the batch's mean cross-entropy, for weights and biases.

    Args:
        layers: As of `activities`.
        parameters: Key → array.
        x: (n_samples, inputs).
        labels: (n_samples,).
        masks: Hidden layer → what its activities are multiplied by, (n_samples, units).
        levels: As of `activities`; scales are then learned, too. The derivative of rounding is 1.
        label_smoothing: Part of a label that is spread over all words.
    """
    torch = import_torch()
    with _one_thread(torch):
        return _differentiate(torch, layers, parameters, x, labels, masks, levels, label_smoothing)


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """Let PyTorch add in the same order whatever the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _differentiate(
    torch: Any,
    layers: Sequence[Units],
    parameters: Mapping[str, Array],
    x: Array,
    labels: NDArray[np.integer],
    masks: Sequence[Array],
    levels: int,
    label_smoothing: float,
) -> dict[str, Array]:
    held = {key: torch.from_numpy(np.array(a)).requires_grad_() for key, a in parameters.items()}
    h = torch.from_numpy(np.ascontiguousarray(x))
    for number, layer in enumerate(layers):
        h = h @ held[layer.weight] + held[layer.bias]
        if not layer.scale:
            break
        if levels:
            scaled = h * levels / held[layer.scale] + 0.5
            steps = scaled + (torch.floor(scaled) - scaled).detach()
            h = held[layer.scale] * torch.clip(steps / levels, 0, 1)
        else:
            h = torch.relu(h)
        h = h * torch.from_numpy(masks[number])
    target = torch.from_numpy(np.asarray(labels, np.int64))
    loss = torch.nn.functional.cross_entropy(h, target, label_smoothing=label_smoothing)
    loss.backward()
    found = {key: t.grad for key, t in held.items()}
    return {key: g.numpy() for key, g in found.items() if g is not None}
