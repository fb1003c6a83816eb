"""Leave-one-speaker-out cross-validation as a user meets it."""

import csv
import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny
from helpers.running import run, same_weights, wait_until

from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig, SpeakerValidation
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.record.overview import RunOverview
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.errors import ConfigError
from shd_genn.train import crossval, loop

SPEAKERS = ("anna", "ben", "dora/d")  # not every name can be a folder's


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """Three speakers, one of whom has a name with a slash, and a fourth in the test set."""
    folder = tmp_path_factory.mktemp("data") / "voices"
    write_spikes(folder / "train.h5", tiny.dataset(54, 0, SPEAKERS))
    write_spikes(folder / "test.h5", tiny.dataset(12, 1, ("cleo",)))
    return folder


def options(data, runs, epochs=5):
    own = ["--validation", "speaker", "--epochs", epochs, "--runs", runs]
    return ["--dataset", data, *tiny.OPTIONS, *own]


@pytest.fixture(scope="module")
def finished(voices, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    result = run(*options(voices, runs))
    assert result.returncode == 0, result.stderr
    (folder,) = runs.iterdir()
    return folder, result


def folds(folder):
    with (folder / "folds.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_list_of_runs_shows_a_folds_epochs(finished):
    assert RunOverview.of(finished[0]).n_epochs == 5


def test_every_speaker_is_left_out_once(finished):
    folder, _ = finished
    rows = folds(folder)
    assert [row["speaker"] for row in rows] == list(SPEAKERS)
    for i, row in enumerate(rows):
        environment = json.loads((folder / row["fold"] / "environment.json").read_text())
        assert environment["dataset"]["valid"]["speakers"] == [i]
        assert i not in environment["dataset"]["train"]["speakers"]
        assert int(row["samples"]) == environment["dataset"]["valid"]["samples"] == 18


def test_the_test_set_is_judged_once_by_what_was_trained_on_all(finished):
    folder, _ = finished
    for row in folds(folder):
        fold = folder / row["fold"]
        assert not (fold / "predictions.csv").exists()
        assert "test" not in json.loads((fold / "environment.json").read_text())["dataset"]
        assert "test" not in json.loads((fold / "summary.json").read_text())
    last = json.loads((folder / "all-speakers" / "summary.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test"] == last["test"] and last["chosen_by"] == "training accuracy"


def test_the_summary_is_of_the_folds(finished):
    folder, result = finished
    summary = json.loads((folder / "summary.json").read_text())
    accuracies = [float(row["accuracy"]) for row in folds(folder)]
    assert summary["folds"] == 3
    assert summary["accuracy"] == pytest.approx(np.mean(accuracies))
    assert summary["accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1))
    curves = []
    for row in folds(folder):
        with (folder / row["fold"] / "metrics.csv").open(newline="") as file:
            valid = [float(r["accuracy"]) for r in csv.DictReader(file) if r["split"] == "valid"]
        assert float(row["accuracy"]) == valid[int(row["best_epoch"]) - 1] == max(valid)
        curves.append(valid)
    common = summary["common_epoch"]
    assert common["accuracy"] == pytest.approx(np.mean(curves, axis=0).max())
    assert common["accuracy"] <= summary["accuracy"]
    for said in ("without dora/d", "speakers left out", "trained on all", str(folder)):
        assert said in result.stdout


def test_everything_in_the_folder_is_explained(finished):
    folder, _ = finished
    readme = (folder / "README.txt").read_text()
    for file in folder.iterdir():
        name = "fold-…" if file.name.startswith("fold-") else file.name
        assert name in readme or name == "README.txt", f"README.txt must explain {file}"


def test_a_killed_cross_validation_goes_on_to_the_same_bits(voices, tmp_path):
    epochs = 30
    runs = tmp_path / "killed"
    arguments = [str(a) for a in options(voices, runs, epochs)]
    process = subprocess.Popen(
        [sys.executable, "-m", "shd_genn.run", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def begun():
        return next(iter(runs.glob("*")), runs / "none")

    wait_until(lambda: progress_of_fold(begun() / "fold-01_ben") > 2, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = begun()
    assert len(folds(killed)) == 1
    resumed = run("--resume", killed)
    assert resumed.returncode == 0, resumed.stderr
    whole = run(*options(voices, tmp_path / "whole", epochs))
    assert whole.returncode == 0, whole.stderr
    (reference,) = (tmp_path / "whole").iterdir()
    assert folds(killed) == folds(reference)
    for name in (*(row["fold"] for row in folds(killed)), "all-speakers"):
        assert same_weights(killed / name, reference / name)


@pytest.fixture
def short(voices, tmp_path):
    """A complete cross-validation of one epoch, and what it says of itself."""
    folder = crossval.start(settings(voices), tmp_path / "runs")
    return folder, said_of(folder)


def said_of(folder):
    return [folder.summary, folder.config, folder.folds]


def longer(config, epochs=2, **changes):
    return replace(config, train=replace(config.train, epochs=epochs), **changes)


def test_a_complete_one_goes_on_with_more_epochs_and_another_backend(short):
    folder, _ = short
    crossval.resume(folder, longer(folder.config, backend="reference"))
    assert folder.summary.complete
    inner = [RunFolder(path) for path in (*folder.path.glob("fold-*"), folder.path / crossval.LAST)]
    assert len(inner) == 4
    for run_folder in inner:
        assert run_folder.config.backend == "reference" and run_folder.config.train.epochs == 2
    with pytest.raises(ConfigError, match=r"2 <= epochs must hold, .* but got 1; leave it out"):
        crossval.resume(folder, longer(folder.config, epochs=1))
    assert folder.summary.complete


def test_with_a_changed_dataset_nothing_is_touched(short, voices, tmp_path):
    folder, before = short
    moved = tmp_path / "voices"
    write_spikes(moved / "train.h5", tiny.dataset(63, 0, SPEAKERS))
    write_spikes(moved / "test.h5", tiny.dataset(12, 1, ("cleo",)))
    config = replace(folder.config, data=replace(folder.config.data, dataset=str(moved)))
    folder.write_config(config)  # as if its files had been replaced
    before[1] = config
    with pytest.raises(ConfigError, match="resumed with the dataset that it was started with"):
        crossval.resume(folder, longer(config))
    assert said_of(folder) == before


def test_folds_that_patience_ended_are_left_as_they_are(voices, tmp_path):
    config = settings(voices)
    never_better = replace(config.train, epochs=9, patience=1, learning_rate=1e-9)
    folder = crossval.start(replace(config, train=never_better), tmp_path)
    fold = next(iter(folder.path.glob("fold-*")))
    weights = (fold / "last.npz").read_bytes()
    crossval.resume(folder, replace(folder.config, train=replace(never_better, epochs=12)))
    assert folder.summary.complete
    assert (fold / "last.npz").read_bytes() == weights


def progress_of_fold(fold):
    """The epochs that a fold has saved."""
    try:
        with np.load(fold / "last.npz") as checkpoint:
            return int(checkpoint["epoch"])
    except OSError:
        return 0


def settings(data, speaker=None, **data_settings):
    validation = SpeakerValidation(speaker)
    return Config(
        data=DataConfig(dataset=str(data), trial_ms=120.0, validation=validation, **data_settings),
        model=ModelConfig(hidden_sizes=(8,)),
        train=TrainConfig(epochs=1, batch_size=16),
    )


def test_one_speaker_by_name_is_a_single_run(voices, tmp_path):
    config = settings(voices, speaker="ben")
    assert not crossval.is_cross_validation(config)
    folder = loop.start(config, tmp_path)
    assert folder.environment.dataset.valid.speakers == [1]


def test_without_a_test_set_to_judge_the_folds_are_all(voices, tmp_path):
    folder = crossval.start(settings(voices, test=False), tmp_path)
    assert folder.summary.result.test is None
    assert not (folder.path / "all-speakers").exists()


def test_what_cannot_be_cross_validated_leaves_no_folder(tmp_path):
    lonely = tmp_path / "lonely"
    write_spikes(lonely / "train.h5", tiny.dataset(20, 0, ("anna",)))
    with pytest.raises(ConfigError, match="2 <= training speakers must hold"):
        crossval.start(settings(lonely), tmp_path / "runs")
    small = tmp_path / "small"
    write_spikes(small / "train.h5", tiny.dataset(20, 0, ("anna", "ben")))
    with pytest.raises(ConfigError, match="batch_size <= training samples of every fold"):
        crossval.start(settings(small), tmp_path / "runs")
    with pytest.raises(ConfigError, match="validation_speaker must be named to train a single"):
        loop.start(settings(small), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
