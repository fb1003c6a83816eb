"""The run folder: all that is known of a run, readable without this program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from shd_genn.backends.protocols import Simulator
from shd_genn.config import Config
from shd_genn.config.toml import load_toml, to_toml
from shd_genn.record import checkpoints, model_copy
from shd_genn.record.environment import FORMAT, Environment
from shd_genn.record.rows import EpochRow, FoldRow, PredictionRow, read_rows, write_rows
from shd_genn.record.summary import RunResult, Summary, read_summary, write_summary
from shd_genn.record.typed_json import convert, plain, read_json, write_json
from shd_genn.support.errors import ConfigError, refuse_unless
from shd_genn.support.files import write_text

README = """\
A run of shd_genn (python -m shd_genn.run). The files:

config.toml       every setting; python -m shd_genn.run --config config.toml repeats the run
model.py          the file that describes the network; modules that it imports lie beside it
environment.json  versions, commit, machine, backend, compiler, command, and what the dataset is
metrics.csv       one row per epoch and split: accuracy, loss, spikes, seconds, joules
best.npz          parameters and optimiser state of the chosen epoch
last.npz          parameters and optimiser state of the last whole epoch
summary.json      state of the run, notes, and the final numbers
epochs/           parameters, spikes and voltages of the epochs that --keep-epochs names
predictions.csv   the network's answer to every test sample
spike_counts.npz  spikes of every hidden neuron for every test sample

Epochs count from 1, in all files and in what is printed. The test set is evaluated once, at the
end, with the parameters of the chosen epoch.

In metrics.csv and summary.json hidden spikes are per neuron and trial: mean, standard deviation,
minimum and maximum over the neurons of all hidden layers; silent neurons never spiked in the split.
Synaptic operations are per trial: of the forward pass, and of training (forward and backward pass).

In best.npz and last.npz parameter_SOURCE_TARGET are weights, [source neuron, target neuron];
parameter_SOURCE_TARGET.delay delays in steps; parameter_POPULATION.tau_mem and .tau_syn time
constants in ms, and .v_thresh thresholds, one a neuron; adam_m_KEY and adam_v_KEY Adam's moments.

python -m shd_genn.run --resume FOLDER            goes on with an interrupted run
python -m shd_genn.evaluate FOLDER --dataset DIR  evaluates it on other data
python -m shd_genn.listen FOLDER sound.wav        finds out what word is in a recording
"""


@dataclass(frozen=True)
class RunFolder:
    """A run's folder; every file in it is written aside and renamed."""

    path: Path

    @staticmethod
    def create(
        runs: Path, config: Config, dataset: str, model_name: str, name: str | None = None
    ) -> RunFolder:
        """A run folder that does not exist yet, or an inner one of a cross-validation.

        Args:
            runs: The folder that runs go into.
            config: All settings, resolved.
            dataset: The dataset's name.
            model_name: The name of the model file without ending.
            name: The folder's name; if not given it is made of date, dataset, network and
                settings, and new.
        """
        if name is None:
            sizes = "-".join(map(str, config.model.hidden_sizes))
            when = f"{datetime.now():%Y-%m-%d_%H%M%S}"
            name = f"{when}_{dataset}_{model_name}-{sizes}_{config.digest()}"
            first, copies = name, 1
            while (runs / name).exists():  # two runs with the same settings in the same second
                copies += 1
                name = f"{first}_{copies}"
        return RunFolder(runs / name)

    @staticmethod
    def open(path: Path) -> RunFolder:
        """An existing run's folder.

        Raises:
            ConfigError: if it is none, or was written by another version.
        """
        if not (path / "config.toml").is_file():
            raise ConfigError(
                f"{path} must be the folder of a run, but has no config.toml; "
                "give the folder that python -m shd_genn.run printed"
            )
        folder = RunFolder(path)
        if (content := read_json(folder._file("environment.json"))) is not None:
            found = content.get("format")
            if found != FORMAT:
                raise ConfigError(
                    f"{path} has format {found}, but this version of shd_genn reads format "
                    f"{FORMAT}; use the version that wrote it"
                )
        return folder

    def _file(self, name: str) -> Path:
        return self.path / name

    def begin(self, config: Config, readme: str = README) -> None:
        """Write README.txt and the settings."""
        write_text(self._file("README.txt"), readme)
        self.write_config(config)

    @property
    def config(self) -> Config:
        """The run's settings."""
        return load_toml(self._file("config.toml"))

    def write_config(self, config: Config) -> None:
        """Write the run's settings."""
        write_text(self._file("config.toml"), to_toml(config))

    @property
    def begun(self) -> bool:
        """Whether the folder is whole: ``environment.json`` is written last."""
        return self._file("environment.json").is_file()

    @property
    def environment(self) -> Environment:
        """What the run ran on.

        Raises:
            ConfigError: if that is not known, because the run was killed as it began.
            DataError: if the file is damaged.
        """
        path = self._file("environment.json")
        content = read_json(path)
        if content is None:
            raise ConfigError(
                f"{path} does not exist, because the run was stopped as it began or the file was "
                "removed; restore the file, or start a new run"
            )
        return convert(path, content, Environment)

    def write_environment(self, environment: Environment) -> None:
        """Write what the run runs on."""
        write_json(self._file("environment.json"), plain(environment))

    def model_file(self, trust: bool = False) -> Path:
        """The model file, if it is unchanged and may be executed; see `model_copy.check`."""
        return model_copy.check(self.path, self.environment.model, trust)

    @property
    def summary(self) -> Summary | None:
        """State and final numbers; None before the run has begun."""
        return read_summary(self._file("summary.json"))

    def write_summary(self, summary: Summary) -> None:
        """Write state and final numbers."""
        write_summary(self._file("summary.json"), summary)

    @property
    def result(self) -> RunResult:
        """The final numbers of a complete run.

        Raises:
            ConfigError: if it is not complete, or a cross-validation.
        """
        summary = self.summary
        result = None if summary is None else summary.result
        if not isinstance(result, RunResult):
            state = "not begun" if summary is None else summary.state
            raise ConfigError(
                f"{self.path} must be a complete run, but is {state}"
                f"{'' if result is None else ' and a cross-validation'}; resume it, or give another"
            )
        return result

    @property
    def epochs(self) -> list[EpochRow]:
        """The rows of ``metrics.csv``; none before the first epoch's end."""
        return read_rows(self._file("metrics.csv"), EpochRow)

    def write_epochs(self, rows: Sequence[EpochRow]) -> None:
        """Write ``metrics.csv``."""
        write_rows(self._file("metrics.csv"), rows)

    @property
    def predictions(self) -> list[PredictionRow]:
        """The rows of ``predictions.csv``; none before the run is complete."""
        return read_rows(self._file("predictions.csv"), PredictionRow)

    def write_predictions(self, rows: Sequence[PredictionRow]) -> None:
        """Write ``predictions.csv``."""
        write_rows(self._file("predictions.csv"), rows)

    @property
    def folds(self) -> list[FoldRow]:
        """The rows of a cross-validation's ``folds.csv``."""
        return read_rows(self._file("folds.csv"), FoldRow)

    def write_folds(self, rows: Sequence[FoldRow]) -> None:
        """Write ``folds.csv``."""
        write_rows(self._file("folds.csv"), rows)

    def write_arrays(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write an .npz file."""
        checkpoints.write_arrays(self._file(f"{name}.npz"), arrays)

    def read_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of an .npz file.

        Raises:
            ConfigError: if it is missing or damaged.
        """
        return checkpoints.read_arrays(self._file(f"{name}.npz"))

    def checkpoint(self, name: str) -> Path:
        """The file of checkpoint ``best`` or ``last``."""
        return self._file(f"{name}.npz")

    def load_checkpoint(self, name: str, simulator: Simulator) -> int:
        """Put parameters into a network; the epoch after which they were saved, counted from 1.

        Raises:
            ConfigError: if there is no such checkpoint, or it is of another network.
        """
        return checkpoints.load(self.checkpoint(name), simulator).epoch


def runs_with_networks(paths: Sequence[Path]) -> tuple[list[RunFolder], list[str]]:
    """The runs among the entries of a folder that have a network to evaluate.

    Args:
        paths: Run folders, and whatever lies beside them: studies, other folders, files.

    Returns:
        The runs, and a line for each path that is left out.

    Raises:
        ConfigError: if a path does not exist, or no run is left.
    """
    found, left_out = [], []
    for path in paths:
        refuse_unless(path.exists(), f"there is no folder {path}", "correct the path")
        if why := _without_network(path):
            left_out.append(f"{path} is left out, because {why}")
        else:
            found.append(RunFolder.open(path))
    if not found:
        raise ConfigError(
            f"none of {len(paths)} paths is a run with a network: {left_out[0]}; "
            "give the folder that python -m shd_genn.run printed"
        )
    return found, left_out


def _without_network(path: Path) -> str:
    """Why a path is no run that can be evaluated; "" if it is one."""
    if not (path / "config.toml").is_file():
        return "it is not the folder of a run"
    if any(path.glob("*/config.toml")):
        return "it is a cross-validation, which has a network for each of its runs"
    if not (path / "best.npz").is_file():
        return "no epoch of it is complete"
    return ""


def check_name(runs: Path, name: str) -> None:
    """Refuse a name for a new run that is taken, or cannot be the name of a folder everywhere.

    Raises:
        ConfigError: if it is such a name.
    """
    if (runs / name).exists():
        raise ConfigError(
            f"{runs / name} exists already; choose another name, or go on with that run by --resume"
        )
    if not re.fullmatch(r"[^\W_][\w.+=-]*", name):
        raise ConfigError(
            f"name {name!r} must begin with a letter or digit and hold only letters, digits and "
            "_ . + = -, because a folder is named so; choose another name"
        )
