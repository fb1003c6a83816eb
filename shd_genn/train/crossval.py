"""Leave-one-speaker-out cross-validation: how well a network recognises voices it never heard.

For each speaker of the training set a network is trained on all the others and evaluated on that
one; the test set is not used. Then, unless ``test`` is False, a last one is trained on all speakers
and evaluated on the test set, once (the protocol of Nowotny, Turner & Knight 2025).
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from shd_genn import backends
from shd_genn.config import Config
from shd_genn.config.compare import on_this_machine
from shd_genn.datasets.load import load_dataset
from shd_genn.datasets.settings import NoValidation, SpeakerValidation
from shd_genn.datasets.split import split_speaker, training_speakers
from shd_genn.network.model_files import find_model
from shd_genn.record import environment, model_copy
from shd_genn.record.rows import FoldRow, Split
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import CommonEpoch, CrossValidationResult, Summary
from shd_genn.spikes.dataset import Splits
from shd_genn.support.errors import ConfigError, ShdGennError
from shd_genn.support.files import require_writable
from shd_genn.support.interruption import interruptible
from shd_genn.support.locks import claimed
from shd_genn.train import loop, resuming
from shd_genn.train.prepare import resolve

README = """\
A leave-one-speaker-out cross-validation of shd_genn (python -m shd_genn.run --validation speaker).

config.toml       every setting
model.py          the file that describes the network; modules that it imports lie beside it
environment.json  versions, commit, machine, backend, compiler, command, and what the dataset is
folds.csv         one row per left-out speaker: chosen epoch, and accuracies in it
summary.json      state, mean and standard deviation over the speakers, the test set's numbers
fold-…            the run that left out a speaker; the test set is not evaluated in it
all-speakers      the run that left out none; the test set is evaluated in it, once

Epochs count from 1.

python -m shd_genn.run --resume FOLDER   goes on with it if it was interrupted
"""
LAST = "all-speakers"
"""The folder of the run on all speakers."""


def is_cross_validation(config: Config) -> bool:
    """Whether settings ask for cross-validation, rather than for a single training."""
    validation = config.data.validation
    return isinstance(validation, SpeakerValidation) and validation.validation_speaker is None


def start(config: Config, runs: Path, *, name: str | None = None) -> RunFolder:
    """Cross-validate from the beginning.

    Args:
        config: All settings, with ``validation`` speaker and no ``validation_speaker``.
        runs: The folder that the new folder goes into.
        name: The new folder's name; see `RunFolder.create`.

    Returns:
        The folder, complete.

    Raises:
        ShdGennError: if something in the settings or the dataset cannot be used.
        KeyboardInterrupt: after what is complete has been saved.
    """
    require_writable(runs / (name or "run"))
    choice = backends.choose(config.backend)
    splits = _load(config)
    config = resolve(replace(config, backend=choice.name), splits)
    _check_speakers(config, splits)
    model_file = find_model(config.model.model)
    folder = RunFolder.create(runs, config, splits.train.name, model_file.stem, name)
    try:
        folder.begin(config, README)
        model = model_copy.keep(model_file, folder.path)
        model_copy.remember(model)
        folder.write_environment(environment.describe(choice, splits, model))
        _run(folder, config, splits)
    except ShdGennError:
        if not any(folder.path.glob("*/config.toml")):  # no network could be compiled
            shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder


def _check_speakers(config: Config, splits: Splits) -> None:
    speakers = training_speakers(splits.train)
    if len(speakers) < 2:
        raise ConfigError(
            f"2 <= training speakers must hold for validation=speaker, but dataset "
            f"{splits.train.name} has {len(speakers)}; use validation=random"
        )
    most = int(np.bincount(splits.train.speakers[splits.train.speakers >= 0]).max())
    if config.train.batch_size > len(splits.train) - most:
        raise ConfigError(
            f"batch_size <= training samples of every fold must hold, but got "
            f"{config.train.batch_size} of {len(splits.train) - most}; make batches smaller"
        )


def resume(folder: RunFolder, config: Config, *, trust_model: bool = False) -> None:
    """Go on with an interrupted cross-validation, to the same numbers.

    Args:
        folder: The cross-validation.
        config: Its settings; threads, backend and where the data lie may be others than before,
            epochs may be more.
        trust_model: The user consents to execute the folder's model file; see `model_copy`.

    Raises:
        ConfigError: if other settings or the dataset have changed.
    """
    config = replace(config, backend=backends.choose(config.backend).name)
    resuming.check_unchanged(folder.config, config)
    folder.model_file(trust_model)
    before = folder.config.train.epochs
    if config.train.epochs < before:
        raise ConfigError(
            f"{before} <= epochs must hold, because folds may have had as many, but got "
            f"{config.train.epochs}; leave it out, or start a new run"
        )
    splits = _load(config)
    resuming.check_same_dataset(folder, splits)
    _run(folder, config, splits)


def _load(config: Config) -> Splits:
    undivided = replace(config.data, validation=NoValidation())
    return load_dataset(undivided, config.train.seed)


def _run(folder: RunFolder, config: Config, splits: Splits) -> None:
    """Train what is not yet trained, and keep the summary true."""
    with claimed(folder.path):
        folder.write_config(config)
        folder.write_summary(Summary("running"))
        try:
            with interruptible():
                result = _train_all(folder, config, splits)
        except KeyboardInterrupt:
            folder.write_summary(Summary("interrupted"))
            print(
                f"and with all speakers: python -m shd_genn.run --resume {folder.path}",
                file=sys.stderr,
            )
            raise
        except Exception as error:
            folder.write_summary(Summary("failed", str(error) or type(error).__name__))
            raise
        fold = RunFolder(folder.path / next(_names(training_speakers(splits.train)))).summary
        assert fold is not None
        folder.write_summary(Summary("complete", hidden=fold.hidden, result=result))


def _train_all(folder: RunFolder, config: Config, splits: Splits) -> CrossValidationResult:
    rows: list[FoldRow] = []
    curves = []
    speakers = training_speakers(splits.train)
    for number, (speaker, name) in enumerate(zip(speakers, _names(speakers), strict=True)):
        print(f"left out: {speaker} ({number + 1} of {len(speakers)})", file=sys.stderr)
        validation = SpeakerValidation(speaker, config.data.validation.best_by)
        data = replace(config.data, validation=validation, test=False)
        fold = _train(folder.path / name, replace(config, data=data))
        curve = _accuracies(fold, "valid")
        best = fold.result.best_epoch
        rows.append(
            FoldRow(
                speaker=speaker,
                fold=name,
                samples=len(split_speaker(splits.train, speaker)[1]),
                best_epoch=best,
                accuracy=curve[best - 1],
                training_accuracy=_accuracies(fold, "train")[best - 1],
            )
        )
        curves.append(curve)
        folder.write_folds(rows)
    mean, sd = _mean_and_sd([row.accuracy for row in rows])
    test = None
    if splits.test is not None and config.data.test:
        print("left out: nobody", file=sys.stderr)
        data = replace(config.data, validation=NoValidation())
        test = _train(folder.path / LAST, replace(config, data=data)).result.test
    return CrossValidationResult(
        dataset=splits.train.name,
        folds=len(rows),
        chosen_by="training accuracy"
        if config.data.validation.best_by == "training"
        else "validation accuracy",
        accuracy=mean,
        accuracy_sd=sd,
        common_epoch=_common_epoch(curves),
        test=test,
    )


def _train(path: Path, config: Config) -> RunFolder:
    """One run, from the beginning or from where it was."""
    folder = RunFolder(path)
    if not folder.begun:
        return loop.start(config, path.parent, name=path.name, model_file=path.parent / "model.py")
    if not resuming.is_over(folder, config.train.epochs):
        before = on_this_machine(folder.config, config)
        data = replace(before.data, dataset=config.data.dataset, data_dir=config.data.data_dir)
        train = replace(before.train, epochs=config.train.epochs)
        longer = replace(before, data=data, train=train, backend=config.backend)
        # the model file is that of the whole, which has been checked
        loop.resume(folder, longer, trust_model=True)
    return folder


def _names(speakers: Sequence[str]) -> Iterator[str]:
    """A folder's name for each speaker."""
    for number, speaker in enumerate(speakers):
        yield f"fold-{number:02}_{re.sub(r'[^A-Za-z0-9._-]', '_', speaker)}"


def _accuracies(folder: RunFolder, split: Split) -> list[float]:
    """The accuracy of each epoch."""
    return [row.accuracy for row in folder.epochs if row.split == split]


def _mean_and_sd(accuracies: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(accuracies)), float(np.std(accuracies, ddof=1))


def _common_epoch(curves: Sequence[Sequence[float]]) -> CommonEpoch:
    """The epoch that is best on average over the folds, and its accuracy.

    Where each fold chooses its epoch by the very samples that it is evaluated on, its accuracy is a
    little too good; this one is hardly so.
    """
    shortest = min(map(len, curves))
    table = np.array([curve[:shortest] for curve in curves])
    best = int(table.mean(axis=0).argmax())
    mean, sd = _mean_and_sd(table[:, best].tolist())
    return CommonEpoch(mean, sd, best + 1)
