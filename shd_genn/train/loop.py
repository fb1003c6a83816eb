"""Training: epochs, validation, early stopping, checkpoints, resuming."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shd_genn import backends
from shd_genn.backends.protocols import Learner
from shd_genn.config import Config
from shd_genn.config.compare import difference
from shd_genn.datasets.load import load_dataset
from shd_genn.datasets.split import speaker_name
from shd_genn.learning.schedules import Schedule
from shd_genn.learning.settings import Cosine
from shd_genn.network.model_files import find_model
from shd_genn.present.batches import batches, count_batches, one_ahead
from shd_genn.record import environment
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.dataset import SpikeDataset, Splits
from shd_genn.support.errors import ConfigError, DivergedError, PrunedError, ShdGennError
from shd_genn.support.locks import claimed
from shd_genn.support.machine import peak_memory
from shd_genn.support.progress import Advance, progress
from shd_genn.train.compile import compile_learner
from shd_genn.train.evaluation import Tally, evaluate, judge
from shd_genn.train.silent_neurons import revive

OnEpoch = Callable[[RunFolder, list[dict[str, Any]]], None]
"""``on_epoch(folder, rows)`` gets the new rows of ``metrics.csv``: as a run begins those of epochs
done before (none for a new run), then those of every epoch once it is saved. What it raises ends
the run; `PrunedError` is recorded as such."""


def start(
    config: Config,
    runs: Path,
    on_epoch: OnEpoch | None = None,
    *,
    name: str | None = None,
    model_file: Path | None = None,
) -> RunFolder:
    """Train a network from the beginning.

    Args:
        config: All settings.
        runs: The folder that run folders go into.
        on_epoch: Is told of every epoch; see `OnEpoch`.
        name: The run folder's name; see `RunFolder.create`.
        model_file: What describes the network, if not the file that the settings name.

    Returns:
        The run's folder, complete.

    Raises:
        ShdGennError: if something in the settings or the dataset cannot be used.
        KeyboardInterrupt: after what is complete has been saved.
    """
    choice = backends.choose(config.backend)
    splits = load(config)
    config = resolve(replace(config, backend=choice.name), splits)
    model_file = model_file or find_model(config.model.model)
    with compile_learner(config, model_file):
        pass  # what is wrong with it should leave no run folder behind
    folder = RunFolder.create(runs, config, splits.train.name, model_file, name)
    folder.write_json("environment", environment.describe(choice, splits))
    _run(folder, config, splits, on_epoch)
    return folder


def resume(folder: RunFolder, config: Config, on_epoch: OnEpoch | None = None) -> None:
    """Go on with an interrupted run, to the same numbers as if it had not been.

    Args:
        folder: The run.
        config: Its settings; epochs, threads and backend may be others than before.
        on_epoch: Is told of every epoch; see `OnEpoch`.

    Raises:
        ConfigError: if other settings or the dataset have changed, or the run is complete.
    """
    config = replace(config, backend=backends.choose(config.backend).name)
    check_unchanged(folder.config, config)
    splits = load(config)
    check_same_dataset(folder, splits)
    if is_over(folder, config.train.epochs):
        done = folder.read_json("summary")["epochs"]
        cure = "give more --epochs to go on"
        if done < folder.config.train.epochs:
            cure = f"patience = {config.train.patience} ended it, so start a new run to go on"
        raise ConfigError(f"{folder.path} is complete after {done} epochs; {cure}")
    _run(folder, config, splits, on_epoch)


def is_over(folder: RunFolder, epochs: int) -> bool:
    """Whether a run is complete, and has nothing to gain from so many epochs."""
    summary = folder.read_json("summary")
    if summary.get("state") != "complete":
        return False
    done = int(summary["epochs"])
    ended_early = done < folder.config.train.epochs  # by patience
    return ended_early or epochs <= done


def check_same_dataset(folder: RunFolder, splits: Splits) -> None:
    """Refuse to resume with a dataset that has changed.

    Raises:
        ConfigError: if it has.
    """
    was, now = folder.read_json("environment")["dataset"], environment.describe_dataset(splits)
    if was != now:
        changed = [key for key in now if now[key] != was.get(key)]
        raise ConfigError(
            f"a run is resumed with the dataset that it was started with, but {was['name']} has "
            f"changed in {', '.join(changed)}; start a new run"
        )


def check_unchanged(before: Config, config: Config) -> None:
    """Refuse to resume with settings that would change what was done before.

    Raises:
        ConfigError: if anything but epochs, threads and backend differs.
    """
    after = replace(config, backend=before.backend)
    after = replace(after, train=replace(after.train, epochs=before.train.epochs))
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


def load(config: Config) -> Splits:
    """The dataset, as it is presented; without its test set where that is not to be judged."""
    splits = load_dataset(config.data, config.train.seed)
    if not config.data.test:
        splits = replace(splits, test=None)
    return splits.presented_by(config.presentation(splits.train.n_channels))


def resolve(config: Config, splits: Splits) -> Config:
    """Fill in what the dataset decides, and check what it limits.

    Raises:
        ConfigError: if settings and dataset do not fit together.
    """
    train = splits.train
    n_inputs = config.presentation(train.n_channels).n_inputs
    for name, given, has in (
        ("n_inputs", config.model.n_inputs, n_inputs),
        ("n_classes", config.model.n_classes, train.n_classes),
    ):
        if given is not None and given != has:
            raise ConfigError(
                f"{name} = {has} of dataset {train.name} must hold, but got {given}; leave it out"
            )
    if config.train.batch_size > len(train):
        raise ConfigError(
            f"batch_size <= training samples must hold, but got {config.train.batch_size} of "
            f"{len(train)}; make batches smaller"
        )
    model = replace(config.model, n_inputs=n_inputs, n_classes=train.n_classes)
    return replace(config, model=model)


@dataclass
class _Best:
    """The chosen epoch so far: the highest accuracy, and of those the lowest loss."""

    epoch: int = -1
    score: tuple[float, float] = (-1.0, 0.0)
    more_accurate: int = -1  # the last epoch that raised the accuracy itself

    def improved(self, row: dict[str, Any]) -> bool:
        epoch, score = int(row["epoch"]), (float(row["accuracy"]), -float(row["loss"]))
        if score[0] > self.score[0]:
            self.more_accurate = epoch
        if score <= self.score:
            return False
        self.epoch, self.score = epoch, score
        return True


def _run(folder: RunFolder, config: Config, splits: Splits, on_epoch: OnEpoch | None) -> None:
    """Train until the end, whatever was done before, and keep the summary true."""
    with claimed(folder.path):
        folder.write_config(config)
        _run_claimed(folder, config, splits, on_epoch or (lambda *_: None))


def _run_claimed(folder: RunFolder, config: Config, splits: Splits, on_epoch: OnEpoch) -> None:
    folder.write_json("summary", {"state": "running"})
    try:
        with compile_learner(config, folder.path / "model.py") as compiled:
            best = _train(folder, config, splits, compiled, on_epoch)
            _finish(folder, config, splits, compiled, best)
    except KeyboardInterrupt:
        folder.write_json("summary", {"state": "interrupted"})
        print(f"stopped; to go on: python -m shd_genn.run --resume {folder.path}", file=sys.stderr)
        raise
    except PrunedError as error:
        folder.write_json("summary", {"state": "pruned", "reason": str(error)})
        raise
    except ShdGennError as error:
        folder.write_json("summary", {"state": "failed", "reason": str(error)})
        raise


def _train(
    folder: RunFolder, config: Config, splits: Splits, compiled: Learner, on_epoch: OnEpoch
) -> _Best:
    metrics: list[dict[str, Any]] = []
    best, first = _Best(), 0
    n_batches = count_batches(config.batching, splits.train)
    schedule = Schedule(config.train, n_batches)
    told_by = "train" if splits.valid is None else "valid"
    chosen_by = chosen_split(config, splits)
    if (folder.path / "last.npz").is_file():
        first = folder.load_checkpoint("last", compiled) + 1
        rows: list[dict[str, Any]] = list(folder.read_table("metrics"))
        metrics = [r for r in rows if int(r["epoch"]) < first and not r["split"].startswith("test")]
        for row in metrics:
            if row["split"] == chosen_by:
                best.improved(row)
            if row["split"] == told_by:
                schedule.epoch_done(float(row["accuracy"]))
    on_epoch(folder, metrics)

    with progress("Training", config.train.epochs * n_batches, "batches") as advance:
        advance(first * n_batches)
        for epoch in range(first, config.train.epochs):
            patience = config.train.patience
            if patience and epoch - best.more_accurate > patience:
                break
            tally, rate = _train_epoch(config, splits.train, compiled, schedule, epoch, advance)
            rows = [{**tally.row(epoch, "train"), "learning_rate": rate}]
            if splits.valid is not None:
                rows.append(evaluate(compiled, splits.valid).row(epoch, "valid"))
            metrics += rows
            advance(0, note=_note(rows))
            folder.write_table("metrics", metrics)
            if best.improved(next(row for row in rows if row["split"] == chosen_by)):
                folder.save_checkpoint("best", compiled, epoch)
            schedule.epoch_done(rows[-1]["accuracy"])
            revive(compiled, tally.spikes, config.train.revive_silent)
            # last of all: what it says is done, is done
            folder.save_checkpoint("last", compiled, epoch)
            on_epoch(folder, rows)
    return best


def _train_epoch(
    config: Config,
    dataset: SpikeDataset,
    compiled: Learner,
    schedule: Schedule,
    epoch: int,
    advance: Advance,
) -> tuple[Tally, float]:
    """What came of an epoch, and the learning rate of its last batch."""
    tally, rate = Tally(compiled.network), 0.0
    for batch, (events, labels) in enumerate(one_ahead(batches(config.batching, dataset, epoch))):
        rate = schedule.rate(epoch, batch)
        result = compiled.train_batch(events, labels, config.train.rates(rate))
        if not np.isfinite(result.loss).all():
            raise DivergedError(
                f"the loss must stay finite, but is not in epoch {epoch}; lower learning_rate "
                f"({config.train.learning_rate:g}) or reg_lambda ({config.train.reg_lambda:g}); "
                "the weights before this epoch are kept"
            )
        tally.add(result, labels)
        advance()
    if not all(np.isfinite(array).all() for array in compiled.parameters().values()):
        raise DivergedError(
            f"all parameters must stay finite, but are not after epoch {epoch}; lower "
            f"learning_rate ({config.train.learning_rate:g}); those before this epoch are kept"
        )
    return tally, rate


def chosen_split(config: Config, splits: Splits) -> str:
    """The split whose accuracy chooses the best epoch."""
    by_training = splits.valid is None or config.data.validation.best_by == "training"
    return "train" if by_training else "valid"


def _note(rows: list[dict[str, Any]]) -> str:
    parts = [f"epoch {rows[0]['epoch']}"]
    parts += [f"{row['split']} {row['accuracy']:.1%} loss {row['loss']:.3f}" for row in rows]
    parts.append(f"{rows[0]['hidden_spikes_mean']:.1f} spikes {rows[0]['seconds']:.1f} s")
    return "  ".join(parts)


def _finish(
    folder: RunFolder, config: Config, splits: Splits, compiled: Learner, best: _Best
) -> None:
    """Judge the chosen epoch on the test set, once."""
    # a kill just before the end may have left the test set's row, which is written anew
    known: list[dict[str, Any]] = list(folder.read_table("metrics"))
    rows = [row for row in known if not row["split"].startswith("test")]
    train = [row for row in rows if row["split"] == "train"]
    chosen = {"train": "training", "valid": "validation"}[chosen_split(config, splits)]
    summary: dict[str, Any] = {
        "state": "complete",
        "dataset": splits.train.name,
        "epochs": len(train),
        "best_epoch": best.epoch,
        "chosen_by": f"{chosen} accuracy",
        "best_accuracy": best.score[0],
        "seconds_per_epoch": float(np.median([float(row["seconds"]) for row in train])),
        "backend": config.backend,
        "spikes_after_trial": late_spikes(splits.train, config),
        "peak_memory_mb": peak_memory() // 2**20,
    }
    if splits.test is not None:
        folder.load_checkpoint("best", compiled)
        heard = {speaker_name(splits.train, int(i)) for i in np.unique(splits.train.speakers)}
        judgement = judge(compiled, splits.test, heard)
        row = judgement.tally.row(best.epoch, "test")
        folder.write_table("metrics", [*rows, row])
        folder.write_table("predictions", judgement.predictions)
        folder.write_arrays("spike_counts", judgement.spike_counts)
        summary["test"] = {k: v for k, v in row.items() if k not in ("epoch", "split")}
        summary["test"] |= judgement.by_speaker_kind()
    if times := compiled.kernel_times():
        summary["kernel_seconds"] = times
    folder.write_json("summary", summary)


def late_spikes(dataset: SpikeDataset, config: Config) -> float:
    """The part of a dataset's spikes that comes after the trial's end."""
    late = dataset.events.times_ms >= config.n_steps * config.dt_ms
    return float(late.mean()) if len(late) else 0.0
