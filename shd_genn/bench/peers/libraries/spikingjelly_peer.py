"""SpikingJelly: `CUBALIFNode`, its current-based neuron, on PyTorch (others need a GPU).

This peer follows the library's documentation ("Basic concepts"): layers without state process all
steps at once. The library's container for recurrent connections multiplies spikes and input by a
matrix twice as wide in every step. Here the neuron's `single_step_functional_forward` receives the
sum of currents. Several steps are compiled together (see `compiled_in_chunks`), because the
library's multi-step mode loops in Python. Its neurons have no gain, so the weights are multiplied
by it.
"""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import nn

from shd_genn.bench.peers.libraries.torch_common import LinearPeer, compiled_in_chunks
from shd_genn.datasets.noise import N_CLASSES


class Peer(LinearPeer):
    """See `LinearPeer`."""

    has_gain = False

    def build(self) -> None:
        """Make the linear layers, and the step functions of neurons."""
        s = self.setting
        decays = {"c_decay": s.decay_syn, "v_decay": s.decay_mem}
        spike = surrogate.SuperSpike()
        hidden = neuron.CUBALIFNode(
            **decays, v_threshold=float(s.model.v_thresh), surrogate_function=spike
        )
        self._recurrent = s.topology == "recurrent"
        self._in = layer.Linear(s.n_inputs, s.hidden, bias=False, step_mode="m")
        self._rec = nn.Linear(s.hidden, s.hidden, bias=False)
        self._out = layer.Linear(s.hidden, N_CLASSES, bias=False, step_mode="m")

        def step(current: torch.Tensor, z: Any, v: Any, c: Any, w: Any) -> Any:
            if self._recurrent:
                current = current + nn.functional.linear(z, w)
            (z,), (v, c) = hidden.single_step_functional_forward((current,), (v, c))
            return z, z, v, c, w

        def output_step(current: torch.Tensor, v: Any, c: Any) -> Any:
            c = s.decay_syn * c + current  # the library has no such neuron that never spikes
            v = s.decay_mem * v + c
            return v, v, c

        self._layer = compiled_in_chunks(step)
        self._output = compiled_in_chunks(output_step)
