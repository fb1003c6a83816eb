"""Spike datasets as HDF5 files in SHD's own layout.

spikes/times   float16[] of each sample: seconds (float32[] if a sample is longer than 2 s)
spikes/units   uint16[] of each sample: channels
labels         class of each sample
extra/keys     the word of each class (optional)
extra/speaker  index or name of each sample's speaker (optional)
extra/meta_info/speaker_names  name of each speaker index (written here, not in SHD; optional)
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shd_genn.spikes import stored_events
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import EventSource
from shd_genn.spikes.hdf5_checks import (
    MOST_NAMES,
    check_held,
    opened,
    texts,
    whole_attribute,
    whole_numbers,
)
from shd_genn.spikes.hdf5_checks import dataset as dataset_of
from shd_genn.spikes.hdf5_heap import check_places
from shd_genn.support.errors import DataError, refuse_unless
from shd_genn.support.files import written_aside

N_CHANNELS = 700
"""Channels of SHD, of SSC and of every file that does not name their number."""
FLOAT16_MS = 2048.0
"""From here on, a step of float16 seconds is 2 ms, and doubles with the time."""


def write_spikes(
    path: Path, dataset: SpikeDataset, attributes: Mapping[str, str] | None = None
) -> None:
    """Write a dataset in SHD's layout, aside first.

    Args:
        path: The file; a file of this name is replaced.
        dataset: Its times are rounded to float16 seconds, as in SHD, but for samples longer than
            2 s, which keep float32: at 60 s a step of float16 is 31 ms.
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
    kind = _kind_of_times(events)
    rows = file.create_dataset("spikes/times", (len(events),), h5py.vlen_dtype(kind))
    for i, (times_ms, _) in enumerate(_each(events)):
        rows[i] = _seconds(times_ms).astype(kind)
    rows = file.create_dataset("spikes/units", (len(events),), h5py.vlen_dtype(np.dtype(np.uint16)))
    for i, (_, channels) in enumerate(_each(events)):
        rows[i] = channels
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


def _each(events: EventSource) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint16]]]:
    for block in events.blocks():
        for i in range(len(block)):
            yield block.sample(i)


def _is_long(times_ms: NDArray[np.float32]) -> bool:
    """Whether a sample has later spikes than float16 seconds have about 1 ms for."""
    return len(times_ms) > 0 and bool(times_ms.max() >= FLOAT16_MS)


def _kind_of_times(events: EventSource) -> np.dtype[Any]:
    """float16 as in SHD; float32 if a sample is long."""
    long = any(_is_long(times_ms) for times_ms, _ in _each(events))
    return np.dtype(np.float32 if long else np.float16)


def _seconds(times_ms: NDArray[np.float32]) -> NDArray[np.floating]:
    """Times in s, as precise as they are stored: those of a short sample as in SHD."""
    seconds = np.asarray(times_ms / np.float32(1000))
    return seconds if _is_long(times_ms) else seconds.astype(np.float16)


def read_spikes(path: Path, name: str) -> SpikeDataset:
    """Read a file in SHD's layout, in memory that is bounded by the file's size.

    Args:
        path: The file.
        name: The dataset's name in results.

    Returns:
        The dataset, each sample's spikes ascend in time; times are float32 ms. If the spikes would
        take more than a quarter of the free memory, they stay in the file, see `StoredEvents`.

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
    in_rows = []
    for key, kinds in (("spikes/times", "fiu"), ("spikes/units", "iu")):
        _check_rows(parts[key], key, kinds, path)
        in_rows.append(check_places(file, parts[key], key, path))
    known = [each for each in in_rows if each is not None]
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
        events=stored_events.load(
            parts["spikes/times"],
            parts["spikes/units"],
            path,
            n_channels,
            np.maximum(*known) if len(known) == 2 else None,
        ),
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
    stored = rows.id.get_type()
    refuse_unless(
        # HDF5 2.0 does not survive other kinds of variable length than sequences (0) here
        stored.encode()[3] & 0x0F == 0,
        f"{path}: the type of {key} is damaged",
        "copy the file again from where it came, or make it again",
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
