"""`python -m shd_genn.bench noise FOLDER`: write a dataset of random spikes, as large as SHD.

It serves to measure whole epochs of ``python -m shd_genn.run``. It holds nothing to be learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from shd_genn.datasets.noise import N_CHANNELS, N_CLASSES, synthetic_batch
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.cli import parse
from shd_genn.support.errors import refuse_unless, require


@dataclass(frozen=True)
class Options:
    """Write random spikes, as many samples as SHD has, in SHD's layout."""

    folder: tyro.conf.Positional[Path]
    """Gets train.h5 and test.h5; its name is the dataset's."""
    train: int = 8156
    """Training samples."""
    test: int = 2264
    """Test samples."""

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            require(1 <= getattr(self, name), f"1 <= {name}", getattr(self, name), "SHD has more")
        taken = [name for name in ("train.h5", "test.h5") if (self.folder / name).exists()]
        refuse_unless(
            not taken and (self.folder.is_dir() or not self.folder.exists()),
            f"{self.folder} must be a new folder, or one without train.h5 and test.h5",
            "name another; nothing is overwritten",
        )


def main(arguments: list[str]) -> None:
    """Write the dataset."""
    options = parse(Options, arguments, prog="python -m shd_genn.bench noise")
    options.folder.mkdir(parents=True, exist_ok=True)
    events, labels = synthetic_batch(options.train + options.test)
    both = SpikeDataset(
        name=options.folder.name,
        events=events,
        labels=labels,
        speakers=np.full(len(labels), -1, np.int32),
        n_channels=N_CHANNELS,
        class_names=tuple(f"noise{i}" for i in range(N_CLASSES)),
    )
    parts = np.split(np.arange(len(labels)), [options.train])
    for split, mine in zip(("train", "test"), parts, strict=True):
        write_spikes(options.folder / f"{split}.h5", both.subset(mine))
