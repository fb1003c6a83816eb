"""snnTorch: `RSynaptic` (`Synaptic` where nothing is fed back) and a loop over time.

This peer follows the library's tutorials 4 to 6: a loop over steps passes the states on; neurons
reset by subtraction; gradients are `surrogate.fast_sigmoid`; the output is a `Synaptic` that never
resets, and the loss is the cross entropy of its membrane voltage. Input and output layers process
all steps at once, outside the loop. torch.compile is not in the library's documentation. It is used
because it doubles the speed (see `compiled_in_chunks`). The library's neurons have no gain, so the
weights are multiplied by it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import snntorch as snn
    from snntorch import surrogate

from shd_genn.bench.peers.libraries.torch_common import TorchPeer, compiled_in_chunks
from shd_genn.datasets.noise import N_CLASSES


class Peer(TorchPeer):
    """See `TorchPeer`."""

    has_gain = False

    def build(self) -> None:
        """Make two linear layers, each followed by neurons."""
        s = self.setting
        decays: dict[str, Any] = {"alpha": s.decay_syn, "beta": s.decay_mem}
        spike = surrogate.fast_sigmoid(slope=25)
        self._recurrent = s.topology == "recurrent"
        self._in = nn.Linear(s.n_inputs, s.hidden, bias=False)
        self._out = nn.Linear(s.hidden, N_CLASSES, bias=False)
        if self._recurrent:
            self._hidden = snn.RSynaptic(**decays, linear_features=s.hidden, spike_grad=spike)
            self._hidden.recurrent = nn.Linear(s.hidden, s.hidden, bias=False)
        else:
            self._hidden = snn.Synaptic(**decays, spike_grad=spike)
        self._output = snn.Synaptic(**decays, reset_mechanism="none", spike_grad=spike)

        def step(current: torch.Tensor, *state: Any) -> Any:
            state = self._hidden(current, *state)
            return (state[0], *state) if self._recurrent else state

        def output_step(current: torch.Tensor, *state: Any) -> Any:
            _, syn, mem = self._output(current, *state)
            return mem, syn, mem

        self._layer = compiled_in_chunks(step)
        self._voltages = compiled_in_chunks(output_step)

    def parameters(self) -> Mapping[str, torch.Tensor]:
        """The weights."""
        held = {"input_hidden0": self._in.weight.T, "hidden0_output": self._out.weight.T}
        if self._recurrent:
            held["hidden0_hidden0"] = self._hidden.recurrent.weight.T
        return held

    def learned(self) -> list[torch.Tensor]:
        """The weights themselves, not their transposes."""
        modules = (self._in, self._hidden, self._out)
        return [parameter for module in modules for parameter in module.parameters()]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Readout and hidden spikes."""
        current = self._in(x)
        rest = torch.zeros_like(current[0])
        spikes = self._layer(current, *(rest,) * (3 if self._recurrent else 2))
        current = self._out(spikes)
        rest = torch.zeros_like(current[0])
        return self._voltages(current, rest, rest).mean(0), spikes
