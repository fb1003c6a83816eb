"""The peers: one file for each library, imported only in the process that measures it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from shd_genn.bench.peers.case import Batch, Setting, Weights

PeerName = Literal[
    "native",
    "native_surrogate",
    "native_bounded",
    "genn",
    "jax",
    "spyx",
    "torch",
    "snntorch",
    "spikingjelly",
    "norse",
    "jaxsnn",
    "eventax",
]


BASELINE: PeerName = "native"
"""The peer with which the times of all others are compared."""


class Peer(Protocol):
    """A network of one library with its optimiser, and the batch that it trains on.

    Importing the library and converting the batch (``place``) are done before, and are not
    measured.
    """

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights, and reset the optimiser."""
        ...

    def spike_counts(self) -> NDArray[np.float64]:
        """Run the forward pass: spikes of each hidden neuron, mean over samples, (hidden,)."""
        ...

    def train_batch(self) -> float:
        """Train on the batch: forward pass, backward pass, update by Adam.

        All computation is finished when this returns.

        Returns:
            The mean loss before the update.
        """
        ...

    def close(self) -> None:
        """Free memory and devices."""
        ...


class PeerClass(Protocol):
    """The class ``Peer`` that the module of each library has."""

    batch_size: int
    """Number of samples in a batch."""

    def place(self, setting: Setting, batch: Batch) -> object:
        """Convert the batch into the library's own form."""
        ...

    def __call__(self, setting: Setting, placed: object) -> Peer:
        """Make the network; `Peer.set_weights` is called before any other method."""
        ...


@dataclass(frozen=True)
class Library:
    """The packages of a peer.

    Attributes:
        method: How the peer computes gradients.
        imports: Packages that must be importable.
        packages: Distributions whose versions are recorded.
        environment: Environment variables of the peer's process.
    """

    method: str
    imports: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [name for name in self.imports if find_spec(name) is None]

    @property
    def versions(self) -> str:
        """``package version, …``."""
        return ", ".join(f"{name} {metadata.version(name)}" for name in self.packages)


_TORCH, _JAX = ("torch",), ("jax", "jaxlib", "optax")
# By default glibc returns large arrays to the system and requests them again in each batch. With
# these variables it keeps them, and PyTorch is 7 % faster. PyTorch's tuning guide recommends other
# allocators for the same reason.
_KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}
LIBRARIES: dict[PeerName, Library] = {
    "native": Library("EventProp", (), ("shd_genn",)),
    "native_surrogate": Library("BPTT", (), ("shd_genn",)),
    "native_bounded": Library("BPTT", (), ("shd_genn",)),
    "genn": Library("EventProp", ("pygenn", "ml_genn"), ("pygenn", "ml_genn")),
    "jax": Library("BPTT", ("jax", "optax"), _JAX),
    "spyx": Library("BPTT", ("spyx",), ("spyx", "flax", *_JAX)),
    "torch": Library("BPTT", ("torch",), _TORCH, _KEEP_MEMORY),
    "snntorch": Library("BPTT", ("snntorch",), ("snntorch", *_TORCH), _KEEP_MEMORY),
    "spikingjelly": Library("BPTT", ("spikingjelly",), ("spikingjelly", *_TORCH), _KEEP_MEMORY),
    "norse": Library("BPTT", ("norse",), ("norse", *_TORCH), _KEEP_MEMORY),
    "jaxsnn": Library("event-based", ("jaxsnn",), ("jaxsnn", *_JAX)),
    "eventax": Library("event-based", ("eventax",), ("eventax", "diffrax", "jax", "jaxlib")),
}


def load(name: PeerName) -> PeerClass:
    """Import a peer's library."""
    module = importlib.import_module(f"{__name__}.{name}_peer")
    peer: PeerClass = module.Peer
    return peer
