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

from shd_genn.datasets.spikes import SpikeDataset
from shd_genn.errors import DataError
from shd_genn.events import Events
from shd_genn.files import written_aside

N_CHANNELS = 700
"""Channels of SHD, SSC and of every file that does not say otherwise."""
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
        raise DataError(f"{path} must be an HDF5 file in SHD's layout, but there is none")
    try:
        with h5py.File(path) as file:
            return _read(file, path, name)
    except DataError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError) as error:
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
    labels = np.asarray(file["labels"][:], np.int64)
    n = len(labels)
    lengths = {key: len(file[key]) for key in ("spikes/times", "spikes/units", "labels")}
    if len(set(lengths.values())) != 1:
        raise DataError(f"{path} must have as many labels as samples, but has {lengths}")
    if n == 0:
        raise DataError(f"{path} must hold samples, but is empty; encode recordings into it")
    n_channels = int(file.attrs.get("n_channels", N_CHANNELS))
    class_names = _names(file, "extra/keys") or tuple(
        map(str, range(max(int(labels.max()), 0) + 1))
    )
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise DataError(
            f"{path}: 0 <= label < {len(class_names)} classes must hold, but labels range from "
            f"{labels.min()} to {labels.max()}; correct labels or extra/keys"
        )
    speakers = np.full(n, -1)
    if "extra/speaker" in file:
        speakers = np.asarray(file["extra/speaker"][:])
        if len(speakers) != n:
            raise DataError(f"{path} must name a speaker for all {n} samples, not {len(speakers)}")
    return SpikeDataset(
        name=name,
        events=_read_events(file, path, n, n_channels),
        labels=labels.astype(np.int32),
        speakers=speakers.astype(np.int32),
        n_channels=n_channels,
        class_names=class_names,
        speaker_names=_names(file, "extra/meta_info/speaker_names"),
    )


def _names(file: h5py.File, key: str) -> tuple[str, ...]:
    if key not in file:
        return ()
    return tuple(n.decode() if isinstance(n, bytes) else str(n) for n in file[key][:])


def _read_events(file: h5py.File, path: Path, n: int, n_channels: int) -> Events:
    times: list[NDArray[np.float32]] = []
    channels: list[NDArray[np.uint16]] = []
    counts: list[int] = []
    for start in range(0, n, READ_AT_ONCE):
        part = slice(start, start + READ_AT_ONCE)
        seconds, units = file["spikes/times"][part], file["spikes/units"][part]
        for i, (s, u) in enumerate(zip(seconds, units, strict=True), start):
            if len(s) != len(u):
                raise DataError(
                    f"{path}: sample {i} must have as many times as units, "
                    f"but has {len(s)} and {len(u)}"
                )
        counts += [len(s) for s in seconds]
        # float16 ends at 65504: to float32 first, then to ms
        t = np.concatenate(seconds).astype(np.float32) * np.float32(1000)
        u = np.concatenate(units)
        _check(path, t, u, n_channels)
        times.append(t)
        channels.append(u.astype(np.uint16))
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return _sorted(Events(np.concatenate(times), np.concatenate(channels), offsets))


def _check(
    path: Path, times_ms: NDArray[np.float32], units: NDArray[np.integer], n_channels: int
) -> None:
    if len(times_ms) == 0:
        return
    if not (np.isfinite(times_ms).all() and times_ms.min() >= 0):
        bad = times_ms[~(np.isfinite(times_ms) & (times_ms >= 0))][0] / 1000
        raise DataError(
            f"{path}: 0 <= spike time < inf must hold, but got {bad} s; remove such spikes"
        )
    if units.min() < 0 or units.max() >= n_channels:
        raise DataError(
            f"{path}: 0 <= unit < {n_channels} channels must hold, but units range from "
            f"{units.min()} to {units.max()}; correct them, or the file's attribute n_channels"
        )


def _sorted(events: Events) -> Events:
    """Sort the samples whose times are not ascending."""
    falls = np.flatnonzero(np.diff(events.times_ms) < 0) + 1
    inside = falls[~np.isin(falls, events.offsets)]
    for i in np.unique(np.searchsorted(events.offsets, inside, side="right") - 1):
        times, channels = events.sample(int(i))
        order = np.argsort(times, kind="stable")
        times[:], channels[:] = times[order], channels[order]
    return events
