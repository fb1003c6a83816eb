"""Training networks and using finished runs from a notebook or another program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shd_genn.backends.choice import BackendOption
from shd_genn.backends.protocols import Recording
from shd_genn.config import Config, presets
from shd_genn.config.flat import update
from shd_genn.record import checkpoints
from shd_genn.record.rows import to_frame
from shd_genn.record.run_folder import RunFolder, check_name
from shd_genn.record.summary import RunResult, Summary
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.support.errors import ConfigError, refuse_unless
from shd_genn.train import crossval, loop
from shd_genn.train.evaluation import Evaluation
from shd_genn.train.inference import Answer, evaluate_run, listen_to, record, samples_for

StrPath = str | os.PathLike[str]


def fit(
    dataset: str | None = None,
    *,
    preset: str | None = None,
    config: Config | None = None,
    runs: StrPath = "runs",
    name: str | None = None,
    **settings: Any,
) -> Run:
    """Train a network and record it in a run folder, as ``python -m shd_genn.run`` does.

    Args:
        dataset: ``spoken-digits``, ``shd``, ``ssc``, or a folder that holds train.h5 and test.h5.
        preset: The name of a published network whose settings to start from.
        config: All settings to start from, instead of a preset.
        runs: The folder that run folders go into.
        name: The name of the run's folder; by default made of date, dataset and settings.
        **settings: Any options of ``python -m shd_genn.run``, with ``_`` for ``-``: ``epochs=20``,
            ``hidden_sizes=(64,)``, ``learning_rate=2e-3``, ``backend="native"`` ….

    Returns:
        The complete run.

    Raises:
        ShdGennError: if a setting or the dataset cannot be used; the message says how to correct
            it.
        KeyboardInterrupt: after what is complete has been saved; `Run.resume` goes on.
    """
    refuse_unless(
        preset is None or config is None,
        "settings to start from are given by both preset and config",
        "leave one of them out",
    )
    start = config or (Config() if preset is None else presets.get(preset).config)
    if dataset is not None:
        settings = {"dataset": os.fspath(dataset)} | settings
    start = update(start, settings)
    if crossval.is_cross_validation(start):
        raise ConfigError(
            "validation=speaker trains several networks, but fit trains one; give "
            "validation_speaker=NAME too, or use python -m shd_genn.run"
        )
    if name is not None:
        check_name(Path(runs), name)
    return Run(loop.start(start, Path(runs), name=name))


def open_run(path: StrPath, *, trust_model: bool = False) -> Run:
    """Open a run that was trained before, by `fit` or by ``python -m shd_genn.run``.

    Args:
        path: The run's folder.
        trust_model: Consent to execute the folder's model.py although you have not used it on this
            machine before. Read it first: it can do anything.

    Raises:
        ConfigError: if the folder is no run, or was written by another version.
    """
    return Run(RunFolder.open(Path(path)), trust_model)


@dataclass(frozen=True)
class Run:
    """A training and everything that was recorded of it.

    Attributes:
        folder: Its folder.
        trust_model: Consent to execute the folder's model.py; see `open_run`.
    """

    folder: RunFolder
    trust_model: bool = False

    def __repr__(self) -> str:
        state = "not begun" if self.summary is None else self.summary.state
        return f"<Run {self.folder.path.name}: {state}>"

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def config(self) -> Config:
        """All settings."""
        return self.folder.config

    @property
    def words(self) -> tuple[str, ...]:
        """The word of each class."""
        return self.folder.environment.dataset.words

    @property
    def summary(self) -> Summary | None:
        """State, notes and final numbers; None before the run has begun."""
        return self.folder.summary

    @property
    def result(self) -> RunResult:
        """The final numbers, e.g. ``run.result.test.accuracy``.

        Raises:
            ConfigError: if the run is not complete.
        """
        return self.folder.result

    @property
    def epochs(self) -> pd.DataFrame:
        """A row per epoch and split; columns as in `shd_genn.record.rows.EpochRow`."""
        return to_frame(self.folder.epochs)

    @property
    def predictions(self) -> pd.DataFrame:
        """A row per test sample; columns as in `shd_genn.record.rows.PredictionRow`."""
        return to_frame(self.folder.predictions)

    def parameters(self, epoch: Literal["best", "last"] = "best") -> dict[str, NDArray[np.float32]]:
        """Weights and all other parameters, float32.

        Args:
            epoch: Of the chosen epoch, or of the last one.

        Returns:
            Key → array, e.g. ``input_hidden0`` → (source neurons, target neurons); see
            `shd_genn.backends.protocols.Parameters`.

        Raises:
            ConfigError: if no epoch is complete yet.
        """
        return checkpoints.read(self.folder.checkpoint(epoch)).parameters

    def spike_counts(self) -> dict[str, NDArray[np.int32]]:
        """Hidden population → int32, (test samples, neurons): spikes in each test trial."""
        return self.folder.read_arrays("spike_counts")

    def record(
        self,
        samples: Sequence[int] = (0,),
        *,
        dataset: str | SpikeDataset | None = None,
        split: str = "test",
        backend: BackendOption | None = None,
    ) -> Recording:
        """All spikes and output voltages of the chosen epoch's network for some samples.

        Args:
            samples: Indices of samples whose words the network knows, counted from 0.
            dataset: The dataset; by default the one that the run was trained on.
            split: Which of the dataset's files: train, valid or test.
            backend: What computes; by default the backend that trained the run.

        Returns:
            ``spikes``: population → `shd_genn.spikes.events.Events`, of which ``sample(i)`` is a
            pair of arrays, times in ms and neurons; ``voltages``: float32, (samples, steps,
            classes).

        Raises:
            ConfigError: if there is no such sample, or the dataset does not fit the network.
        """
        data = self.config.data
        known = samples_for(self.folder, dataset or data.dataset, split, data.data_dir).dataset
        for sample in samples:
            refuse_unless(
                0 <= sample < len(known),
                f"sample {sample} does not exist: {known.name} ({split}) has {len(known)} samples",
                "count from 0",
            )
        events = known.presented(np.asarray(samples, np.int64))
        return record(self.folder, events, backend=backend, trust_model=self.trust_model)

    def evaluate(
        self,
        dataset: str | SpikeDataset,
        split: str = "test",
        *,
        data_dir: str | None = None,
        backend: BackendOption | None = None,
    ) -> Evaluation:
        """Evaluate the chosen epoch on any dataset; see `shd_genn.train.inference.evaluate_run`."""
        return evaluate_run(
            self.folder,
            dataset,
            split,
            data_dir=data_dir,
            backend=backend,
            trust_model=self.trust_model,
        )

    def listen(
        self, sound: StrPath, *, seed: int = 0, backend: BackendOption | None = None
    ) -> Answer:
        """Find out what word is in a recording; see `shd_genn.train.inference.listen_to`."""
        return listen_to(
            self.folder, Path(sound), seed=seed, backend=backend, trust_model=self.trust_model
        )

    def resume(self, epochs: int | None = None) -> Run:
        """Go on with an interrupted run, or with a complete one for more epochs.

        Args:
            epochs: Epochs of the whole run; by default as many as were planned.

        Raises:
            ConfigError: if the run is complete, or its files have changed.
        """
        config = self.config
        if epochs is not None:
            config = replace(config, train=replace(config.train, epochs=epochs))
        loop.resume(self.folder, config, trust_model=self.trust_model)
        return self
