"""What is measured on: random spikes of SHD's density, and networks as active as trained ones.

``python -m shd_genn.synthetic FOLDER`` writes a dataset of them, as large as SHD, to measure whole
epochs of ``python -m shd_genn.run``. There is nothing in it to be learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from shd_genn.backends import Compiled
from shd_genn.cli import command
from shd_genn.config import ModelConfig
from shd_genn.datasets.hdf5 import write_spikes
from shd_genn.datasets.spikes import SpikeDataset
from shd_genn.errors import require
from shd_genn.events import Events

N_CHANNELS, N_CLASSES, TRIAL_MS, N_SPIKES, BATCH = 700, 20, 1000, 8000, 32
SPIKES_PER_NEURON = 9.0
Topology = Literal["recurrent", "feedforward"]


def synthetic_model(topology: str, hidden: int, settings: ModelConfig | None = None) -> ModelConfig:
    """Settings of a network with one hidden layer between SHD's channels and classes.

    Args:
        topology: Name of its model file.
        hidden: Hidden neurons.
        settings: All others; by default the project's.
    """
    return replace(
        settings or ModelConfig(),
        model=topology,
        hidden_sizes=(hidden,),
        n_inputs=N_CHANNELS,
        n_classes=N_CLASSES,
    )


def synthetic_batch(n_samples: int, n_spikes: int = N_SPIKES) -> tuple[Events, NDArray[np.int32]]:
    """Random spikes, as dense as SHD's unless told otherwise, and labels."""
    rng = np.random.default_rng(0)
    samples = [
        (rng.uniform(0, TRIAL_MS, n_spikes), rng.integers(0, N_CHANNELS, n_spikes))
        for _ in range(n_samples)
    ]
    return Events.of(samples), rng.integers(0, N_CLASSES, n_samples).astype(np.int32)


def scale_to_activity(
    activity: Callable[[float], float], wanted: float = SPIKES_PER_NEURON
) -> float:
    """Scale input weights until hidden neurons spike as often as wanted.

    Args:
        activity: Spikes per hidden neuron and sample when input weights are so many times larger
            than they were.
        wanted: As many, to within a quarter of a spike, if that is between 0.1 and 10 times.

    Returns:
        How many times larger they are in the end.
    """
    low, high = 0.1, 10.0
    for _ in range(12):
        scale = math.sqrt(low * high)
        spikes = activity(scale)
        if abs(spikes - wanted) < 0.25:
            break
        low, high = (scale, high) if spikes < wanted else (low, scale)
    return scale


def activate(compiled: Compiled, events: Events, wanted: float = SPIKES_PER_NEURON) -> float:
    """Scale a network's input weights until its hidden neurons spike as often as wanted.

    Returns:
        Spikes per hidden neuron and sample in the end.
    """
    original = compiled.parameters()

    def activity(scale: float) -> float:
        scaled = original["input_hidden0"] * np.float32(scale)
        compiled.set_parameters({**original, "input_hidden0": scaled})
        return float(compiled.evaluate(events).spike_counts["hidden0"].mean())

    return activity(scale_to_activity(activity, wanted))


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
        require(
            not taken and (self.folder.is_dir() or not self.folder.exists()),
            "a new folder, or one without train.h5 and test.h5,",
            self.folder,
            "name another: nothing is overwritten",
        )


def main() -> None:
    """Write the dataset."""
    options = tyro.cli(Options, prog="python -m shd_genn.synthetic")
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


if __name__ == "__main__":
    command(main)
