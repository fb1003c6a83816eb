"""Spike datasets as HDF5 files in SHD's own layout.

spikes/times   float16[] of each sample: seconds
spikes/units   uint16[] of each sample: channels
labels         class of each sample
extra/keys     the word of each class (optional)
extra/speaker  index or name of each sample's speaker (optional)
extra/meta_info/speaker_names  name of each speaker index (written here, not in SHD; optional)
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5_checks import (
    MOST_NAMES,
    check_held,
    opened,
    texts,
    whole_attribute,
    whole_numbers,
)
from shd_genn.spikes.hdf5_checks import dataset as dataset_of
from shd_genn.support.errors import DataError, refuse_unless
from shd_genn.support.files import written_aside
from shd_genn.support.machine import available_memory

N_CHANNELS = 700
"""Channels of SHD, of SSC and of every file that does not name their number."""
READ_AT_ONCE = 512
"""Samples that are read at a time, at most: their arrays of objects are short-lived."""


def write_spikes(
    path: Path, dataset: SpikeDataset, attributes: Mapping[str, str] | None = None
) -> None:
    """Write a dataset in SHD's layout, aside first.

    Args:
        path: The file; a file of this name is replaced.
        dataset: Its times are rounded to float16 seconds, as in SHD.
        attributes: Notes that go into the file's HDF5 attributes.

    Raises:
        ConfigError: if the file cannot be written.
    """
    with (
        written_aside(path) as aside,
        _DiskFile(aside) as disk,
        h5py.File(disk, "w") as file,
    ):
        _write(file, dataset, attributes or {})


class _DiskFile(io.RawIOBase):
    """A file for h5py that keeps the first error of the disk, which HDF5 itself would lose."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)
        self._error: OSError | None = None

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._error is not None:
            raise self._error

    def write(self, content: Any) -> int:
        """Write, or pretend to after an error."""
        try:
            if self._error is None:
                view = memoryview(content).cast("B")
                while view:
                    view = view[self._file.write(view) :]
        except OSError as error:
            self._error = error
        return len(content)

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """Change the length."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
            return 0

    def flush(self) -> None:
        """Nothing is buffered."""


def _write(file: h5py.File, dataset: SpikeDataset, attributes: Mapping[str, str]) -> None:
    events = dataset.events
    seconds = (events.times_ms / 1000).astype(np.float16)
    for name, values, kind in (
        ("times", seconds, np.float16),
        ("units", events.channels, np.uint16),
    ):
        rows = file.create_dataset(
            f"spikes/{name}", (len(events),), h5py.vlen_dtype(np.dtype(kind))
        )
        for i in range(len(events)):
            rows[i] = values[events.offsets[i] : events.offsets[i + 1]]
    file["labels"] = dataset.labels.astype(np.uint16)
    file["extra/keys"] = np.array([name.encode() for name in dataset.class_names])
    if np.any(dataset.speakers >= 0):
        file["extra/speaker"] = dataset.speakers.astype(np.int32)
    if dataset.speaker_names:
        names = np.array([name.encode() for name in dataset.speaker_names])
        file["extra/meta_info/speaker_names"] = names
    file.attrs["n_channels"] = dataset.n_channels
    file.attrs["code"] = dataset.code
    file.attrs.update(attributes)


def read_spikes(path: Path, name: str) -> SpikeDataset:
    """Read a file in SHD's layout, in memory that is bounded by the file's size.

    Args:
        path: The file.
        name: The dataset's name in results.

    Returns:
        The dataset, each sample's spikes sorted by time; times are float32 ms.

    Raises:
        DataError: if the file is missing, damaged, laid out otherwise, declares more than it holds,
            or its values make no sense.
    """
    with opened(path) as file:
        return _read(file, path, name)


def _read(file: h5py.File, path: Path, name: str) -> SpikeDataset:
    parts = {}
    for key in ("spikes/times", "spikes/units", "labels"):
        part = dataset_of(file, key, path)
        if part is None:
            raise DataError(
                f"{path} must hold {key} (SHD's layout: spikes/times, spikes/units, labels), but "
                f"has {', '.join(file) or 'nothing'}; write it with python -m shd_genn.encode"
            )
        parts[key] = part
        refuse_unless(
            part.ndim == 1,
            f"{path}: {key} must have one row for each sample, but has the shape {part.shape}",
            "write it in SHD's layout",
            DataError,
        )
    lengths = {key: len(part) for key, part in parts.items()}
    refuse_unless(
        len(set(lengths.values())) == 1,
        f"{path} must have times, units and a label for every sample, but has {lengths}",
        "make it again",
        DataError,
    )
    n = lengths["labels"]
    refuse_unless(
        n > 0,
        f"{path} must hold samples, but is empty",
        "encode recordings into it",
        DataError,
    )
    for key, kinds in (("spikes/times", "fiu"), ("spikes/units", "iu")):
        _check_rows(parts[key], key, kinds, path)
    n_channels = whole_attribute(file, "n_channels", N_CHANNELS, path)
    refuse_unless(
        1 <= n_channels <= 65_536,
        f"{path}: 1 <= n_channels <= 65536 must hold, but got {n_channels}",
        "correct the file's attribute",
        DataError,
    )
    labels, class_names = _read_labels(file, parts["labels"], path)
    speakers, speaker_names = _read_speakers(file, path, n)
    return SpikeDataset(
        name=name,
        events=_read_events(parts["spikes/times"], parts["spikes/units"], path, n_channels),
        labels=labels,
        speakers=speakers,
        n_channels=n_channels,
        class_names=class_names,
        speaker_names=speaker_names,
        code=str(file.attrs.get("code", "cochlea")),
    )


def _check_rows(rows: h5py.Dataset, key: str, kinds: str, path: Path) -> None:
    """Refuse what is no list of numbers for each sample."""
    kind = h5py.check_vlen_dtype(rows.dtype)
    refuse_unless(
        kind is not None and np.dtype(kind).kind in "fiucb",
        f"{path}: {key} must have a list of numbers for each sample, but is {rows.dtype}",
        "write it in SHD's layout, as rows of variable length",
        DataError,
    )
    refuse_unless(
        np.dtype(kind).kind in kinds,
        f"{path}: {key} must be {'real' if 'f' in kinds else 'whole'} numbers, but are {kind}",
        "make the file again",
        DataError,
    )
    check_held(rows, key, path)


def _read_labels(
    file: h5py.File, labels: h5py.Dataset, path: Path
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    keys = dataset_of(file, "extra/keys", path)
    class_names = () if keys is None else tuple(texts(keys, "extra/keys", path, MOST_NAMES))
    refuse_unless(
        len(set(class_names)) == len(class_names),
        f"{path}: extra/keys must name every class differently, but has {', '.join(class_names)}",
        "join the classes of the same name",
        DataError,
    )
    numbers = whole_numbers(labels, "labels", path, 0, (len(class_names) or MOST_NAMES) - 1)
    n_classes = len(class_names) or int(numbers.max()) + 1
    return numbers, class_names or tuple(map(str, range(n_classes)))


def _read_speakers(
    file: h5py.File, path: Path, n: int
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    key, names_key = "extra/speaker", "extra/meta_info/speaker_names"
    known = dataset_of(file, names_key, path)
    names = () if known is None else tuple(texts(known, names_key, path, MOST_NAMES))
    refuse_unless(
        len(set(names)) == len(names),
        f"{path}: {names_key} must name every speaker differently, but has {', '.join(names)}",
        "number those of the same name",
        DataError,
    )
    found = dataset_of(file, key, path)
    if found is None:
        return np.full(n, -1, np.int32), names
    refuse_unless(
        found.ndim == 1 and len(found) == n,
        f"{path} must name a speaker for each of its {n} samples, but {key} has the shape "
        f"{found.shape}",
        "correct it or leave it out",
        DataError,
    )
    if found.dtype.kind == "S" or h5py.check_string_dtype(found.dtype) is not None:
        # SSC-like files name the speaker of each sample; "" is an unknown one
        given = texts(found, key, path, n)
        order = [*names, *sorted(set(given) - set(names) - {""})]
        index = {name: i for i, name in enumerate(order)} | {"": -1}
        return np.array([index[name] for name in given], np.int32), tuple(order)
    most = (len(names) or 2**31) - 1
    return whole_numbers(found, key, path, -1, most), names


def _read_events(times: h5py.Dataset, units: h5py.Dataset, path: Path, n_channels: int) -> Events:
    n, size = len(times), path.stat().st_size
    # rows of a damaged file may all point to the same spikes: a step never reads too much
    at_once = int(np.clip(available_memory() // 4 // size, 1, READ_AT_ONCE))
    parts: list[tuple[NDArray[np.float32], NDArray[np.uint16]]] = []
    offsets = np.zeros(n + 1, np.int64)
    held = 0
    for start in range(0, n, at_once):
        seconds = times[start : start + at_once]
        channels = units[start : start + at_once]
        counts = np.array([len(s) for s in seconds])
        wrong = np.flatnonzero(counts != [len(u) for u in channels])
        if len(wrong):
            i = int(wrong[0])
            raise DataError(
                f"{path}: sample {start + i} must have as many times as units, but has "
                f"{len(seconds[i])} and {len(channels[i])}; make it again"
            )
        np.cumsum(counts, out=offsets[start + 1 : start + 1 + len(counts)])
        offsets[start + 1 : start + 1 + len(counts)] += offsets[start]
        all_seconds, all_channels = np.concatenate(seconds), np.concatenate(channels)
        held += all_seconds.nbytes + all_channels.nbytes
        refuse_unless(
            held <= size,
            f"{path} has {size} bytes, but its samples share the same spikes again and again",
            "copy the file again from where it came, or make it again",
            DataError,
        )
        # float16 ends at 65504: to float32 first, then to ms
        times_ms = all_seconds.astype(np.float32) * np.float32(1000)
        _check(path, times_ms, all_channels, n_channels)
        all_channels = all_channels.astype(np.uint16)
        _sort(times_ms, all_channels, offsets[start : start + 1 + len(counts)] - offsets[start])
        parts.append((times_ms, all_channels))
    events = Events(np.empty(offsets[-1], np.float32), np.empty(offsets[-1], np.uint16), offsets)
    end = int(offsets[-1])
    while parts:  # each part's memory is given back before the next one's is needed twice
        times_ms, all_channels = parts.pop()
        events.times_ms[end - len(times_ms) : end] = times_ms
        events.channels[end - len(times_ms) : end] = all_channels
        end -= len(times_ms)
    return events


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


def _sort(
    times_ms: NDArray[np.float32], channels: NDArray[np.uint16], offsets: NDArray[np.int64]
) -> None:
    """Sort those samples by time, in place, that are not sorted."""
    falls = np.flatnonzero(np.diff(times_ms) < 0) + 1
    inside = falls[~np.isin(falls, offsets)]
    for i in np.unique(np.searchsorted(offsets, inside, side="right") - 1):
        part = slice(offsets[i], offsets[i + 1])
        order = np.argsort(times_ms[part], kind="stable")
        times_ms[part], channels[part] = times_ms[part][order], channels[part][order]
