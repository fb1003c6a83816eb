"""Going on with an interrupted run: only with what it was begun with, to the same numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shd_genn.backends.protocols import Learner
from shd_genn.config import Config
from shd_genn.config.compare import difference
from shd_genn.learning.settings import Cosine
from shd_genn.record import checkpoints, environment
from shd_genn.record.environment import DatasetRecord
from shd_genn.record.rows import EpochRow, rows_as_text
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import RunResult
from shd_genn.spikes.dataset import Splits
from shd_genn.support.errors import ConfigError
from shd_genn.train.average import EpochAverage
from shd_genn.train.best_epoch import BestEpoch
from shd_genn.train.prepare import Experiment


def check_unchanged(before: Config, config: Config) -> None:
    """Refuse to resume with settings that would change what was done before.

    Epochs, threads, backend and where the data lie may be others: whether the data themselves are
    the same is found by `check_same_dataset`.

    Raises:
        ConfigError: if anything else differs.
    """
    after = replace(
        config,
        backend=before.backend,
        data=replace(config.data, dataset=before.data.dataset, data_dir=before.data.data_dir),
        train=replace(config.train, epochs=before.train.epochs),
    )
    if changed := difference(before, after):
        raise ConfigError(
            f"a run is resumed with the settings that it was started with, but these differ: "
            f"{changed}; leave them out, or start a new run"
        )
    if isinstance(config.train.schedule, Cosine) and config.train.epochs != before.train.epochs:
        raise ConfigError(
            f"epochs = {before.train.epochs} must hold with schedule=cosine, which ends there, but "
            f"got {config.train.epochs}; leave it out, or start a new run"
        )


def check_same_dataset(folder: RunFolder, splits: Splits) -> None:
    """Refuse to resume with a dataset that has changed; it may lie elsewhere, by another name.

    Raises:
        ConfigError: if it has changed.
    """
    was, now = folder.environment.dataset, environment.describe_dataset(splits)
    changed = [
        f"{key} ({_brief(getattr(was, key))} before, {_brief(getattr(now, key))} now)"
        for key in DatasetRecord.__dataclass_fields__
        if key != "name" and getattr(was, key) != getattr(now, key)
    ]
    if changed:
        raise ConfigError(
            f"a run is resumed with the dataset that it was started with, but {was.name} differs "
            f"in {', '.join(changed)}; give the same data as --dataset, or start a new run"
        )


def _brief(value: Any) -> str:
    if isinstance(value, environment.SplitRecord):
        return f"{value.samples} samples, checksum {value.digest}"
    return "none" if value is None else str(value)


def check_not_over(folder: RunFolder, epochs: int) -> None:
    """Refuse to resume a run that is complete.

    Raises:
        ConfigError: if it is.
    """
    if not is_over(folder, epochs):
        return
    done = folder.result.epochs
    cure = "give more --epochs to go on"
    if done < folder.config.train.epochs:
        cure = f"patience = {folder.config.train.patience} ended it, so start a new run to go on"
    raise ConfigError(f"{folder.path} is complete after {done} epochs; {cure}")


def is_over(folder: RunFolder, epochs: int) -> bool:
    """Whether a run is complete, and so many epochs would add none."""
    summary = folder.summary
    if summary is None or not isinstance(summary.result, RunResult):
        return False
    done = summary.result.epochs
    ended_early = done < folder.config.train.epochs  # by patience
    return ended_early or epochs <= done


def metrics_digest(rows: Sequence[EpochRow]) -> str:
    """A checksum of rows of ``metrics.csv`` in each checkpoint, without times and energy."""
    timeless = [
        replace(row, seconds=0.0, cpu_joules=None, dram_joules=None, gpu_joules=None)
        for row in rows
    ]
    return hashlib.sha256(rows_as_text(timeless).encode()).hexdigest()[:16]


def restore(
    folder: RunFolder, experiment: Experiment, learner: Learner, average: EpochAverage
) -> tuple[int, list[EpochRow]]:
    """Put the last checkpoint into a network, and into the average of its epochs.

    Returns:
        The epochs that are done (0 for a new run), and their rows of ``metrics.csv``.

    Raises:
        ConfigError: if the files in the folder do not belong together.
    """
    last = folder.checkpoint("last")
    if not last.is_file():
        if len(_epochs(folder.epochs)) > 1:
            raise ConfigError(
                f"{last} is missing, but {folder.path} has trained more than one epoch; "
                "restore the file, or start a new run"
            )
        return 0, []
    checkpoint = checkpoints.restore(last, learner, averaged=average.decay > 0)
    average.total, average.epochs = checkpoint.average, checkpoint.epoch
    # a kill after an epoch's rows and before its checkpoint leaves rows of an epoch too many
    rows = [r for r in folder.epochs if r.epoch <= checkpoint.epoch and r.split != "test"]
    if metrics_digest(rows) != checkpoint.metrics_digest:
        raise ConfigError(
            f"{folder.path / 'metrics.csv'} must hold the epochs 1 to {checkpoint.epoch} as they "
            f"were trained, because the best epoch and the learning rate follow from them, but "
            f"{_what_changed(rows, checkpoint.epoch)}; restore the file, or start a new run"
        )
    best = BestEpoch()
    for row in rows:
        if row.split == experiment.chosen_by:
            best.update(row)
    saved = checkpoints.read(folder.checkpoint("best")).epoch
    # a kill between the two checkpoints leaves a best one that is an epoch further
    if saved not in (best.epoch, checkpoint.epoch + 1):
        raise ConfigError(
            f"{folder.checkpoint('best')} must be of epoch {best.epoch}, which is the best in "
            f"metrics.csv, but is of epoch {saved}; restore the file, or start a new run"
        )
    return checkpoint.epoch, rows


def _epochs(rows: Sequence[EpochRow]) -> set[int]:
    return {row.epoch for row in rows if row.split != "test"}


def _what_changed(rows: Sequence[EpochRow], epochs: int) -> str:
    missing = sorted(set(range(1, epochs + 1)) - _epochs(rows))
    if missing:
        return f"lacks {len(missing)} of them, the first is epoch {missing[0]}"
    return "its numbers have changed"
