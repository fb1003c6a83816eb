"""The task that encodes recordings on a worker of a Dask cluster.

Its arguments are plain values, and it imports only when it runs: Dask's scheduler reads each task
that it passes on, and should not import the package for that.
"""

from __future__ import annotations

from typing import Any


def encode_on_worker(
    encoder: dict[str, Any], paths: list[str], seeds: list[int], cut_s: float | None
) -> tuple[Any, Any, Any]:
    """Encode some recordings, which the worker reads from a disk that all machines share.

    Args:
        encoder: The options of the encoder; see `EncoderOptions`.
        paths: Of the recordings.
        seeds: Of each one's randomness.
        cut_s: Only so many seconds of each recording are encoded; None: all of it.

    Returns:
        Times in ms, channels, and offsets; see `Events`.

    Raises:
        DataError: if a recording cannot be used, or the worker does not find it.
    """
    from pathlib import Path

    from shd_genn.encode.corpus import Corpus
    from shd_genn.encode.options import EncoderOptions
    from shd_genn.encode.recordings import Recording
    from shd_genn.spikes.events import Events

    recordings = [Recording(Path(path), "") for path in paths]
    corpus = Corpus(recordings, seeds, EncoderOptions(**encoder).make(), cut_s)
    events = Events.of(
        [corpus.encoder.encode(corpus.read(i), seed) for i, seed in enumerate(seeds)]
    )
    return events.times_ms, events.channels, events.offsets
