"""Norse: its leaky integrate-and-fire neurons, and its leaky integrator as output.

This peer follows the notes of the library's release 1.1: `torch.compile` compiles its step
functions, here several steps at a time (see `compiled_in_chunks`), with its SuperSpike gradients.
`LIFRecurrent` would multiply by the input weights in every step. Here the input current is one
matrix product before the loop, and `lif_feed_forward_step` receives the sum of currents. The
library integrates by Euler's method.
"""

from __future__ import annotations

from typing import Any

import torch
from norse.torch.functional.leaky_integrator import LIParameters, LIState, li_feed_forward_step
from norse.torch.functional.lif import (
    LIFFeedForwardState,
    LIFParameters,
    lif_feed_forward_step,
)
from torch import nn

from shd_genn.bench.peers.libraries.torch_common import LinearPeer, compiled_in_chunks
from shd_genn.datasets.noise import N_CLASSES


class Peer(LinearPeer):
    """See `LinearPeer`."""

    def build(self) -> None:
        """Make the weights and the step functions."""
        s, model = self.setting, self.setting.model
        taus = {
            "tau_syn_inv": torch.tensor(1000 / model.tau_syn_ms),
            "tau_mem_inv": torch.tensor(1000 / model.tau_mem_ms),
        }
        p = LIFParameters(**taus, method="super", alpha=torch.tensor(100.0))
        p_out = LIParameters(**taus)
        dt_s = s.dt_ms / 1000
        self._recurrent = s.topology == "recurrent"
        self._in = nn.Linear(s.n_inputs, s.hidden, bias=False)
        self._rec = nn.Linear(s.hidden, s.hidden, bias=False)
        self._out = nn.Linear(s.hidden, N_CLASSES, bias=False)

        def step(current: torch.Tensor, z: Any, v: Any, i: Any, w: Any) -> Any:
            if self._recurrent:
                current = current + nn.functional.linear(z, w)
            z, state = lif_feed_forward_step(current, LIFFeedForwardState(v, i), p, dt_s)
            return z, z, state.v, state.i, w

        def output_step(current: torch.Tensor, v: Any, i: Any) -> Any:
            v, state = li_feed_forward_step(current, LIState(v, i), p_out, dt_s)
            return v, state.v, state.i

        self._layer = compiled_in_chunks(step)
        self._output = compiled_in_chunks(output_step)
