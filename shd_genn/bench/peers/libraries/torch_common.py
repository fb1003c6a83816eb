"""What all peers in PyTorch share: input, threads, optimiser and training step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shd_genn.bench.peers.case import Batch, Setting, Weights
from shd_genn.datasets.noise import BATCH

Placed = tuple[torch.Tensor, torch.Tensor]
CHUNK = 25
"""Number of steps that `compiled_in_chunks` compiles together; 6 % faster than 10."""


class TorchPeer(ABC):
    """Base of peers in PyTorch; a subclass adds `build`, `parameters` and `forward`.

    It follows PyTorch's tuning guide: gradients are reset to None, Adam is fused, and there are as
    many threads as cores.
    """

    batch_size = BATCH
    has_gain = True
    """Whether the neurons scale currents by a gain; if not, weights are multiplied by it."""

    @staticmethod
    def place(setting: Setting, batch: Batch) -> Placed:
        """Input (n_steps, n_samples, channels) and labels."""
        labels = torch.from_numpy(batch.labels.astype(np.int64))
        return torch.from_numpy(batch.dense(setting.n_steps, setting.n_inputs)), labels

    def __init__(self, setting: Setting, placed: Placed) -> None:
        torch.set_num_threads(setting.threads)
        self.setting, (self._x, self._labels) = setting, placed
        self.build()

    @abstractmethod
    def build(self) -> None:
        """Make the network; its weights do not matter, because they are set later."""

    @abstractmethod
    def parameters(self) -> Mapping[str, torch.Tensor]:
        """The weights, each of shape (source, target), by the names of `Weights`."""

    @abstractmethod
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The readout (n_samples, classes) and hidden spikes (n_steps, n_samples, hidden)."""

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights, and reset Adam."""
        held, scale = self.parameters(), 1.0 if self.has_gain else self.setting.gain
        with torch.no_grad():
            for name, array in weights.items():
                held[name].copy_(torch.from_numpy(array) * scale)
        learned = [tensor for tensor in self.learned() if tensor.requires_grad]
        self._adam = torch.optim.Adam(learned, self.setting.learning_rate, fused=True)

    def learned(self) -> list[torch.Tensor]:
        """All tensors that Adam changes."""
        return list(self.parameters().values())

    def spike_counts(self) -> NDArray[np.float64]:
        """Spikes of each hidden neuron, mean over samples."""
        # with gradients enabled: without them, torch.compile would compile a second version
        _, spikes = self.forward(self._x)
        mean: NDArray[np.float64] = spikes.detach().sum(0).mean(0).numpy().astype(np.float64)
        return mean

    def train_batch(self) -> float:
        """Train on the batch; returns the loss before the update."""
        self._adam.zero_grad()
        readout, _ = self.forward(self._x)
        loss = torch.nn.functional.cross_entropy(readout, self._labels)
        loss.backward()
        self._adam.step()
        return float(loss.detach())

    def close(self) -> None:  # noqa: B027 - no library has anything to give back
        """Nothing to do."""


class LinearPeer(TorchPeer):
    """Base of peers whose library has linear layers and neurons; `build` sets the fields."""

    _recurrent: bool
    _in: nn.Linear
    _rec: nn.Linear
    _out: nn.Linear
    _layer: Callable[..., Any]
    _output: Callable[..., Any]

    def parameters(self) -> Mapping[str, torch.Tensor]:
        """The weights."""
        held = {"input_hidden0": self._in.weight.T, "hidden0_output": self._out.weight.T}
        if self._recurrent:
            held["hidden0_hidden0"] = self._rec.weight.T
        return held

    def learned(self) -> list[torch.Tensor]:
        """The weights themselves, not their transposes."""
        layers = (self._in, self._rec, self._out) if self._recurrent else (self._in, self._out)
        return [layer.weight for layer in layers]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Readout and hidden spikes."""
        current = self._in(x)
        rest = torch.zeros_like(current[0])
        spikes = self._layer(current, rest, rest, rest, self._rec.weight)
        current = self._out(spikes)
        rest = torch.zeros_like(current[0])
        return self._output(current, rest, rest).mean(0), spikes


def compiled_in_chunks(step: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function for all steps of a layer, in which `torch.compile` compiles `CHUNK` steps.

    To compile all steps of a trial takes minutes. To compile a single step leaves nothing to fuse.

    Args:
        step: A function of one step: ``(input, *state) -> (output, *state)``.

    Returns:
        A function of all steps: ``(inputs, *state) -> outputs``.
    """

    @torch.compile(dynamic=False)
    def chunk(inputs: torch.Tensor, *state: Any) -> Any:
        outputs = []
        for each in inputs.unbind(0):
            output, *state = step(each, *state)
            outputs.append(output)
        return torch.stack(outputs), *state

    def run(inputs: torch.Tensor, *state: Any) -> torch.Tensor:
        outputs = []
        for part in inputs.split(CHUNK):
            output, *state = chunk(part, *state)
            outputs.append(output)
        return torch.cat(outputs)

    return run
