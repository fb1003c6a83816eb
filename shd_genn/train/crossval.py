"""Leave-one-speaker-out cross-validation: how well a network hears voices that it never heard.

For each speaker of the training set a network is trained on all the others and judged on that one;
the test set is not looked at. Then, unless ``test`` is False, a last one is trained on all speakers
and judged on the test set, once (the protocol of Nowotny, Turner & Knight 2025).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from shd_genn import backends
from shd_genn.config import Config
from shd_genn.config.compare import on_this_machine
from shd_genn.datasets.load import load_dataset
from shd_genn.datasets.settings import NoValidation, SpeakerValidation
from shd_genn.datasets.split import split_speaker, training_speakers
from shd_genn.network.model_files import find_model
from shd_genn.record import environment
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.dataset import Splits
from shd_genn.support.errors import ConfigError, ShdGennError
from shd_genn.support.locks import claimed
from shd_genn.train import loop
from shd_genn.train.compile import compile_learner

README = """\
A leave-one-speaker-out cross-validation of shd_genn (python -m shd_genn.run --validation speaker).

config.toml       every setting
model.py          the file that describes the network
environment.json  versions, commit, machine, backend, compiler, command, and what the dataset is
folds.csv         one row per left-out speaker: chosen epoch, and accuracies in it
summary.json      state, mean and standard deviation over the speakers, the test set's numbers
fold-…            the run that left out a speaker; the test set is not judged in it
all-speakers      the run that left out none; the test set is judged in it, once

python -m shd_genn.run --resume FOLDER   goes on with it if it was interrupted
"""
LAST = "all-speakers"
"""The folder of the run on all speakers."""


def wanted(config: Config) -> bool:
    """Whether settings ask for cross-validation, rather than for a single training."""
    validation = config.data.validation
    return isinstance(validation, SpeakerValidation) and validation.validation_speaker is None


def start(config: Config, runs: Path) -> RunFolder:
    """Cross-validate from the beginning.

    Args:
        config: All settings, with ``validation`` speaker and no ``validation_speaker``.
        runs: The folder that the new folder goes into.

    Returns:
        The folder, complete.

    Raises:
        ShdGennError: if something in the settings or the dataset cannot be used.
        KeyboardInterrupt: after what is complete has been saved.
    """
    choice = backends.choose(config.backend)
    splits = _load(config)
    config = loop.resolve(replace(config, backend=choice.name), splits)
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
    model_file = find_model(config.model.model)
    with compile_learner(config, model_file):
        pass  # what is wrong with it should leave no folder behind
    folder = RunFolder.create(runs, config, splits.train.name, model_file, readme=README)
    folder.write_json("environment", environment.describe(choice, splits))
    _run(folder, config, splits)
    return folder


def resume(folder: RunFolder, config: Config) -> None:
    """Go on with an interrupted cross-validation, to the same numbers.

    Args:
        folder: It.
        config: Its settings; threads and backend may be others than before, epochs may be more.

    Raises:
        ConfigError: if other settings or the dataset have changed.
    """
    config = replace(config, backend=backends.choose(config.backend).name)
    loop.check_unchanged(folder.config, config)
    before = folder.config.train.epochs
    if config.train.epochs < before:
        raise ConfigError(
            f"{before} <= epochs must hold, because folds may have had as many, but got "
            f"{config.train.epochs}; leave it out, or start a new run"
        )
    splits = _load(config)
    loop.check_same_dataset(folder, splits)
    _run(folder, config, splits)


def _load(config: Config) -> Splits:
    undivided = replace(config.data, validation=NoValidation())
    return load_dataset(undivided, config.train.seed)


def _run(folder: RunFolder, config: Config, splits: Splits) -> None:
    """Train what is not yet trained, and keep the summary true."""
    with claimed(folder.path):
        folder.write_config(config)
        folder.write_json("summary", {"state": "running"})
        try:
            summary = _train_all(folder, config, splits)
        except KeyboardInterrupt:
            folder.write_json("summary", {"state": "interrupted"})
            print(
                f"and with all speakers: python -m shd_genn.run --resume {folder.path}",
                file=sys.stderr,
            )
            raise
        except ShdGennError as error:
            folder.write_json("summary", {"state": "failed", "reason": str(error)})
            raise
        folder.write_json("summary", summary)


def _train_all(folder: RunFolder, config: Config, splits: Splits) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    curves = []
    speakers = training_speakers(splits.train)
    for number, (speaker, name) in enumerate(zip(speakers, _names(speakers), strict=True)):
        print(f"left out: {speaker} ({number + 1} of {len(speakers)})", file=sys.stderr)
        validation = SpeakerValidation(speaker, config.data.validation.best_by)
        data = replace(config.data, validation=validation, test=False)
        fold = _train(folder.path / name, replace(config, data=data))
        curve = _accuracies(fold, "valid")
        best = int(fold.read_json("summary")["best_epoch"])
        rows.append(
            {
                "speaker": speaker,
                "fold": name,
                "samples": len(split_speaker(splits.train, speaker)[1]),
                "best_epoch": best,
                "accuracy": curve[best],
                "training_accuracy": _accuracies(fold, "train")[best],
            }
        )
        curves.append(curve)
        folder.write_table("folds", rows)
    summary = {
        "state": "complete",
        "dataset": splits.train.name,
        "folds": len(rows),
        "chosen_by": "training accuracy"
        if config.data.validation.best_by == "training"
        else "validation accuracy",
        **_over_folds([float(row["accuracy"]) for row in rows]),
        "common_epoch": _common_epoch(curves),
    }
    if splits.test is not None and config.data.test:
        print("left out: nobody", file=sys.stderr)
        last = _train(
            folder.path / LAST,
            replace(config, data=replace(config.data, validation=NoValidation())),
        )
        summary["test"] = last.read_json("summary")["test"]
    return summary


def _train(path: Path, config: Config) -> RunFolder:
    """One run, from the beginning or from where it was."""
    folder = RunFolder(path)
    if not folder.read_json("environment"):  # written last when a folder is made
        return loop.start(config, path.parent, name=path.name, model_file=path.parent / "model.py")
    if not loop.is_over(folder, config.train.epochs):
        before = on_this_machine(folder.config, config)
        train = replace(before.train, epochs=config.train.epochs)
        loop.resume(folder, replace(before, train=train, backend=config.backend))
    return folder


def _names(speakers: list[str]) -> Iterator[str]:
    """A folder's name for each speaker."""
    for number, speaker in enumerate(speakers):
        yield f"fold-{number:02}_{re.sub(r'[^A-Za-z0-9._-]', '_', speaker)}"


def _accuracies(folder: RunFolder, split: str) -> list[float]:
    """The accuracy of each epoch."""
    return [float(r["accuracy"]) for r in folder.read_table("metrics") if r["split"] == split]


def _over_folds(accuracies: list[float]) -> dict[str, float]:
    return {
        "accuracy": float(np.mean(accuracies)),
        "accuracy_sd": float(np.std(accuracies, ddof=1)),
    }


def _common_epoch(curves: list[list[float]]) -> dict[str, float]:
    """The epoch that is best on average over the folds, and its accuracy.

    Where each fold chooses an epoch of its own by the very samples that judge it, its accuracy is
    a little too good; this one is hardly so.
    """
    shortest = min(map(len, curves))
    table = np.array([curve[:shortest] for curve in curves])
    best = int(table.mean(axis=0).argmax())
    return {"epoch": best, **_over_folds(table[:, best].tolist())}
