"""Runs on GeNN: side by side, resumed, and passed from one backend to the other."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny

from shd_genn.backends.genn import installation
from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.record.rows import PredictionRow, read_rows
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import ConfigError
from shd_genn.train import loop, prepare
from shd_genn.train.compile import compile_network

pytestmark = [
    pytest.mark.genn,
    pytest.mark.skipif(bool(installation.missing()), reason="needs pygenn and ml_genn"),
]

ON_CPU = installation.genn_backend() == "single_threaded_cpu"


@pytest.mark.skipif(not ON_CPU, reason="a GPU takes batches")
def test_a_refused_run_leaves_nothing_behind(data, tmp_path):
    config = Config(data=DataConfig(dataset=str(data)), backend="genn")
    with pytest.raises(ConfigError, match=r"but got 32; .*--backend native"):
        loop.start(config, tmp_path)
    assert list(tmp_path.iterdir()) == []


def numbers(folder: RunFolder) -> dict[str, np.ndarray]:
    """Parameters and optimiser state at the run's end."""
    arrays = folder.read_arrays("last")
    return {name: array for name, array in arrays.items() if array.dtype.kind == "f"}


def assert_trained_alike(got, expected):
    """By the same run: the same bits, or on a GPU within the rate of 1e-2 in nearly all places."""
    if ON_CPU:
        np.testing.assert_array_equal(got, expected)
    else:
        assert np.mean(np.abs(got - expected) > 1e-3) <= 0.01


def command(data, *arguments):
    options = [*tiny.OPTIONS, "--batch-size", "1", "--epochs", "1", "--backend", "genn"]
    options += ["--kernel-times"]
    return [sys.executable, "-m", "shd_genn.run", "--dataset", str(data), *options, *arguments]


def test_two_runs_at_once_in_one_folder(data, tmp_path, monkeypatch):
    """Nothing compiled before; both generate the same code, and nothing of it lies about."""
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path / "cache"))
    here = tmp_path / "here"
    here.mkdir()
    runs = [
        subprocess.Popen(
            command(data), cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    results = [run.communicate() for run in runs]
    for run, (said, errors) in zip(runs, results, strict=True):
        assert run.returncode == 0, errors
        assert said.startswith("backend             genn (asked for by name)")
    assert [path.name for path in here.iterdir()] == ["runs"]
    one, other = (RunFolder(path) for path in (here / "runs").iterdir())
    for name, array in numbers(one).items():
        assert_trained_alike(numbers(other)[name], array)
    left = sorted(path.name.partition("-")[0] for path in (tmp_path / "cache/genn-code").iterdir())
    assert len(left) == 2 and "run" not in left  # what training and inference were compiled to

    environment = json.loads((one.path / "environment.json").read_text())
    engine = environment["engine"]["installation"]
    assert engine["pygenn"] and engine["backend"]
    times = one.result.kernel_seconds
    assert times["training.neuron_update"] > 0 and times["inference.presynaptic_update"] > 0


@pytest.mark.parametrize(("trains", "judges"), [("native", "genn"), ("genn", "native")])
def test_trained_by_one_it_says_the_same_in_the_other(data, tmp_path, trains, judges):
    """Of all samples, trained on and new; a spike near the threshold may fall a step later."""
    config = Config(
        data=DataConfig(dataset=str(data), trial_ms=120.0, validation="none"),
        model=ModelConfig(hidden_sizes=(20,), w_in_mean=0.5, w_in_sd=0.2),
        train=TrainConfig(epochs=2, batch_size=1, learning_rate=0.01),
        backend=trains,
    )
    folder = loop.start(config, tmp_path)
    splits = prepare.load(folder.config)
    assert splits.test is not None
    for part in (splits.test, splits.train):
        said = []
        for backend in (trains, judges):
            settings = replace(folder.config, backend=backend)
            with compile_network(settings, folder.path / "model.py") as compiled:
                folder.load_checkpoint("last", compiled)
                said.append(compiled.evaluate(part.events))
        one, other = said
        assert np.mean(one.predictions == other.predictions) >= 0.995
        counts, expected = other.spike_counts["hidden0"], one.spike_counts["hidden0"]
        assert expected.sum() > 100 and np.abs(counts - expected).sum() <= 0.01 * expected.sum()


def short_run(data, backend: str, epochs: int) -> Config:
    return Config(
        data=DataConfig(dataset=str(data), trial_ms=120.0),
        model=ModelConfig(hidden_sizes=(20,), w_in_mean=0.5, w_in_sd=0.2),
        train=TrainConfig(epochs=epochs, batch_size=1, learning_rate=0.01),
        backend=backend,
    )


def test_runs_go_from_one_backend_to_the_other(data, tmp_path):
    """What native has trained says the same in GeNN, and GeNN goes on with it, and back."""
    config = short_run(data, "native", epochs=1)
    folder = loop.start(config, tmp_path)
    said = folder.predictions
    options = ["--dataset", str(data), "--backend", "genn", "-o", str(tmp_path / "said.csv")]
    evaluated = subprocess.run(
        [sys.executable, "-m", "shd_genn.evaluate", str(folder.path), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert evaluated.returncode == 0, evaluated.stderr
    again = read_rows(tmp_path / "said.csv", PredictionRow)
    assert [row.predicted_word for row in again] == [row.predicted_word for row in said]

    both = replace(folder.config, train=replace(config.train, epochs=2), backend="genn")
    loop.resume(folder, both)
    straight = loop.start(replace(config, train=replace(config.train, epochs=2)), tmp_path / "2")
    for name, array in numbers(straight).items():
        # 50 updates whose gradients agree to about 1e-6, each of at most the rate, 1e-2
        np.testing.assert_allclose(numbers(folder)[name], array, atol=1e-3)


def test_resumed_to_the_same_bits(data, tmp_path):
    config = short_run(data, "genn", epochs=2)
    whole = loop.start(config, tmp_path / "whole")
    parts = loop.start(replace(config, train=replace(config.train, epochs=1)), tmp_path / "parts")
    loop.resume(parts, replace(parts.config, train=config.train))
    for name, array in numbers(whole).items():
        assert_trained_alike(numbers(parts)[name], array)
