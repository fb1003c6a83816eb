"""mlGeNN's EventProp compiler on GeNN: on the GPU if there is one, else on GeNN's CPU backend.

The CPU backend uses one thread and simulates one sample at a time (genn-team/genn, issue 523).
"""

from __future__ import annotations

from shd_genn.backends.genn import installation
from shd_genn.bench.peers.libraries.compiled import CompiledPeer
from shd_genn.datasets.noise import BATCH


class Peer(CompiledPeer):
    """See `CompiledPeer`."""

    backend = "genn"
    batch_size = BATCH if installation.genn_backend() == "cuda" else 1
