"""Encoding many recordings part by part, so that an interruption loses a part at most.

Parts lie in a folder beside the output, ``train.h5.parts`` for ``train.h5``, until all are there.
The name of a part has a digest of what it is made of: a part of other recordings, or of other
settings, is made again.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shd_genn.encode.audio import read_audio
from shd_genn.encode.cochlea import RATE
from shd_genn.encode.encoder import Encoder, Spikes, encode_many
from shd_genn.encode.recordings import Recording
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.support.errors import DataError
from shd_genn.support.files import remove_leftovers, written_aside
from shd_genn.support.locks import claimed
from shd_genn.support.progress import progress
from shd_genn.support.version import __version__

MOST_RECORDINGS = 32
"""Recordings of a part: about six seconds' work."""
MOST_BYTES = 1 << 24
"""Bytes of a part's files, which long recordings reach earlier: three minutes of 16 bits at 48 kHz.
A part has one recording at least."""


@dataclass(frozen=True)
class Corpus:
    """Recordings, and how they are encoded.

    Attributes:
        recordings: All of them.
        seeds: Of each one's randomness.
        encoder: What encodes them.
        cut_s: Only so many seconds of each recording are encoded; None: all of it.
    """

    recordings: Sequence[Recording]
    seeds: Sequence[int]
    encoder: Encoder
    cut_s: float | None = None

    @staticmethod
    def of(
        recordings: Sequence[Recording],
        encoder: Encoder,
        seed: int,
        cut_s: float | None = None,
        good: Sequence[bool] | None = None,
    ) -> Corpus:
        """A corpus of the good ones of some recordings.

        Args:
            recordings: All; those that are left out have random numbers, too.
            encoder: What encodes them.
            seed: Seed of all recordings; each has random numbers of its own.
            cut_s: Only so many seconds of each recording are encoded; None: all of it.
            good: Whether each recording is encoded; None: all are.
        """
        seeds = np.random.SeedSequence(seed).generate_state(len(recordings)).tolist()
        kept = [i for i in range(len(recordings)) if good is None or good[i]]
        return Corpus([recordings[i] for i in kept], [seeds[i] for i in kept], encoder, cut_s)

    @cached_property
    def parts(self) -> list[range]:
        """The recordings of each part."""
        found: list[range] = []
        begin = n_bytes = 0
        for i, recording in enumerate(self.recordings):
            size = recording.path.stat().st_size
            if i > begin and (i - begin >= MOST_RECORDINGS or n_bytes + size > MOST_BYTES):
                found.append(range(begin, i))
                begin, n_bytes = i, 0
            n_bytes += size
        return [*found, range(begin, len(self.recordings))]

    def digest(self, part: range) -> str:
        """Twelve hexadecimal digits of everything that a part's spikes depend on."""
        hasher = hashlib.sha256(repr((self.encoder, self.cut_s, __version__)).encode())
        for i in part:
            found = self.recordings[i].path.stat()
            name = str(self.recordings[i].path)
            known = (name, found.st_size, found.st_mtime_ns, self.seeds[i])
            hasher.update(repr(known).encode(errors="backslashreplace"))
        return hasher.hexdigest()[:12]

    def read(self, i: int) -> NDArray[np.float64]:
        """The sound of a recording.

        Raises:
            DataError: if it cannot be encoded; the message names it.
        """
        path = self.recordings[i].path
        audio = read_audio(path, RATE, self.cut_s)
        try:
            self.encoder.condition(audio)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        return audio

    def dataset(self, name: str, events: StoredParts | Events) -> SpikeDataset:
        """The dataset of its spikes; classes and speakers are numbered in sorted order."""
        words = sorted({r.word for r in self.recordings})
        speakers = sorted({r.speaker for r in self.recordings} - {""})
        word_of = {word: i for i, word in enumerate(words)}
        speaker_of = {speaker: i for i, speaker in enumerate(speakers)} | {"": -1}
        return SpikeDataset(
            name=name,
            events=events,
            labels=np.array([word_of[r.word] for r in self.recordings], np.int32),
            speakers=np.array([speaker_of[r.speaker] for r in self.recordings], np.int32),
            n_channels=self.encoder.n_channels,
            code=self.encoder.code,
            class_names=tuple(words),
            speaker_names=tuple(speakers),
        )


class Encoding(Protocol):
    """Where recordings are encoded: `on_threads`, or the workers of a Dask cluster."""

    def __call__(self, corpus: Corpus, parts: Sequence[range]) -> Iterator[tuple[int, Events]]:
        """Encode some parts of a corpus.

        Yields:
            The index of a part in ``parts``, and its spikes; parts may come in any order.
        """
        ...


def on_threads(n_workers: int) -> Encoding:
    """Threads of this process.

    Args:
        n_workers: Their number; 0: as many as there are cores.
    """

    def encode(corpus: Corpus, parts: Sequence[range]) -> Iterator[tuple[int, Events]]:
        chosen = [i for part in parts for i in part]
        sources: list[Callable[[], NDArray[np.float64]]] = [
            lambda i=i: corpus.read(i)  # type: ignore[misc]
            for i in chosen
        ]
        seeds = [corpus.seeds[i] for i in chosen]
        spikes = encode_many(corpus.encoder, sources, seeds, n_workers)
        for number, part in enumerate(parts):
            yield number, Events.of([next(spikes) for _ in part])

    return encode


@dataclass(frozen=True)
class StoredParts:
    """The spikes of all parts, in their files; see `EventSource`."""

    files: Sequence[Path]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.counts)

    def sample(self, index: int) -> Spikes:
        """Times (ms) and channels of one sample."""
        for block in self.blocks():
            if index < len(block):
                return block.sample(index)
            index -= len(block)
        raise IndexError(index)

    def take(self, indices: NDArray[np.integer]) -> Events:
        """The given samples, in the given order, in memory."""
        return Events.join([self.sample(int(i)) for i in indices])

    def select(self, indices: NDArray[np.integer]) -> Events:
        """The same as `take`."""
        return self.take(indices)

    def blocks(self) -> Iterator[Events]:
        """All samples, part by part."""
        for file in self.files:
            part = _read(file)
            if part is None:
                raise DataError(f"{file} was changed while it was in use; start again")
            yield part


@contextmanager
def encoded(corpus: Corpus, output: Path, encoding: Encoding) -> Iterator[SpikeDataset]:
    """Encode a corpus, or what is still missing of it, and delete its parts at the end.

    Args:
        corpus: What is encoded.
        output: The file that the dataset will be written to.
        encoding: Where recordings are encoded.

    Yields:
        The dataset, whose spikes are in files; if the body succeeds, these are deleted.

    Raises:
        DataError: if a recording cannot be used; the message names it.
        BusyError: if another program encodes into the same output.
    """
    folder = output.with_name(f"{output.name}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with claimed(folder):
            yield corpus.dataset(output.stem, _encode(corpus, folder, encoding))
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        with suppress(OSError):  # nothing was encoded before an error
            folder.rmdir()


def _encode(corpus: Corpus, folder: Path, encoding: Encoding) -> StoredParts:
    remove_leftovers(folder)
    files = [
        folder / f"{number:06}-{corpus.digest(part)}.npz"
        for number, part in enumerate(corpus.parts)
    ]
    with progress("Encoding", len(corpus.recordings), "recordings") as advance:
        counts: dict[int, NDArray[np.int64]] = {}
        for number, (file, part) in enumerate(zip(files, corpus.parts, strict=True)):
            known = _read(file)
            if known is not None and len(known) == len(part):
                counts[number] = known.counts
                advance(len(part))
        missing = [number for number in range(len(files)) if number not in counts]
        try:
            for i, events in encoding(corpus, [corpus.parts[number] for number in missing]):
                _write(files[missing[i]], events)
                counts[missing[i]] = events.counts
                advance(len(events))
        except KeyboardInterrupt:
            done = sum(map(len, counts.values()))
            print(
                f"stopped with {done} of {len(corpus.recordings)} recordings encoded; the same "
                f"command goes on (to begin anew, delete {folder})",
                file=sys.stderr,
            )
            raise
    return StoredParts(files, np.concatenate([counts[number] for number in range(len(files))]))


def _write(file: Path, events: Events) -> None:
    with written_aside(file) as aside:
        np.savez(aside, times_ms=events.times_ms, channels=events.channels, offsets=events.offsets)


def _read(file: Path) -> Events | None:
    """A part; None if it is not there or not whole, which its checksums say."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return Events(arrays["times_ms"], arrays["channels"], arrays["offsets"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
