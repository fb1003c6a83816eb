"""mlGeNN's EventProp compiler on GeNN's CPU backend, its code optimised.

That backend has one thread and takes one sample at a time (genn-team/genn, issue 523).
"""

from __future__ import annotations

from shd_genn.bench.peers.libraries.compiled import CompiledPeer


class Peer(CompiledPeer):
    """See `CompiledPeer`."""

    backend = "genn"
    batch_size = 1
