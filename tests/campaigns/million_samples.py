"""Train on a million samples whose spikes stay in their file, and print the memory that it takes.

python tests/campaigns/million_samples.py FOLDER [--samples 1000000] [--memory-mb 400]

FOLDER gets the dataset (about 200 MB). --memory-mb is the memory that the reader believes to be
free, so that the spikes stay in the file also on a large machine.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import h5py
import numpy as np
import psutil

from shd_genn.config import Config
from shd_genn.config.flat import update
from shd_genn.spikes import stored_events
from shd_genn.train import loop

SPIKES, CHANNELS, CLASSES, AT_ONCE = 20, 40, 4, 10_000


def write(path: Path, n: int) -> None:
    """A dataset in SHD's layout: each class spikes on its own quarter of the channels."""
    rng = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        labels = rng.integers(0, CLASSES, n)
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            rows = file.create_dataset(f"spikes/{name}", (n,), h5py.vlen_dtype(np.dtype(kind)))
            for begin in range(0, n, AT_ONCE):
                mine = labels[begin : begin + AT_ONCE, np.newaxis]
                if name == "times":
                    values = np.sort(rng.random((len(mine), SPIKES)) * 0.02, axis=1)
                else:
                    values = mine * 10 + rng.integers(0, 10, (len(mine), SPIKES))
                part = np.empty(len(mine), object)
                part[:] = list(values.astype(kind))
                part[0] = part[0][:-1]  # h5py takes rows of one length for a matrix
                rows[begin : begin + len(mine)] = part
        file["labels"] = labels.astype(np.uint16)
        file.attrs["n_channels"] = CHANNELS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--memory-mb", type=int, default=400)
    given = parser.parse_args()
    for split, n in (("train", given.samples), ("test", given.samples // 10)):
        if not (given.folder / f"{split}.h5").exists():
            write(given.folder / f"{split}.h5", n)
    stored_events.available_memory = lambda: given.memory_mb << 20
    settings = {
        "dataset": str(given.folder), "hidden_sizes": (16,), "trial_ms": 20.0, "epochs": 1,
        "batch_size": 256, "shift_channels": 0.0, "w_in_mean": 0.3, "w_in_sd": 0.1,
        "validation": "random", "validation_fraction": 0.1, "learning_rate": 0.01,
    }  # fmt: skip
    process, begin = psutil.Process(), time.perf_counter()
    print(f"before: {process.memory_info().rss / 2**20:.0f} MiB")
    folder = loop.start(update(Config(), settings), given.folder / "runs")
    result = folder.result
    print(
        f"{given.samples} samples: {time.perf_counter() - begin:.0f} s, peak "
        f"{result.peak_memory_mb} MiB, test accuracy {result.test.accuracy:.1%}"
    )


if __name__ == "__main__":
    main()
