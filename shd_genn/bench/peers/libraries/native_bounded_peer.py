"""The native engine: generated C++, surrogate gradients of bounded support, samples in parallel.

The surrogate derivative is a boxcar of width 1 around the threshold (Bittar & Garner 2022).
"""

from __future__ import annotations

from shd_genn.bench.peers.libraries import native_peer
from shd_genn.learning.methods import Surrogate


class Peer(native_peer.Peer):
    """The native peer with another method."""

    method = Surrogate("boxcar")
