"""What a run ran on: versions, commit, machine, compiler, dataset."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from shd_genn.backends.choice import Choice, get
from shd_genn.spikes.dataset import SpikeDataset, Splits
from shd_genn.support.builder import processor
from shd_genn.support.machine import available_cores
from shd_genn.support.version import __version__


def describe(backend: Choice, splits: Splits) -> dict[str, Any]:
    """Everything that ``environment.json`` holds.

    Args:
        backend: The one that is used.
        splits: What is learned.
    """
    packages = ("numpy", "scipy", "h5py", "pandas")
    engine = get(backend.name)
    return {
        "started": f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}",
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "shd_genn": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
        "system": platform.platform(),
        "cpu": cpu_name(),
        "cores": available_cores(),
        "backend": backend.name,
        "backend_because": backend.why,
        "gpu": engine.status().accelerator,
        **engine.describe(),
        "dataset": describe_dataset(splits),
    }


def describe_dataset(splits: Splits) -> dict[str, Any]:
    """Name, words, and of each split the number of samples, speakers and a checksum."""
    parts = {"train": splits.train, "valid": splits.valid, "test": splits.test}
    return {
        "name": splits.train.name,
        "words": list(splits.train.class_names),
        "channels": splits.train.n_channels,
        "code": splits.train.code,
        **{
            split: {
                "samples": len(part),
                "spikes_per_sample": round(float(part.events.counts.mean()), 1),
                "speakers": sorted({int(s) for s in part.speakers}),
                "digest": digest(part),
            }
            for split, part in parts.items()
            if part is not None
        },
        "speaker_names": list(splits.train.speaker_names),
    }


def digest(dataset: SpikeDataset) -> str:
    """A checksum of all spikes and labels."""
    hasher = hashlib.blake2b(digest_size=8)
    events = dataset.events
    for array in (events.times_ms, events.channels, events.offsets, dataset.labels):
        hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()


def commit() -> str | None:
    """The commit of the checkout this package lies in, "+changes" if it is not clean; else None."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            result = subprocess.run(
                ["git", *arguments], cwd=here, capture_output=True, text=True, check=False
            )
        except OSError:
            return None
        return result.stdout.strip() if result.returncode == 0 else None

    if git("ls-files", "--error-unmatch", "environment.py") is None:
        return None  # installed into some other project's checkout
    head = git("rev-parse", "--short=12", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
    return f"{head}+changes" if head and changed else head


def cpu_name() -> str:
    """The processor's model name."""
    named = (line for line in processor().splitlines() if line.startswith("model name"))
    return next(named, platform.processor()).partition(": ")[2] or platform.machine()
