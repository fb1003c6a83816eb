"""The native engine: generated C++, EventProp, samples in parallel."""

from __future__ import annotations

from shd_genn.compare.peers.compiled import CompiledPeer
from shd_genn.synthetic import BATCH


class Peer(CompiledPeer):
    """See `CompiledPeer`."""

    backend = "native"
    batch_size = BATCH
