"""What turns sound into spikes, and doing so for many recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shd_genn.support.machine import available_cores

Spikes = tuple[NDArray[np.float32], NDArray[np.uint16]]
"""Times in ms and channels."""


class Encoder(Protocol):
    """From one recording to spikes."""

    @property
    def code(self) -> str:
        """``cochlea``, ``rate`` or ``latency``: noted in files and runs."""
        ...

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        ...

    @property
    def shortest_s(self) -> float:
        """Duration of the shortest recording that can be encoded, in s."""
        ...

    @property
    def longest_s(self) -> float:
        """Duration of the longest recording that can be encoded in reasonable memory, in s."""
        ...

    def condition(self, audio: NDArray[np.floating]) -> NDArray[np.float64]:
        """Bring a recording to the form that is encoded.

        Raises:
            DataError: if it cannot be.
        """
        ...

    def encode(self, audio: NDArray[np.floating], seed: int) -> Spikes:
        """Spikes of one recording.

        Args:
            audio: (n_samples,): mono at 48 kHz.
            seed: The same seed gives the same spikes.

        Returns:
            Times in ms after the first spike, ascending (float32), and channels (uint16); channel
            0 is the highest frequency.

        Raises:
            DataError: if the recording cannot be used.
        """
        ...


def encode_many(
    encoder: Encoder,
    recordings: Sequence[Callable[[], NDArray[np.floating]]],
    seeds: Sequence[int],
    n_workers: int = 0,
) -> Iterator[Spikes]:
    """Spikes of many recordings, in their order, worked on by several threads.

    Args:
        encoder: Encodes each.
        recordings: Functions that return a recording each, so that not all are in memory.
        seeds: One for each; so results do not depend on the number of workers.
        n_workers: 0: as many as there are cores.
    """
    pool = ThreadPoolExecutor(n_workers or available_cores())
    try:
        yield from pool.map(lambda get, seed: encoder.encode(get(), seed), recordings, seeds)
    finally:
        pool.shutdown(cancel_futures=True)
