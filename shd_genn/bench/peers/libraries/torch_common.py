"""What all peers on PyTorch share: input, threads, optimiser, and the step of training."""

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
"""Steps that `compiled_in_chunks` compiles together: 6 % faster than 10."""


class TorchPeer(ABC):
    """A `Peer` on PyTorch; a library adds what its `parameters` and `forward` are.

    As PyTorch's tuning guide has it: gradients are forgotten by setting them to None, Adam is
    fused, threads are as many as cores.
    """

    batch_size = BATCH
    has_gain = True
    """Whether its neurons scale currents; if they add them as they are, weights are scaled."""

    @staticmethod
    def place(setting: Setting, batch: Batch) -> Placed:
        """Input (n_steps, n_samples, channels) and labels."""
        labels = torch.from_numpy(batch.labels.astype(np.int64))
        return torch.from_numpy(batch.dense(setting.n_steps)), labels

    def __init__(self, setting: Setting, placed: Placed) -> None:
        torch.set_num_threads(setting.threads)
        self.setting, (self._x, self._labels) = setting, placed
        self.build()

    @abstractmethod
    def build(self) -> None:
        """Make the network, with any weights."""

    @abstractmethod
    def parameters(self) -> Mapping[str, torch.Tensor]:
        """The tensors that hold the weights, (source, target), by the names of `Weights`."""

    @abstractmethod
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Readout (n_samples, classes) and hidden spikes (n_steps, n_samples, hidden)."""

    def set_weights(self, weights: Weights) -> None:
        """Start from these weights."""
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
        # with what a gradient needs, so that nothing is compiled that training does not use
        _, spikes = self.forward(self._x)
        mean: NDArray[np.float64] = spikes.detach().sum(0).mean(0).numpy().astype(np.float64)
        return mean

    def train_batch(self) -> float:
        """One update; the loss before it."""
        self._adam.zero_grad()
        readout, _ = self.forward(self._x)
        loss = torch.nn.functional.cross_entropy(readout, self._labels)
        loss.backward()
        self._adam.step()
        return float(loss.detach())

    def close(self) -> None:  # noqa: B027 - no library has anything to give back
        """Nothing to do."""


class LinearPeer(TorchPeer):
    """Linear layers whose library has steps of neurons; `build` sets what is declared here."""

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
    """Steps of a recurrent layer, `torch.compile`d some at a time.

    All steps of a trial would take minutes to compile, one alone leaves nothing to fuse.

    Args:
        step: ``(input, *state) -> (output, *state)`` of one step.

    Returns:
        ``(inputs of all steps, *state) -> outputs of all steps``.
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
