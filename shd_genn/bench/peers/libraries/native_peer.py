"""The native engine: generated C++, EventProp, samples in parallel."""

from __future__ import annotations

from shd_genn.bench.peers.libraries.compiled import CompiledPeer
from shd_genn.datasets.noise import BATCH


class Peer(CompiledPeer):
    """See `CompiledPeer`."""

    backend = "native"
    batch_size = BATCH
