"""The run folder: everything that is known of a run, readable without this program."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import Learner, Simulator
from shd_genn.config import Config
from shd_genn.config.toml import load_toml, to_toml
from shd_genn.support.errors import ConfigError
from shd_genn.support.files import write_text, written_aside

README = """\
A run of shd_genn (python -m shd_genn.run). What lies here:

config.toml       every setting; python -m shd_genn.run --config config.toml repeats the run
model.py          the file that describes the network
environment.json  versions, commit, machine, backend, compiler, command, and what the dataset is
metrics.csv       one row per epoch and split: accuracy, loss, spikes, seconds
best.npz          parameters and optimiser state of the chosen epoch
last.npz          parameters and optimiser state of the last whole epoch
summary.json      state of the run, and the final numbers; the test set is judged once, at the end
predictions.csv   what was said of every test sample
spike_counts.npz  spikes of every hidden neuron for every test sample

In metrics.csv and summary.json hidden spikes are per neuron and trial: mean, standard deviation,
minimum and maximum over the neurons of all hidden layers; silent neurons never spiked in the split.

In best.npz and last.npz parameter_SOURCE_TARGET are weights, [source neuron, target neuron];
parameter_SOURCE_TARGET.delay delays in steps; parameter_POPULATION.tau_mem and .tau_syn time
constants in ms, and .v_thresh thresholds, one a neuron; adam_m_KEY and adam_v_KEY Adam's moments.

python -m shd_genn.run --resume FOLDER            goes on with an interrupted run
python -m shd_genn.evaluate FOLDER --dataset DIR  judges it on other data
python -m shd_genn.listen FOLDER sound.wav        says what word is in a recording
"""


@dataclass(frozen=True)
class RunFolder:
    """A run's folder; every file in it is written aside and renamed."""

    path: Path

    @staticmethod
    def create(
        runs: Path,
        config: Config,
        dataset: str,
        model_file: Path,
        name: str | None = None,
        readme: str = README,
    ) -> RunFolder:
        """Make a new folder with the settings and the model file in it.

        Args:
            runs: The folder that runs go into.
            config: All settings, resolved.
            dataset: The dataset's name.
            model_file: A copy of it is kept.
            name: The folder's name; if not given it is made of date, dataset, network and
                settings, and new.
            readme: What its README.txt says.

        Raises:
            ConfigError: if the folder cannot be written.
        """
        if name is None:
            sizes = "-".join(map(str, config.model.hidden_sizes))
            when = f"{datetime.now():%Y-%m-%d_%H%M%S}"
            name = f"{when}_{dataset}_{model_file.stem}-{sizes}_{config.digest()}"
            first, copies = name, 1
            while (runs / name).exists():  # two runs alike, started in the same second
                copies += 1
                name = f"{first}_{copies}"
        path = runs / name
        folder = RunFolder(path)
        write_text(path / "README.txt", readme)
        folder.write_config(config)
        with written_aside(path / "model.py") as aside:
            shutil.copyfile(model_file, aside)
        return folder

    @staticmethod
    def open(path: Path) -> RunFolder:
        """An existing run's folder.

        Raises:
            ConfigError: if it is none.
        """
        if not (path / "config.toml").is_file():
            raise ConfigError(
                f"{path} must be the folder of a run, but has no config.toml; "
                "give the folder that python -m shd_genn.run printed"
            )
        return RunFolder(path)

    @property
    def config(self) -> Config:
        """The run's settings."""
        return load_toml(self.path / "config.toml")

    def write_config(self, config: Config) -> None:
        """Write the run's settings."""
        write_text(self.path / "config.toml", to_toml(config))

    def read_json(self, name: str) -> dict[str, Any]:
        """``environment`` or ``summary``; empty if it is not there yet."""
        file = self.path / f"{name}.json"
        if not file.is_file():
            return {}
        try:
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{file} must be JSON, but {error}; restore it") from error
        return content

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write ``environment`` or ``summary``."""
        write_text(self.path / f"{name}.json", json.dumps(content, indent=2) + "\n")

    def write_table(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Write a CSV file; see `write_table`."""
        write_table(self.path / f"{name}.csv", rows)

    def read_table(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV file; none if it is not there yet."""
        file = self.path / f"{name}.csv"
        if not file.is_file():
            return []
        with file.open(newline="", encoding="utf-8") as text:
            return list(csv.DictReader(text))

    def write_arrays(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write an .npz file."""
        with written_aside(self.path / f"{name}.npz") as aside, aside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def read_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of an .npz file.

        Raises:
            ConfigError: if it is missing or damaged.
        """
        file = self.path / f"{name}.npz"
        try:
            # opened here: np.load leaves a damaged file open
            with file.open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ConfigError(
                f"{file} must hold a checkpoint, but {error}; the run must have finished an epoch"
            ) from error

    def save_checkpoint(self, name: str, learner: Learner, epoch: int) -> None:
        """Write parameters and optimiser state after an epoch as ``best`` or ``last``."""
        arrays: dict[str, NDArray[Any]] = {"epoch": np.array(epoch)}
        arrays |= {f"parameter_{key}": value for key, value in learner.parameters().items()}
        arrays |= {f"adam_{key}": value for key, value in learner.optimiser_state().items()}
        self.write_arrays(name, arrays)

    def load_checkpoint(self, name: str, simulator: Simulator) -> int:
        """Put parameters, and a learner's optimiser state, into a network.

        Returns:
            The epoch after which they were saved.

        Raises:
            ConfigError: if there is no such checkpoint, or it is of another network.
        """
        arrays = self.read_arrays(name)

        def part(prefix: str) -> dict[str, NDArray[Any]]:
            own = (key for key in arrays if key.startswith(prefix))
            return {key.removeprefix(prefix): arrays[key] for key in own}

        # runs from when only weights were learned have weights_
        simulator.set_parameters(part("parameter_") or part("weights_"))
        if isinstance(simulator, Learner):
            simulator.set_optimiser_state(part("adam_"))
        return int(arrays["epoch"])


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a CSV file with a column for every key; a run of an older version may lack some."""
    text = io.StringIO(newline="")
    if rows:
        columns = dict.fromkeys(key for row in rows for key in row)
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_text(path, text.getvalue())
