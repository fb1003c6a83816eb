"""Sweeps of the tiny dataset, through the command."""

import subprocess
import sys
import time
from pathlib import Path

import optuna
from sqlalchemy.pool import NullPool

from helpers import tiny
from helpers.calling import call

SPACE = """
def space(trial):
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True),
        "hidden_sizes": [trial.suggest_int("hidden", 5, 20)],
    }
"""
TAKEN = {"--hidden-sizes", "--learning-rate"}  # by the space
PAIRS = zip(tiny.OPTIONS[::2], tiny.OPTIONS[1::2], strict=True)
OPTIONS = [word for option, value in PAIRS if option not in TAKEN for word in (option, value)]


def write_space(folder: Path, text: str = SPACE, name: str = "tiny_space") -> Path:
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


def arguments(space: Path, data: Path, *options) -> list[str]:
    words = (space, "--dataset", data, *OPTIONS, "--runs", space.parent / "runs", *options)
    return [str(word) for word in words]


def command(space: Path, data: Path, *options) -> list[str]:
    return [sys.executable, "-m", "shd_genn.sweep", *arguments(space, data, *options)]


def start(space: Path, data: Path, *options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(space, data, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sweep(space: Path, data: Path, *options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(space, data, *options), capture_output=True, text=True, check=False
    )


def finished(space: Path, data: Path, *options) -> optuna.Study:
    """Run a study to its end; its workers have processes of their own, the command has not."""
    result = call("sweep", *arguments(space, data, *options))
    assert result.returncode == 0, result.stderr
    return load(space)


def database(space: Path) -> Path:
    return space.parent / "runs" / space.stem / "study.db"


def load(space: Path, url: str | None = None) -> optuna.Study:
    """The study, in plain Optuna, which would otherwise keep its connections open."""
    storage = optuna.storages.RDBStorage(
        url or f"sqlite:///{database(space)}", engine_kwargs={"poolclass": NullPool}
    )
    return optuna.load_study(study_name=space.stem, storage=storage)


def trials(study: optuna.Study, state: str = "COMPLETE") -> list[optuna.trial.FrozenTrial]:
    return [t for t in study.get_trials(deepcopy=False) if t.state.name == state]


def run_folders(space: Path) -> list[Path]:
    return sorted(p.parent for p in (space.parent / "runs" / space.stem).glob("*/config.toml"))


def wait_until(true, process: subprocess.Popen[str] | None = None, seconds: float = 120.0):
    end = time.monotonic() + seconds
    while not (answer := true()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer
