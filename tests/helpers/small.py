"""Small datasets for the tests of this folder."""

import h5py
import numpy as np

from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import write_spikes


def dataset(labels, speakers=None, names=("ja", "nein"), speaker_names=(), n_channels=700, seed=0):
    """A dataset with random spikes at times that float16 seconds hold exactly."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in labels:
        n = int(rng.integers(0, 30))
        seconds = rng.integers(0, 1000, n) / 1024
        samples.append((seconds * 1000, rng.integers(0, n_channels, n)))
    return SpikeDataset(
        name="small",
        events=Events.of(samples),
        labels=np.asarray(labels, np.int32),
        speakers=np.full(len(labels), -1, np.int32)
        if speakers is None
        else np.asarray(speakers, np.int32),
        n_channels=n_channels,
        class_names=tuple(names),
        speaker_names=tuple(speaker_names),
    )


def write(folder, **parts):
    """Write datasets as the files of a folder: train=…, test=…"""
    for split, part in parts.items():
        write_spikes(folder / f"{split}.h5", part)
    return folder


def raw(path, times, units, labels=None, n_channels=None, **more):
    """Write a file in SHD's layout whose content need not make sense; None leaves things out."""
    fractions = any(isinstance(unit, float) for row in units or [] for unit in row)
    with h5py.File(path, "w") as file:
        for key, rows, kind in (
            ("times", times, "f2"),
            ("units", units, "f8" if fractions else "i4"),
        ):
            if rows is not None:
                kind = h5py.vlen_dtype(np.dtype(kind))
                saved = file.create_dataset(f"spikes/{key}", (len(rows),), kind)
                for i, row in enumerate(rows):
                    saved[i] = row
        if labels is not None:
            file["labels"] = labels
        if n_channels is not None:
            file.attrs["n_channels"] = n_channels
        for key, value in more.items():
            file[f"extra/{key}"] = value
    return path
