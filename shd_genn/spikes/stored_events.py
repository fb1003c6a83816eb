"""The spikes of an HDF5 file: in memory, or, if there are too many, read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5_checks import opened
from shd_genn.support.errors import DataError, refuse_unless
from shd_genn.support.machine import available_memory

READ_AT_ONCE = 512
"""Samples that are read at a time, at most: their arrays of objects are short-lived."""
PART_OF_MEMORY = 4
"""Spikes that take more than the free memory divided by this stay in the file."""
BYTES_A_SPIKE = 6
"""Of `Events`: float32 and uint16."""


@dataclass(frozen=True)
class FileState:
    """What a file is known by, to notice that it was changed."""

    path: Path
    size: int
    time_ns: int

    @staticmethod
    def of(path: Path) -> FileState:
        """The state of a file now."""
        found = path.stat()
        return FileState(path, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class StoredEvents:
    """Samples whose spikes stay in their file; see `EventSource`.

    The file was checked once, from its first to its last spike. What is read of it later is
    converted in the same way, so the spikes are those of `Events` to the bit.

    Attributes:
        file: The file, as it was when it was checked.
        rows: int64, (n_samples,): the row of each sample in the file.
        counts: int64, (n_samples,): spikes per sample.
        n_channels: Channels that its numbers are below.
    """

    file: FileState
    rows: NDArray[np.int64]
    counts: NDArray[np.int64]
    n_channels: int

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.rows)

    def sample(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """Times (ms) and channels of one sample."""
        return self.take(np.array([index])).sample(0)

    def take(self, indices: NDArray[np.integer]) -> Events:
        """The given samples, in the given order, read from the file.

        Raises:
            DataError: if the file was changed meanwhile.
        """
        path, rows = self.file.path, self.rows[indices]
        with opened(path) as file:
            refuse_unless(
                FileState.of(path) == self.file,
                f"{path} was changed while it was in use",
                "leave datasets alone while a network is trained on them; start again",
                DataError,
            )
            times, units = file["spikes/times"], file["spikes/units"]
            return _converted(times, units, rows, path, self.n_channels)

    def select(self, indices: NDArray[np.integer]) -> StoredEvents:
        """The given samples, in the given order; they stay in the file."""
        return StoredEvents(self.file, self.rows[indices], self.counts[indices], self.n_channels)

    def blocks(self) -> Iterator[Events]:
        """All samples in their order, some at a time."""
        for begin, end in _parts(self.counts, _most()):
            yield self.take(np.arange(begin, end))


def load(
    times: h5py.Dataset,
    units: h5py.Dataset,
    path: Path,
    n_channels: int,
    lengths: NDArray[np.int64] | None,
) -> Events | StoredEvents:
    """Check all spikes of a file, and keep them in memory if they fit there well.

    Args:
        times: Seconds, a row for each sample.
        units: Channels, likewise.
        path: The file.
        n_channels: Channels that must be below this number.
        lengths: int64, (n_samples,): the most values in a row of each; None if it is not known.

    Raises:
        DataError: if its values make no sense.
    """
    n, size = len(times), path.stat().st_size
    most = _most()
    if lengths is None:
        # rows of a damaged file may all point to the same spikes: a step never reads too much
        lengths = np.full(n, max(1, size // BYTES_A_SPIKE))
    parts: list[Events] = []
    counts = np.zeros(n, np.int64)
    held = n_spikes = 0
    for begin, end in _parts(lengths, most):
        rows = np.arange(begin, end)
        part = _converted(times, units, rows, path, n_channels)
        counts[rows] = part.counts
        n_spikes += len(part.times_ms)
        held += len(part.times_ms) * (_bytes_of(times) + _bytes_of(units))
        refuse_unless(
            held <= size,
            f"{path} has {size} bytes, but its samples share the same spikes again and again",
            "copy the file again from where it came, or make it again",
            DataError,
        )
        if n_spikes <= most:
            parts.append(part)
        else:
            parts.clear()
    if n_spikes > most:
        return StoredEvents(FileState.of(path), np.arange(n), counts, n_channels)
    return _joined(parts, counts)


def _most() -> int:
    """Spikes that memory is for: to keep, and to read together."""
    return available_memory() // PART_OF_MEMORY // BYTES_A_SPIKE


def _bytes_of(rows: h5py.Dataset) -> int:
    return int(np.dtype(h5py.check_vlen_dtype(rows.dtype)).itemsize)


def _joined(parts: list[Events], counts: NDArray[np.int64]) -> Events:
    """All parts in a row; each one's memory is given back before the next one is copied."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    events = Events(np.empty(offsets[-1], np.float32), np.empty(offsets[-1], np.uint16), offsets)
    end = int(offsets[-1])
    while parts:
        part = parts.pop()
        begin = end - len(part.times_ms)
        events.times_ms[begin:end], events.channels[begin:end] = part.times_ms, part.channels
        end = begin
    return events


def _parts(counts: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """First and last (not included) of samples to read together.

    Args:
        counts: Spikes of each sample.
        most: Spikes to read together, if more than one sample is read.
    """
    begin = spikes = 0
    for i, count in enumerate(counts.tolist()):
        if i > begin and (spikes + count > most or i - begin == READ_AT_ONCE):
            yield begin, i
            begin, spikes = i, 0
        spikes += count
    if begin < len(counts):
        yield begin, len(counts)


def _read(dataset: h5py.Dataset, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Rows of a dataset in any order, also twice, in one call of HDF5.

    h5py's own way has rows that ascend only, or one call for each, which takes 20 times as long.
    """
    chosen = dataset.id.get_space()
    chosen.select_elements(rows[:, np.newaxis].astype(np.uint64))
    found: NDArray[Any] = np.empty(len(rows), dtype=dataset.dtype)
    to = h5py.h5s.create_simple((len(rows),))
    dataset.id.read(to, chosen, found, mtype=h5py.h5t.py_create(dataset.dtype))
    return found


def _converted(
    times: h5py.Dataset, units: h5py.Dataset, rows: NDArray[np.int64], path: Path, n_channels: int
) -> Events:
    """Some rows of a file, checked, in ms."""
    if len(rows) == 0:
        return Events(np.empty(0, np.float32), np.empty(0, np.uint16), np.zeros(1, np.int64))
    seconds, channels = _read(times, rows), _read(units, rows)
    counts = np.array([len(s) for s in seconds])
    wrong = np.flatnonzero(counts != [len(u) for u in channels])
    if len(wrong):
        i = int(wrong[0])
        raise DataError(
            f"{path}: sample {rows[i]} must have as many times as units, but has "
            f"{len(seconds[i])} and {len(channels[i])}; make it again"
        )
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    all_seconds, all_channels = np.concatenate(seconds), np.concatenate(channels)
    # float16 ends at 65504: to float32 first, then to ms
    times_ms = all_seconds.astype(np.float32) * np.float32(1000)
    _check(path, times_ms, all_channels, n_channels)
    all_channels = all_channels.astype(np.uint16)
    _check_order(path, times_ms, offsets, rows)
    return Events(times_ms, all_channels, offsets)


def _check(
    path: Path, times_ms: NDArray[np.float32], units: NDArray[np.integer], n_channels: int
) -> None:
    if len(times_ms) == 0:
        return
    bad = ~((times_ms >= 0) & (times_ms < np.inf))  # so NaN is bad, too
    if bad.any():
        raise DataError(
            f"{path}: 0 <= spike time < inf must hold, but got {times_ms[bad][0] / 1000} s; "
            "remove such spikes"
        )
    if units.min() < 0 or units.max() >= n_channels:
        raise DataError(
            f"{path}: 0 <= unit < {n_channels} channels must hold, but units range from "
            f"{units.min()} to {units.max()}; correct them, or the file's attribute n_channels"
        )


def _check_order(
    path: Path, times_ms: NDArray[np.float32], offsets: NDArray[np.int64], rows: NDArray[np.int64]
) -> None:
    """Refuse samples whose spikes do not follow each other in time."""
    falls = np.flatnonzero(np.diff(times_ms) < 0) + 1
    inside = falls[~np.isin(falls, offsets)]
    if len(inside):
        i = int(np.searchsorted(offsets, inside[0], side="right")) - 1
        raise DataError(
            f"{path}: the times of every sample must ascend, but those of sample {rows[i]} do "
            "not; give the spikes of each sample in the order of their times"
        )
