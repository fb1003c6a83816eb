"""Curves of a run while it trains, in TensorBoard or Weights & Biases; both are extras."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from shd_genn.config.flat import flat
from shd_genn.record.rows import EpochRow
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import ConfigError
from shd_genn.train.loop import OnEpoch

Curves = Literal["none", "tensorboard", "wandb"]
SHOWN = ("accuracy", "loss", "hidden_spikes_mean", "silent_neurons", "synaptic_operations")
"""Columns of ``metrics.csv`` that are shown for each split."""


@contextmanager
def live_curves(kind: Curves) -> Iterator[OnEpoch | None]:
    """What passes each epoch on, while the body trains.

    TensorBoard's files lie in the run's folder, in ``tensorboard``. A run that goes on writes all
    of its epochs again, in the place of those before. Weights & Biases gets the settings, too, and
    the run's name as its id, so that a run that goes on is the same run there.
    ``WANDB_MODE=offline`` keeps it on this machine.

    Args:
        kind: Where they are shown.

    Yields:
        A function for `shd_genn.train.loop.start`; None for ``none``.

    Raises:
        ConfigError: if the package that it takes is not installed.
    """
    if kind == "none":
        yield None
        return
    curves = _TensorBoard() if kind == "tensorboard" else _WandB()
    try:
        yield curves.add
    finally:
        curves.close()


def _values(row: EpochRow) -> dict[str, float]:
    values = {f"{name}/{row.split}": float(getattr(row, name)) for name in SHOWN}
    if row.learning_rate is not None:
        values["learning_rate"] = row.learning_rate
    return values


class _TensorBoard:
    def __init__(self) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                f"curves=tensorboard needs tensorboardX, which is not installed ({error}); "
                "pip install 'shd_genn[tensorboard]'"
            ) from error
        self._make = SummaryWriter
        self._writer: Any = None

    def add(self, folder: RunFolder, rows: Sequence[EpochRow]) -> None:
        if self._writer is None:
            # what a killed program wrote after the last checkpoint is hidden
            self._writer = self._make(str(folder.path / "tensorboard"), purge_step=1)
        for row in rows:
            for name, value in _values(row).items():
                self._writer.add_scalar(name, value, row.epoch)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _WandB:
    def __init__(self) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ConfigError(
                f"curves=wandb needs wandb, which is not installed ({error}); "
                "pip install 'shd_genn[wandb]'"
            ) from error
        self._wandb = wandb
        self._run: Any = None

    def add(self, folder: RunFolder, rows: Sequence[EpochRow]) -> None:
        begins = self._run is None
        if self._run is None:
            self._run = self._wandb.init(
                project=os.environ.get("WANDB_PROJECT", "shd_genn"),
                id=folder.path.name,
                name=folder.path.name,
                resume="allow",
                dir=str(folder.path),
                config=flat(folder.config),
            )
        # of a run that goes on, what is known there already is not sent again
        known = int(self._run.summary.get("epoch", 0)) if begins else 0
        for epoch in sorted({row.epoch for row in rows if row.epoch > known}):
            values: dict[str, Any] = {"epoch": epoch}
            for row in rows:
                values |= _values(row) if row.epoch == epoch else {}
            self._run.log(values)

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()
