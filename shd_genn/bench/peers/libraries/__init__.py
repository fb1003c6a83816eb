"""What is compared: a file a library, each imported only in the process that measures it."""

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
"""The peer that the times of all others are compared with."""


class Peer(Protocol):
    """A network of one library with its optimiser, and a batch that it learns.

    Before it is made, and before memory and time are taken, its module has imported the library,
    and ``place`` has brought the batch into the library's own form.
    """

    def set_weights(self, weights: Weights) -> None:
        """Start from these weights."""
        ...

    def spike_counts(self) -> NDArray[np.float64]:
        """Forward pass only: spikes of each hidden neuron, mean over samples, (hidden,)."""
        ...

    def train_batch(self) -> float:
        """Forward, backward, and a step of Adam, all done when this returns; the loss before it."""
        ...

    def close(self) -> None:
        """Give back what was taken."""
        ...


class PeerClass(Protocol):
    """What the module of a library has under the name ``Peer``."""

    batch_size: int
    """Samples that it learns at a time."""

    def place(self, setting: Setting, batch: Batch) -> object:
        """The batch in the library's own form."""
        ...

    def __call__(self, setting: Setting, placed: object) -> Peer:
        """The network; its weights are set before anything else is asked of it."""
        ...


@dataclass(frozen=True)
class Library:
    """Where a peer comes from.

    Attributes:
        method: How it gets its gradients.
        imports: Names of the packages that it needs.
        packages: Distributions whose versions are recorded.
        environment: Variables that its process starts with.
    """

    method: str
    imports: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """Which of the packages are not installed."""
        return [name for name in self.imports if find_spec(name) is None]

    @property
    def versions(self) -> str:
        """``package version, …``."""
        return ", ".join(f"{name} {metadata.version(name)}" for name in self.packages)


_TORCH, _JAX = ("torch",), ("jax", "jaxlib", "optax")
# Left alone, glibc gives large arrays back to the system and fetches them anew in each batch.
# PyTorch, whose tuning guide recommends other allocators for that, is 7 % faster so.
_KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}
LIBRARIES: dict[PeerName, Library] = {
    "native": Library("EventProp", (), ("shd_genn",)),
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
