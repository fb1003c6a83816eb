"""The commands that are killed: how each begins, how a user goes on, and what must come out.

Every case works in the current folder, where `inputs` is a link to what `prepare` has made.
"""

import hashlib
import json
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from helpers import sweeping, tiny
from helpers.running import EVERYTHING, rows, settings

from shd_genn.datasets import spoken_digits
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support import builder
from shd_genn.train import loop

INPUTS = Path("inputs")
DATA = ["--dataset", "inputs/tiny", *tiny.OPTIONS]
LIBRARY = 'extern "C" int answer() { return 42; }'
RECIPE = spoken_digits.Recipe(
    seen=(spoken_digits.Voice("m1", "en-us", 45),),
    unseen=(spoken_digits.Voice("f5", "en", 55),),
    train_takes=1,
    unseen_takes=1,
)
FORGET = {"seconds"}
"""Columns of tables that no two runs share."""


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        begin: Starts it.
        go_on: What a user does after it was ended, whatever came of it.
        outcome: Texts and digests that are the same for all that have come to the end.
        weight: How often it is drawn.
    """

    begin: Callable[[], None]
    go_on: Callable[[], None]
    outcome: Callable[[], dict[str, str]]
    weight: int = 1


def prepare(folder: Path) -> None:
    """Make what all cases read."""
    tiny.write(folder / "tiny", 24, 9)
    rng, time = np.random.default_rng(0), np.arange(8000) / 16000
    for word, pitch in (("ja", 900.0), ("nein", 400.0)):
        for i in range(3):
            path = folder / "recordings" / word / f"{i}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = 0.1 * np.sin(pitch * (1 + i) * time) + rng.normal(0, 0.01, len(time))
            soundfile.write(path, sound, 16000)
    loop.start(settings(folder / "tiny", epochs=1), folder, name="trained")


def start(module: str, *arguments: object) -> None:
    """As `python -m shd_genn.MODULE ARGUMENTS`, in this process."""
    sys.argv = [f"python -m shd_genn.{module}", *map(str, arguments)]
    runpy.run_module(f"shd_genn.{module}", run_name="__main__", alter_sys=True)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _run_folders() -> Iterator[RunFolder]:
    """Run folders that were begun, the others being what a kill at the very first moment leaves."""
    for path in sorted(Path("runs").glob("*")):
        if (path / "config.toml").is_file() and RunFolder(path).begun:
            yield RunFolder.open(path)


def _go_on_with_run(*options: object) -> None:
    for folder in _run_folders():
        if folder.summary is None or not folder.summary.complete:
            start("run", "--resume", folder.path)
        return
    start("run", *options)


def _of_run(path: Path) -> dict[str, str]:
    outcome = {}
    for name in ("best", "last", "spike_counts"):
        if (path / f"{name}.npz").exists():
            with np.load(path / f"{name}.npz") as arrays:
                content = b"".join(key.encode() + arrays[key].tobytes() for key in sorted(arrays))
            outcome[name] = hashlib.sha256(content).hexdigest()[:16]
    for name in ("metrics", "predictions", "folds"):
        if (path / f"{name}.csv").exists():
            table = [{k: v for k, v in r.items() if k not in FORGET} for r in rows(path, name)]
            outcome[name] = str(table)
    outcome["state"] = json.loads((path / "summary.json").read_text())["state"]
    return outcome


def _outcome_of_run() -> dict[str, str]:
    (folder,) = _run_folders()
    parts = {"": folder.path} | {p.name: p for p in folder.path.iterdir() if p.is_dir()}
    return {
        f"{part} {name}": text
        for part, path in parts.items()
        if (path / "summary.json").exists()
        for name, text in _of_run(path).items()
    }


TRAIN = [*DATA, *EVERYTHING, "--epochs", 6, "--n-threads", 2]
FOLDS = [*DATA, "--batch-size", 8, "--epochs", 2, "--validation", "speaker", "--n-threads", 1]


def _encode(*options: str) -> Case:
    def begin() -> None:
        start("encode", "inputs/recordings", "-o", "spikes.h5", *options)

    def outcome() -> dict[str, str]:
        return _of_dataset(Path("spikes.h5"))

    return Case(begin, begin, outcome, 3)


def _of_dataset(path: Path) -> dict[str, str]:
    found = read_spikes(path, "x")
    content = [found.events.times_ms, found.events.channels, found.events.offsets, found.labels]
    whole = b"".join(array.tobytes() for array in content)
    return {path.name: hashlib.sha256(whole).hexdigest()[:16], "words": str(found.class_names)}


def _evaluate() -> None:
    start("evaluate", "inputs/trained", "--dataset", "inputs/tiny", "-o", "answers.csv")


def _outcome_of_evaluate() -> dict[str, str]:
    unchanged = sorted(path for path in (INPUTS / "trained").iterdir() if path.is_file())
    return {path.name: digest(path) for path in (Path("answers.csv"), *unchanged)}


def _compile() -> None:
    os.environ["SHD_GENN_CACHE"] = "cache"
    print(builder.build_library(LIBRARY, "answer"))


def _outcome_of_compile() -> dict[str, str]:
    libraries = list(Path("cache/libraries").glob("*.so"))
    return {"libraries": str(len(libraries)), "bytes": digest(libraries[0])}


def _generate() -> None:
    link = Path("cache/cochlea")  # matrices, which take a minute, are made once for all kills
    if not link.exists():
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(Path(os.environ["SHD_GENN_CACHE"]) / "cochlea")
    os.environ["SHD_GENN_CACHE"] = str(Path("cache").absolute())
    print(spoken_digits.prepare(RECIPE))


def _outcome_of_generate() -> dict[str, str]:
    (folder,) = Path("cache/spoken-digits").iterdir()
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    train, test = (_of_dataset(folder / f"{split}.h5") for split in ("train", "test"))
    return {"files": str(names)} | train | test


def _noise() -> None:
    folder = Path("noise")
    if (folder / "train.h5").exists() != (folder / "test.h5").exists():
        # the command says so: a folder that has one of them is refused
        (folder / "train.h5").unlink()
    if not (folder / "test.h5").exists():
        start("bench", "noise", "noise", "--train", 30, "--test", 10)


def _outcome_of_noise() -> dict[str, str]:
    return _of_dataset(Path("noise/train.h5")) | _of_dataset(Path("noise/test.h5"))


SPACE = """
def space(trial):
    return {"hidden_sizes": [trial.suggest_categorical("hidden", [5, 6, 7])]}
"""


def _sweep() -> None:
    Path("tiny_space.py").write_text(SPACE)
    options = ["--epochs", 3, "--sampler", "grid", "--pruner", "none", "--learning-rate", 0.01]
    start("sweep", "tiny_space.py", "--dataset", "inputs/tiny", *sweeping.OPTIONS, *options)


def _outcome_of_sweep() -> dict[str, str]:
    study = sweeping.load(Path("tiny_space.py").absolute())
    done = sweeping.trials(study)
    outcome = {f"trials with {t.params['hidden']}": "" for t in done}
    for trial in done:
        outcome[f"trials with {trial.params['hidden']}"] += f"{trial.value!r} once"
        (folder,) = trial.user_attrs["run_folders"]
        outcome |= {f"{trial.params['hidden']} {k}": v for k, v in _of_run(Path(folder)).items()}
    outcome["left"] = str(len(sweeping.trials(study, "RUNNING")))
    return outcome


def _by(method: str, *options: str) -> Case:
    words = [*DATA, "--epochs", 3, "--n-threads", 1, "--method", method, *options]
    words[words.index("--hidden-sizes") + 1] = "6"
    return Case(lambda: start("run", *words), lambda: _go_on_with_run(*words), _outcome_of_run, 4)


LAYER = ("--model", "feedforward")

CASES = {
    "train": Case(
        lambda: start("run", *TRAIN), lambda: _go_on_with_run(*TRAIN), _outcome_of_run, 10
    ),
    "crossval": Case(
        lambda: start("run", *FOLDS), lambda: _go_on_with_run(*FOLDS), _outcome_of_run, 4
    ),
    "encode": _encode("--code", "rate", "--channels", "40"),
    "cochlea": _encode(),
    "evaluate": Case(_evaluate, _evaluate, _outcome_of_evaluate, 4),
    "compile": Case(_compile, _compile, _outcome_of_compile, 4),
    "generate": Case(_generate, _generate, _outcome_of_generate),
    "noise": Case(_noise, _noise, _outcome_of_noise, 4),
    "surrogate": _by("surrogate", "--neuron", "alif", "--backend", "reference"),
    "eprop": _by("eprop", "--feedback", "adaptive", "--backend", "reference"),
    "eprop-online": _by("eprop-online", "--feedback", "random", "--backend", "reference"),
    "stdp": _by("stdp", *LAYER, "--device-levels", "32", "--device-noise", "0.05"),
    "r-stdp": _by("r-stdp", *LAYER, "--backend", "reference"),
    "conversion": _by("conversion", *LAYER, "--backend", "reference", "--bin-channels", "3"),
    "sweep": Case(_sweep, _sweep, _outcome_of_sweep),
}
"""Name → command."""
