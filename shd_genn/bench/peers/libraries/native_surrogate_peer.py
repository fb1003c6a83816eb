"""The native engine: generated C++, surrogate gradients without bounds, samples in parallel.

The surrogate derivative is SuperSpike's with slope 10, as in the peer `torch`.
"""

from __future__ import annotations

from shd_genn.bench.peers.libraries import native_peer
from shd_genn.learning.methods import Surrogate


class Peer(native_peer.Peer):
    """The native peer with another method."""

    method = Surrogate("superspike", 10.0)
