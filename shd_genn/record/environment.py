"""What a run ran on: versions, commit, machine, compiler, dataset."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from shd_genn.backends.choice import Choice, get
from shd_genn.spikes.dataset import SpikeDataset, Splits
from shd_genn.support.builder import processor
from shd_genn.support.energy import Meter
from shd_genn.support.machine import available_cores
from shd_genn.support.version import __version__

FORMAT = 1
"""Version of the run folder's format: it grows with every change that readers must know of."""


@dataclass(frozen=True)
class SplitRecord:
    """A part of a dataset.

    Attributes:
        samples: Number of samples.
        spikes_per_sample: Their mean number of spikes.
        speakers: Indices of the speakers, sorted; -1 is one that is not known.
        digest: A checksum of all spikes and labels.
    """

    samples: int
    spikes_per_sample: float
    speakers: list[int]
    digest: str


@dataclass(frozen=True)
class DatasetRecord:
    """What a run was trained on, chosen by and tested on.

    Attributes:
        name: The dataset's name.
        words: The word of each class.
        channels: Input channels of the recordings.
        code: How sound became spikes.
        speaker_names: The name of each speaker index; empty where none are known.
        train: The training samples.
        valid: The validation samples; None where there are none.
        test: The test samples; None where they are not evaluated.
    """

    name: str
    words: tuple[str, ...]
    channels: int
    code: str
    speaker_names: tuple[str, ...]
    train: SplitRecord
    valid: SplitRecord | None = None
    test: SplitRecord | None = None

    @property
    def training_speakers(self) -> set[str]:
        """Names of the speakers of the training samples; indices where there are no names."""
        known = (i for i in self.train.speakers if i >= 0)
        return {self.speaker_names[i] if self.speaker_names else str(i) for i in known}


@dataclass(frozen=True)
class Environment:
    """``environment.json``: what a run ran on.

    Attributes:
        format: `FORMAT` of the run folder.
        started: When the run began: date, time and time zone.
        command: The command line.
        shd_genn: The package's version.
        python: Python's version.
        packages: Package → version.
        system: The operating system.
        cpu: The processor's name.
        cores: Cores that the process may use.
        backend: The backend that computes.
        backend_because: Why it was chosen.
        dataset: The dataset.
        model: File → digest of the model file that the folder keeps, and of modules beside it.
        commit: The commit of the checkout, with ``+changes`` if it was changed; None if there is
            no checkout.
        gpu: The GPU that computes; None if none does.
        energy: Which energy the machine counts, or why it counts none.
        engine: What else the backend says of itself: compiler with version and flags, GeNN.
    """

    format: int
    started: str
    command: list[str]
    shd_genn: str
    python: str
    packages: dict[str, str]
    system: str
    cpu: str
    cores: int
    backend: str
    backend_because: str
    dataset: DatasetRecord
    model: dict[str, str]
    commit: str | None = None
    gpu: str | None = None
    energy: str = ""
    engine: dict[str, Any] = field(default_factory=dict)


def describe(backend: Choice, splits: Splits, model: dict[str, str]) -> Environment:
    """What a run that begins now runs on.

    Args:
        backend: The backend that computes, and why.
        splits: The dataset.
        model: Digests of the model files; see `model_copy.keep`.
    """
    packages = ("numpy", "scipy", "h5py", "pandas")
    engine = get(backend.name)
    return Environment(
        format=FORMAT,
        started=f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}",
        command=[Path(sys.argv[0]).name, *sys.argv[1:]],
        shd_genn=__version__,
        commit=commit(),
        python=platform.python_version(),
        packages={name: metadata.version(name) for name in packages},
        system=platform.platform(),
        cpu=cpu_name(),
        cores=available_cores(),
        backend=backend.name,
        backend_because=backend.why,
        dataset=describe_dataset(splits),
        model=model,
        energy=Meter().sources(),
        gpu=engine.status().accelerator,
        engine=engine.describe(),
    )


def describe_dataset(splits: Splits) -> DatasetRecord:
    """Name, words, and of each split the number of samples, speakers and a checksum."""
    train = splits.train
    return DatasetRecord(
        name=train.name,
        words=tuple(train.class_names),
        channels=train.n_channels,
        code=train.code,
        speaker_names=tuple(train.speaker_names),
        train=_describe_split(train),
        valid=None if splits.valid is None else _describe_split(splits.valid),
        test=None if splits.test is None else _describe_split(splits.test),
    )


def _describe_split(part: SpikeDataset) -> SplitRecord:
    return SplitRecord(
        samples=len(part),
        spikes_per_sample=round(float(part.events.counts.mean()), 1),
        speakers=sorted({int(s) for s in part.speakers}),
        digest=digest(part),
    )


def digest(dataset: SpikeDataset) -> str:
    """A checksum of all spikes and labels."""
    hasher = hashlib.blake2b(digest_size=8)
    events = dataset.events
    for block in events.blocks():
        hasher.update(np.ascontiguousarray(block.times_ms).data)
    for block in events.blocks():
        hasher.update(np.ascontiguousarray(block.channels).data)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(events.counts)])
    for array in (offsets, dataset.labels):
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
