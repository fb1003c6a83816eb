"""Training: epochs, validation, early stopping, checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shd_genn import backends
from shd_genn.backends.protocols import Learner
from shd_genn.config import Config
from shd_genn.datasets.kept_files import Read
from shd_genn.learning.schedules import Schedule
from shd_genn.network.model_files import find_model
from shd_genn.present.batches import batches, count_batches, one_ahead
from shd_genn.record import checkpoints, environment, model_copy
from shd_genn.record.rows import EpochRow
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import State, Summary
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support.errors import DivergedError, PrunedError
from shd_genn.support.files import require_writable
from shd_genn.support.interruption import interruptible
from shd_genn.support.locks import claimed
from shd_genn.support.progress import Advance, progress
from shd_genn.train import notes, resuming
from shd_genn.train.average import EpochAverage
from shd_genn.train.best_epoch import BestEpoch
from shd_genn.train.compile import compile_learner
from shd_genn.train.evaluation import Metrics, measure
from shd_genn.train.finish import finish
from shd_genn.train.kept_epochs import keep_epoch, observed
from shd_genn.train.prepare import Experiment, prepare
from shd_genn.train.silent_neurons import lift_silent
from shd_genn.train.starting import start_from_rates

OnEpoch = Callable[[RunFolder, Sequence[EpochRow]], None]
"""``on_epoch(folder, rows)`` gets the new rows of ``metrics.csv``: as a run begins those of epochs
done before (none for a new run), then those of every epoch once it is saved. An exception that it
raises ends the run; `PrunedError` is recorded as such."""


def start(
    config: Config,
    runs: Path,
    on_epoch: OnEpoch | None = None,
    *,
    name: str | None = None,
    model_file: Path | None = None,
    read: Read = read_spikes,
) -> RunFolder:
    """Train a network from the beginning.

    Args:
        config: All settings.
        runs: The folder that run folders go into.
        on_epoch: Gets the rows of every epoch; see `OnEpoch`.
        name: The run folder's name; see `RunFolder.create`.
        model_file: The file that describes the network, if not the one that the settings name.
        read: Reads spike files.

    Returns:
        The run's folder, complete.

    Raises:
        ShdGennError: if something in the settings or the dataset cannot be used.
        KeyboardInterrupt: after what is complete has been saved.
    """
    require_writable(runs / (name or "run"))
    experiment = prepare(config, read)
    config = experiment.config
    observed(experiment)  # refuses samples that are not there
    model_file = model_file or find_model(config.model.model)
    # before there is a folder: a network that cannot be compiled leaves none behind
    with compile_learner(config, model_file) as learner:
        start_from_rates(experiment, learner)
        found = (
            *notes.before_training(experiment),
            *notes.of_network(learner.network, config),
        )
        folder = RunFolder.create(runs, config, experiment.train.name, model_file.stem, name)
        folder.begin(config)
        model = model_copy.keep(model_file, folder.path)
        model_copy.remember(model)
        folder.write_environment(environment.describe(experiment.backend, experiment.splits, model))
        _run(Training(folder, experiment, learner, on_epoch or _ignore, list(found)))
    return folder


def resume(
    folder: RunFolder,
    config: Config,
    on_epoch: OnEpoch | None = None,
    *,
    trust_model: bool = False,
    read: Read = read_spikes,
) -> None:
    """Go on with an interrupted run, to the same numbers as if it had not been.

    Args:
        folder: The run.
        config: Its settings; epochs, threads, backend and where the data lie may be others.
        on_epoch: Gets the rows of every epoch; see `OnEpoch`.
        trust_model: The user consents to execute the folder's model file; see `model_copy`.
        read: Reads spike files.

    Raises:
        ConfigError: if other settings, the model file or the dataset have changed, or the run is
            complete.
    """
    config = replace(config, backend=backends.choose(config.backend).name)
    resuming.check_unchanged(folder.config, config)
    model_file = folder.model_file(trust_model)
    experiment = prepare(config, read)
    resuming.check_same_dataset(folder, experiment.splits)
    resuming.check_not_over(folder, config.train.epochs)
    observed(experiment)
    before = folder.summary
    with compile_learner(experiment.config, model_file) as learner:
        if not folder.checkpoint("last").is_file():
            start_from_rates(experiment, learner)
        found = {} if before is None else dict.fromkeys(before.notes)
        training = Training(folder, experiment, learner, on_epoch or _ignore, list(found))
        _run(training)


def _ignore(folder: RunFolder, rows: Sequence[EpochRow]) -> None:
    pass


@dataclass
class Training:
    """A run that is being trained.

    Attributes:
        folder: Where everything is recorded.
        experiment: Settings and dataset.
        learner: The network.
        on_epoch: See `OnEpoch`.
        notes: See `shd_genn.train.notes`.
    """

    folder: RunFolder
    experiment: Experiment
    learner: Learner
    on_epoch: OnEpoch
    notes: list[str]

    def summary(self, state: State, reason: str | None = None) -> Summary:
        """The summary of a run that is not complete."""
        hidden = {p.name: p.size for p in self.learner.network.hidden}
        return Summary(state, reason, hidden, tuple(self.notes))


def _run(training: Training) -> None:
    """Train until the end, whatever was done before, and keep the summary true."""
    folder = training.folder
    with claimed(folder.path), _recorded(training), interruptible() as check:
        folder.write_config(training.experiment.config)
        folder.write_summary(training.summary("running"))
        notes.show(training.notes)
        best, rows = _train(training, check)
        result = finish(folder, training.experiment, training.learner, best, rows)
        folder.write_summary(replace(training.summary("complete"), result=result))


@contextmanager
def _recorded(training: Training) -> Iterator[None]:
    """Record in the summary how a run ended that is not complete."""

    def record(state: State, reason: str | None = None) -> None:
        with suppress(Exception):  # e.g. the full disk that ended the run
            training.folder.write_summary(training.summary(state, reason))

    try:
        yield
    except KeyboardInterrupt:
        record("interrupted")
        path = training.folder.path
        print(f"stopped; to go on: python -m shd_genn.run --resume {path}", file=sys.stderr)
        raise
    except PrunedError as error:
        record("pruned", str(error))
        raise
    except BrokenPipeError:
        record("interrupted", "the program that read what the run prints has ended")
        raise
    except Exception as error:
        record("failed", str(error) or type(error).__name__)
        raise


def _train(training: Training, check: Callable[[], None]) -> tuple[BestEpoch, list[EpochRow]]:
    """All epochs that are still to do; the best one, and the rows of all."""
    folder, experiment, learner = training.folder, training.experiment, training.learner
    config = experiment.config.train
    n_batches = count_batches(experiment.config.batching, experiment.train)
    schedule, best = Schedule(config, n_batches), BestEpoch()
    average = EpochAverage(config.average_decay)
    done, rows = resuming.restore(folder, experiment, learner, average)
    for row in rows:
        if row.split == experiment.chosen_by:
            best.update(row)
        if row.split == experiment.schedule_by:
            schedule.epoch_done(row.accuracy)
    training.on_epoch(folder, list(rows))
    if not done:
        keep_epoch(folder, experiment, learner, 0)

    with progress("Training", config.epochs * n_batches, "batches") as advance:
        advance(done * n_batches)
        for epoch in range(done + 1, config.epochs + 1):
            if config.patience and epoch - best.last_gain > config.patience:
                break
            metrics, rate = _train_epoch(training, schedule, epoch, advance, check)
            work = metrics.operations_of(config.method, experiment.config.n_steps)
            new = {"train": metrics.row(epoch, "train", rate, work)}
            average.add(learner.parameters())
            if experiment.valid is not None:
                with average.used_by(learner):
                    new["valid"] = measure(learner, experiment.valid.dataset).row(epoch, "valid")
            rows += new.values()
            advance(0, line=_line(epoch, config.epochs, list(new.values())))
            _note_epoch(training, rows)
            folder.write_epochs(rows)
            digest = resuming.metrics_digest(rows)
            if best.update(new[experiment.chosen_by]):
                with average.used_by(learner):
                    checkpoints.save(folder.checkpoint("best"), learner, epoch, digest)
            with average.used_by(learner):
                keep_epoch(folder, experiment, learner, epoch)
            schedule.epoch_done(new[experiment.schedule_by].accuracy)
            lift_silent(learner, metrics.spikes, config.revive_silent)
            # last of all: the epoch is complete only when this file is there
            checkpoints.save(folder.checkpoint("last"), learner, epoch, digest, average.total)
            training.on_epoch(folder, list(new.values()))
            check()
    return best, rows


def _train_epoch(
    training: Training,
    schedule: Schedule,
    epoch: int,
    advance: Advance,
    check: Callable[[], None],
) -> tuple[Metrics, float]:
    """The sums over an epoch, counted from 1, and the learning rate of its last batch."""
    experiment, learner = training.experiment, training.learner
    config = experiment.config
    metrics, rate = Metrics(learner.network), 0.0
    kinds = [p.kind for p in learner.network.parameters if p.trained]
    made = batches(config.batching, experiment.train, epoch - 1)
    for batch, (events, labels) in enumerate(one_ahead(made)):
        rate = schedule.rate(epoch - 1, batch)
        try:
            result = learner.train_batch(events, labels, config.rates(rate, kinds))
        except DivergedError:  # neurons have no bound: are the weights the cause?
            _check_parameters(learner, epoch, config)
            raise
        if not np.isfinite(result.loss).all():
            raise DivergedError(
                f"the loss must stay finite, but is not in epoch {epoch}; lower learning_rate "
                f"({config.train.learning_rate:g}) or reg_lambda ({config.train.reg_lambda:g}); "
                "the parameters before this epoch are kept"
            )
        metrics.add(result, labels)
        advance()
        check()
    _check_parameters(learner, epoch, config)
    return metrics, rate


def _check_parameters(learner: Learner, epoch: int, config: Config) -> None:
    """Raise `DivergedError` if a parameter is not finite."""
    for name, array in learner.parameters().items():
        if not np.isfinite(array).all():
            raise DivergedError(
                f"all parameters must stay finite, but {name} is not in epoch {epoch}, as after a "
                "gradient that was not finite; lower learning_rate "
                f"({config.train.learning_rate:g}); those before this epoch are kept"
            )


def _note_epoch(training: Training, rows: Sequence[EpochRow]) -> None:
    n_hidden = sum(p.size for p in training.learner.network.hidden)
    new = [
        note
        for note in notes.after_epoch(rows, n_hidden, training.experiment)
        if note not in training.notes
    ]
    if new:
        notes.show(new)
        training.notes += new
        training.folder.write_summary(training.summary("running"))


def _line(epoch: int, epochs: int, rows: Sequence[EpochRow]) -> str:
    """An epoch in one line for people."""
    width = len(str(epochs))
    parts = [f"epoch {epoch:{width}}/{epochs}"]
    parts += [f"{row.split} {row.accuracy:.1%} loss {row.loss:.3f}" for row in rows]
    parts.append(f"{rows[0].hidden_spikes_mean:.1f} spikes")
    parts.append(f"{sum(row.seconds for row in rows):.1f} s")
    return "  ".join(parts)
