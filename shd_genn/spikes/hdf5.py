"""Spike datasets as HDF5 files in SHD's own layout.

spikes/times   float16[] of each sample: seconds
spikes/units   uint16[] of each sample: channels
labels         class of each sample
extra/keys     the word of each class (optional)
extra/speaker  index of each sample's speaker (optional)
extra/meta_info/speaker_names  (ours, optional)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.support.errors import DataError
from shd_genn.support.files import written_aside

N_CHANNELS = 700
"""Channels of SHD, SSC and of every file that does not say otherwise."""
MOST_CLASSES = 65_536
"""Labels are written as uint16."""
READ_AT_ONCE = 512
"""Samples that are read at a time: their arrays of objects are short-lived."""


def write_spikes(
    path: Path, dataset: SpikeDataset, attributes: Mapping[str, str] | None = None
) -> None:
    """Write a dataset in SHD's layout, aside first.

    Args:
        path: The file; what was there is replaced.
        dataset: Its times are cut to float16 seconds, as in SHD.
        attributes: Notes that go into the file's HDF5 attributes.

    Raises:
        ConfigError: if the file cannot be written.
    """
    events = dataset.events
    seconds = (events.times_ms / 1000).astype(np.float16)
    with written_aside(path) as aside, h5py.File(aside, "w") as file:
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
        file.attrs.update(attributes or {})


def read_spikes(path: Path, name: str) -> SpikeDataset:
    """Read a file in SHD's layout.

    Args:
        path: The file.
        name: What the dataset is called in results.

    Returns:
        The dataset, each sample's spikes sorted by time; times are float32 ms.

    Raises:
        DataError: if the file is missing, damaged, laid out otherwise, or its values make no sense.
    """
    if not path.is_file():
        raise DataError(
            f"{path} must be an HDF5 file in SHD's layout, but there is none; correct the path"
        )
    try:
        with h5py.File(path) as file:
            return _read(file, path, name)
    except DataError:
        raise
    except (
        OSError,
        RuntimeError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        OverflowError,
    ) as error:
        raise DataError(
            f"{path} must be a whole HDF5 file in SHD's layout, but {error}; copy or make it again"
        ) from error


def _read(file: h5py.File, path: Path, name: str) -> SpikeDataset:
    for key in ("spikes/times", "spikes/units", "labels"):
        if key not in file:
            raise DataError(
                f"{path} must hold {key} (SHD's layout: spikes/times, spikes/units, labels), but "
                f"has {', '.join(file) or 'nothing'}; write it with python -m shd_genn.encode"
            )
    lengths = {key: len(file[key]) for key in ("spikes/times", "spikes/units", "labels")}
    if len(set(lengths.values())) != 1:
        raise DataError(
            f"{path} must have times, units and a label for every sample, but has {lengths}; "
            "make it again"
        )
    n = lengths["labels"]
    if n == 0:
        raise DataError(f"{path} must hold samples, but is empty; encode recordings into it")
    n_channels = int(file.attrs.get("n_channels", N_CHANNELS))
    if not 1 <= n_channels <= 65_536:
        raise DataError(
            f"{path}: 1 <= n_channels <= 65536 must hold, but got {n_channels}; correct the "
            "file's attribute"
        )
    labels, class_names = _read_labels(file, path)
    speakers, speaker_names = _read_speakers(file, path, n)
    return SpikeDataset(
        name=name,
        events=_read_events(file, path, n, n_channels),
        labels=labels,
        speakers=speakers,
        n_channels=n_channels,
        class_names=class_names,
        speaker_names=speaker_names,
        code=str(file.attrs.get("code", "cochlea")),
    )


def _read_labels(file: h5py.File, path: Path) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    labels = _whole_numbers(file, "labels", path)
    class_names = _names(file, "extra/keys")
    # a damaged label must not become as many names
    n_classes = len(class_names) or min(max(int(labels.max()), 0) + 1, MOST_CLASSES)
    if len(set(class_names)) < len(class_names):
        raise DataError(
            f"{path}: extra/keys must name every class differently, but has "
            f"{', '.join(class_names)}; join the classes of the same name"
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(
            f"{path}: 0 <= label < {n_classes} classes must hold, but labels range from "
            f"{labels.min()} to {labels.max()}; correct labels or extra/keys"
        )
    return labels.astype(np.int32), class_names or tuple(map(str, range(n_classes)))


def _read_speakers(
    file: h5py.File, path: Path, n: int
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    names = _names(file, "extra/meta_info/speaker_names")
    if len(set(names)) < len(names):
        raise DataError(
            f"{path}: extra/meta_info/speaker_names must name every speaker differently, but has "
            f"{', '.join(names)}; number those of the same name"
        )
    if "extra/speaker" not in file:
        return np.full(n, -1, np.int32), names
    speakers = _whole_numbers(file, "extra/speaker", path)
    if len(speakers) != n:
        raise DataError(
            f"{path} must name a speaker for each of its {n} samples, but extra/speaker has "
            f"{len(speakers)}; correct it or leave it out"
        )
    if names and speakers.max() >= len(names):
        raise DataError(
            f"{path}: speaker < {len(names)} names must hold, but speakers range up to "
            f"{speakers.max()}; correct extra/speaker or extra/meta_info/speaker_names"
        )
    return speakers.astype(np.int32), names


def _whole_numbers(file: h5py.File, key: str, path: Path) -> NDArray[np.int64]:
    values = np.asarray(file[key][:])
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {key} must be a row of whole numbers, but is {values.dtype} of shape "
            f"{values.shape}; make it again"
        )
    return values.astype(np.int64)


def _names(file: h5py.File, key: str) -> tuple[str, ...]:
    if key not in file:
        return ()
    return tuple(n.decode() if isinstance(n, bytes) else str(n) for n in file[key][:])


def _read_events(file: h5py.File, path: Path, n: int, n_channels: int) -> Events:
    parts: list[tuple[NDArray[np.float32], NDArray[np.uint16]]] = []
    offsets = np.zeros(n + 1, np.int64)
    for start in range(0, n, READ_AT_ONCE):
        seconds = file["spikes/times"][start : start + READ_AT_ONCE]
        units = file["spikes/units"][start : start + READ_AT_ONCE]
        counts = np.array([len(s) for s in seconds])
        wrong = np.flatnonzero(counts != [len(u) for u in units])
        if len(wrong):
            i = int(wrong[0])
            raise DataError(
                f"{path}: sample {start + i} must have as many times as units, but has "
                f"{len(seconds[i])} and {len(units[i])}; make it again"
            )
        np.cumsum(counts, out=offsets[start + 1 : start + 1 + len(counts)])
        offsets[start + 1 : start + 1 + len(counts)] += offsets[start]
        # float16 ends at 65504: to float32 first, then to ms
        times_ms = np.concatenate(seconds).astype(np.float32) * np.float32(1000)
        channels = np.concatenate(units)
        _check(path, times_ms, channels, n_channels)
        channels = channels.astype(np.uint16)
        _sort(times_ms, channels, offsets[start : start + 1 + len(counts)] - offsets[start])
        parts.append((times_ms, channels))
    events = Events(np.empty(offsets[-1], np.float32), np.empty(offsets[-1], np.uint16), offsets)
    end = int(offsets[-1])
    while parts:  # each part's memory is given back before the next one's is needed twice
        times_ms, channels = parts.pop()
        events.times_ms[end - len(times_ms) : end] = times_ms
        events.channels[end - len(times_ms) : end] = channels
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
    if units.dtype.kind not in "iu":
        raise DataError(
            f"{path}: spikes/units must be whole numbers, but are {units.dtype}; make it again"
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
