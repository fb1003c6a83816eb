"""The protocol of encoders from sound to spikes, and the encoding of many recordings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shd_genn.support.errors import DataError, refuse_unless
from shd_genn.support.interruption import stopped_by
from shd_genn.support.machine import available_cores

Spikes = tuple[NDArray[np.float32], NDArray[np.uint16]]
"""Times in ms and channels."""


class Encoder(Protocol):
    """Turns a recording into spikes."""

    @property
    def code(self) -> str:
        """``cochlea``, ``rate``, ``latency`` or ``filterbank``: noted in files and runs."""
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
        """Prepare a recording for encoding, for example scale it to the encoder's level.

        Raises:
            DataError: if the recording cannot be used.
        """
        ...

    def encode(self, audio: NDArray[np.floating], seed: int) -> Spikes:
        """Encode one recording.

        Args:
            audio: Mono at 48 kHz, (n_samples,).
            seed: Seed of random numbers; the same seed gives the same spikes.

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
    """Encode many recordings with several threads; yields their spikes in order.

    After an error or Ctrl-C, recordings that are being encoded are given up, too.

    Args:
        encoder: The encoder.
        recordings: Functions that each return a recording, so that not all are in memory at once.
        seeds: A seed for each recording, so that spikes do not depend on the number of threads.
        n_workers: Number of threads; 0: the number of cores.
    """
    pool, stopped = ThreadPoolExecutor(n_workers or available_cores()), threading.Event()

    def encode(get: Callable[[], NDArray[np.floating]], seed: int) -> Spikes:
        with stopped_by(stopped):
            return encoder.encode(get(), seed)

    try:
        yield from pool.map(encode, recordings, seeds)
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


def finite(audio: NDArray[np.floating]) -> NDArray[np.float64]:
    """A recording in float64, unchanged.

    Raises:
        DataError: if it is empty, or a sample is not finite.
    """
    refuse_unless(
        len(audio) > 0 and bool(np.isfinite(audio).all()),
        f"a recording must be finite and not empty, but has {len(audio)} samples of which "
        f"{np.sum(~np.isfinite(audio))} are not finite",
        "record it again",
        DataError,
    )
    return np.asarray(audio, np.float64)
