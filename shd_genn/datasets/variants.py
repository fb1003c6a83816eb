"""Versions of a training set's recordings, in files beside it; see `shd_genn.encode.variants`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support.errors import DataError, refuse_unless


def with_variants(train: SpikeDataset, path: Path, number: int) -> SpikeDataset:
    """A training set with versions of its recordings.

    Args:
        train: The recordings themselves.
        path: Their file; version 1 of ``train.h5`` is ``train.variant1.h5``.
        number: How many versions are read.

    Raises:
        DataError: if a file is missing, or its samples are not versions of the same recordings.
    """
    found = []
    for i in range(1, number + 1):
        file = path.with_suffix(f".variant{i}{path.suffix}")
        refuse_unless(
            file.is_file(),
            f"variants = {number} needs {file}, which does not exist",
            f"write it with python -m shd_genn.encode --variants {number}, or lower variants",
            DataError,
        )
        version = read_spikes(file, train.name)
        same = (
            np.array_equal(version.labels, train.labels)
            and version.class_names == train.class_names
            and np.array_equal(version.speakers, train.speakers)
            and version.n_channels == train.n_channels
        )
        refuse_unless(
            same,
            f"{file} must have versions of the recordings of {path.name}, but its words, speakers "
            "or channels are others",
            "encode both at once with --variants",
            DataError,
        )
        found.append(version.events)
    return replace(train, variants=tuple(found))
