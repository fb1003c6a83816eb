"""The native engine: generated C++, surrogate gradients without bounds, samples in parallel.

The surrogate derivative is SuperSpike's with slope 10, as in the peer `torch`.
"""

from __future__ import annotations

from shd_genn.bench.peers.libraries.compiled import CompiledPeer
from shd_genn.datasets.noise import BATCH
from shd_genn.learning.methods import Surrogate


class Peer(CompiledPeer):
    """See `CompiledPeer`."""

    backend = "native"
    batch_size = BATCH
    method = Surrogate("superspike", 10.0)
