"""The native engine: generated C++, surrogate gradients of bounded support, samples in parallel.

The surrogate derivative is a boxcar of width 1 around the threshold (Bittar & Garner 2022).
"""

from __future__ import annotations

from shd_genn.bench.peers.libraries.compiled import CompiledPeer
from shd_genn.datasets.noise import BATCH
from shd_genn.learning.methods import Surrogate


class Peer(CompiledPeer):
    """See `CompiledPeer`."""

    backend = "native"
    batch_size = BATCH
    method = Surrogate("boxcar")
