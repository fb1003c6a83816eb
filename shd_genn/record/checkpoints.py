"""Checkpoints: parameters and optimiser state after an epoch, as an .npz file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import Learner, Simulator
from shd_genn.support.errors import ConfigError
from shd_genn.support.files import written_aside

Arrays = dict[str, NDArray[Any]]

PARAMETER, ADAM, AVERAGE = "parameter_", "adam_", "average_"
"""Prefixes of the keys of parameters, of Adam's state, and of an average over epochs."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        epoch: The epoch after which it was saved, counted from 1.
        parameters: Key → array; see `shd_genn.backends.protocols.Parameters`.
        optimiser: Adam's state: ``m_KEY``, ``v_KEY`` and ``step``.
        metrics_digest: Checksum of the rows of ``metrics.csv`` up to this epoch.
        average: Key → float64, the sum of `shd_genn.train.average`; empty if there is none.
    """

    epoch: int
    parameters: Arrays
    optimiser: Arrays
    metrics_digest: str
    average: Arrays = field(default_factory=dict)


def save(
    path: Path,
    learner: Learner,
    epoch: int,
    metrics_digest: str,
    average: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write a checkpoint of a network.

    Args:
        path: The .npz file.
        learner: The network.
        epoch: The epoch that has been trained, counted from 1.
        metrics_digest: See `Checkpoint`.
        average: See `Checkpoint`.
    """
    arrays: Arrays = {"epoch": np.array(epoch), "metrics_digest": np.array(metrics_digest)}
    arrays |= {PARAMETER + key: value for key, value in learner.parameters().items()}
    arrays |= {ADAM + key: value for key, value in learner.optimiser_state().items()}
    arrays |= {AVERAGE + key: value for key, value in (average or {}).items()}
    write_arrays(path, arrays)


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ConfigError: if the file is missing or damaged, or is no checkpoint.
    """
    arrays = read_arrays(path)
    epoch, digest = arrays.get("epoch"), arrays.get("metrics_digest")
    whole = epoch is not None and epoch.shape == () and epoch.dtype.kind in "iu" and epoch >= 1
    if not whole or digest is None or digest.shape != () or digest.dtype.kind != "U":
        raise ConfigError(
            f"{path} is no checkpoint: its epoch or metrics_digest is missing or damaged; "
            "restore the file, or start a new run"
        )

    def part(prefix: str) -> Arrays:
        keys = (key for key in arrays if key.startswith(prefix))
        return {key.removeprefix(prefix): arrays[key] for key in keys}

    assert epoch is not None
    return Checkpoint(int(epoch), part(PARAMETER), part(ADAM), str(digest), part(AVERAGE))


def load(path: Path, simulator: Simulator) -> Checkpoint:
    """Put a checkpoint's parameters into a network.

    Raises:
        ConfigError: if the checkpoint cannot be read, or belongs to another network.
    """
    checkpoint = read(path)
    _check_shapes(path, "parameters", checkpoint.parameters, simulator.parameters())
    simulator.set_parameters(checkpoint.parameters)
    return checkpoint


def restore(path: Path, learner: Learner, averaged: bool = False) -> Checkpoint:
    """Put a checkpoint's parameters and optimiser state into a network, to go on with training.

    Args:
        path: The .npz file.
        learner: The network.
        averaged: Whether it must have an average of the parameters, too.

    Raises:
        ConfigError: if the checkpoint cannot be read, or belongs to another network.
    """
    checkpoint = load(path, learner)
    _check_shapes(path, "optimiser state", checkpoint.optimiser, learner.optimiser_state())
    learner.set_optimiser_state(checkpoint.optimiser)
    needed = learner.parameters() if averaged else {}
    _check_shapes(path, "average", checkpoint.average, needed)
    return checkpoint


def _check_shapes(
    path: Path, what: str, found: Mapping[str, NDArray[Any]], needed: Mapping[str, NDArray[Any]]
) -> None:
    """Refuse arrays that are missing, superfluous, misshapen or of another kind of number."""
    problems = [f"{key} is missing" for key in needed if key not in found]
    problems += [f"{key} is not of this network" for key in found if key not in needed]
    for key in needed.keys() & found.keys():
        if found[key].shape != needed[key].shape:
            problems.append(f"{key} has shape {found[key].shape} instead of {needed[key].shape}")
        elif found[key].dtype.kind != needed[key].dtype.kind:
            problems.append(f"{key} is {found[key].dtype} instead of {needed[key].dtype}")
        elif not np.isfinite(found[key]).all():
            problems.append(f"{key} is not finite everywhere")
    if problems:
        raise ConfigError(
            f"the {what} in {path} cannot be used: {'; '.join(sorted(problems)[:3])}; "
            "restore the file, or start a new run"
        )


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file."""
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path) -> Arrays:
    """The arrays of an .npz file.

    Raises:
        ConfigError: if the file is missing or damaged.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; the run must have finished an epoch")
    try:
        # opened here: np.load leaves a damaged file open
        with path.open("rb") as handle:
            _check_held(handle, path.stat().st_size)
            with np.load(handle, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays}
    except Exception as error:  # zipfile, zlib, NumPy and tokenize each have errors of their own
        problem = str(error) or type(error).__name__
        raise ConfigError(
            f"{path} is damaged: {problem}; restore the file, or start a new run"
        ) from error


def _check_held(file: BinaryIO, size: int) -> None:
    """Refuse an .npz file that would take more memory than it has bytes.

    Raises:
        ValueError: if it does.
    """
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    if sum(part.file_size for part in parts) > size:
        raise ValueError("it declares more bytes than it has")
    file.seek(0)
