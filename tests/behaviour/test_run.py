"""`python -m shd_genn.run` as a user meets it: training, records, wrong input."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny
from helpers.calling import call
from helpers.running import rows, run, same_weights, settings

from shd_genn.config import Config
from shd_genn.config.flat import update
from shd_genn.datasets.settings import AutoValidation, DataConfig
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.present.batches import batches, count_batches
from shd_genn.present.settings import AugmentConfig, PresentConfig
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import ConfigError, DivergedError, PrunedError
from shd_genn.train import loop


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of 30 epochs through the command, and what it printed."""
    runs = tmp_path_factory.mktemp("runs")
    result = run("--dataset", data, *tiny.OPTIONS, "--epochs", 30, "--runs", runs)
    assert result.returncode == 0, result.stderr
    (folder,) = runs.iterdir()
    return folder, result


def test_it_learns_and_says_so(finished):
    folder, result = finished
    assert json.loads((folder / "summary.json").read_text())["test"]["accuracy"] > 0.9
    for line in ("test accuracy", "speakers seen", "speakers unseen", "hidden spikes"):
        assert line in result.stdout
    assert str(folder) in result.stdout and "time per epoch" in result.stdout
    assert "epoch 30/30  train" in result.stderr  # no terminal: a plain line for each epoch


def test_run_folder_is_whole(finished):
    folder, _ = finished
    readme = (folder / "README.txt").read_text()
    for file in folder.iterdir():
        assert file.name in readme or file.name == "README.txt", f"README.txt must explain {file}"
    environment = json.loads((folder / "environment.json").read_text())
    for key in ("shd_genn", "commit", "python", "packages", "cpu", "cores", "backend", "engine"):
        assert key in environment
    assert "version" in environment["engine"]["compiler"]
    assert environment["dataset"]["name"] == "tiny"
    assert environment["dataset"]["train"]["samples"] == 44  # 50 less 10 % of each class
    config = RunFolder.open(folder).config
    assert (config.model.n_inputs, config.model.n_classes) == (30, 3)


def test_metrics_and_predictions_agree(finished):
    folder, _ = finished
    metrics, predictions = rows(folder, "metrics"), rows(folder, "predictions")
    assert [r["split"] for r in metrics] == ["train", "valid"] * 30 + ["test"]
    test = metrics[-1]
    correct = [row["label"] == row["predicted"] for row in predictions]
    assert float(test["accuracy"]) == pytest.approx(np.mean(correct))
    with np.load(folder / "spike_counts.npz") as counts:
        spikes = counts["hidden0"]
    assert spikes.shape == (12, 20)
    assert float(test["hidden_spikes_mean"]) == pytest.approx(spikes.mean())
    assert float(test["hidden_spikes_sd"]) == pytest.approx(spikes.mean(axis=0).std())
    assert int(test["silent_neurons"]) == np.sum(spikes.sum(axis=0) == 0)
    assert [int(r["spikes_hidden0"]) for r in predictions] == spikes.sum(axis=1).tolist()
    assert {(r["speaker"], r["seen_speaker"]) for r in predictions} == {
        ("anna", "True"),
        ("cleo", "False"),
    }


def test_the_best_validation_epoch_is_chosen(finished):
    folder, _ = finished
    valid = [r for r in rows(folder, "metrics") if r["split"] == "valid"]
    best = max(valid, key=lambda r: (float(r["accuracy"]), -float(r["loss"])))
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["best_epoch"] == int(best["epoch"])
    with np.load(folder / "best.npz") as checkpoint:
        assert int(checkpoint["epoch"]) == int(best["epoch"])


def test_threads_and_repetition_do_not_change_a_bit(data, tmp_path):
    folders = []
    for i, n_threads in enumerate((1, 2, 2)):
        config = Config(**{**vars(settings(data)), "n_threads": n_threads})
        folders.append(loop.start(config, tmp_path / str(i)).path)
    assert same_weights(folders[0], folders[1]) and same_weights(folders[1], folders[2])
    other = loop.start(settings(data, seed=1), tmp_path / "other").path
    assert not same_weights(folders[0], other)


def test_a_run_tells_of_its_epochs_and_can_be_ended_by_who_listens(data, tmp_path):
    heard = []

    def listen(folder, rows):
        heard.append([(row.epoch, row.split) for row in rows])
        if len(heard) == 3:
            raise PrunedError("others do better")

    with pytest.raises(PrunedError):
        loop.start(settings(data), tmp_path, listen)
    epochs = [[(epoch, split) for split in ("train", "valid")] for epoch in range(1, 5)]
    assert heard == [[], *epochs[:2]]
    (path,) = tmp_path.iterdir()
    folder = RunFolder.open(path)
    assert (folder.summary.state, folder.summary.reason) == ("pruned", "others do better")
    loop.resume(folder, folder.config, listen)  # what is saved is told again
    assert heard[3:] == [epochs[0] + epochs[1], *epochs[2:]]


def test_a_complete_run_is_not_resumed_but_can_be_lengthened(finished):
    folder, _ = finished
    result = run("--resume", folder)
    assert result.returncode == 2
    assert "is complete after 30 epochs; give more --epochs" in result.stderr


def test_early_stopping(data, tmp_path):
    folder = loop.start(settings(data, epochs=100, patience=3), tmp_path)
    accuracies = [row.accuracy for row in folder.epochs if row.split == "valid"]
    assert len(accuracies) == accuracies.index(max(accuracies)) + 1 + 3 < 100


def test_without_validation_the_training_accuracy_chooses(data, tmp_path):
    config = settings(data)
    config = Config(
        **{
            **vars(config),
            "data": DataConfig(dataset=str(data), trial_ms=120.0, validation="none"),
        }
    )
    assert loop.start(config, tmp_path).result.chosen_by == "training accuracy"


def test_batches_are_all_samples_once_and_differ_by_epoch(data):
    config, dataset = settings(data), tiny.dataset(50, 0)
    epochs = [list(batches(config.batching, dataset, e)) for e in (0, 0, 1)]
    assert [len(labels) for _, labels in epochs[0]] == [16, 16, 16, 2]
    counts = np.bincount(np.concatenate([labels for _, labels in epochs[0]]))
    assert counts.tolist() == np.bincount(dataset.labels).tolist()
    for (a, _), (b, _) in zip(epochs[0], epochs[1], strict=True):
        np.testing.assert_array_equal(a.channels, b.channels)
    assert not np.array_equal(epochs[0][0][0].channels, epochs[2][0][0].channels)


def test_blended_samples_are_added_to_an_epoch(data):
    config, dataset = settings(data), tiny.dataset(50, 0)
    config = replace(config, augment=AugmentConfig(blend=0.5, shift_channels=0.0))
    epoch = list(batches(config.batching, dataset, 0))
    assert [len(labels) for _, labels in epoch] == [16, 16, 16, 16, 11]
    assert count_batches(config.batching, dataset) == 5
    recorded = {tuple(dataset.events.sample(i)[0]) for i in range(50)}
    shown = [tuple(events.sample(i)[0]) for events, labels in epoch for i in range(len(labels))]
    assert recorded <= set(shown) and sum(times not in recorded for times in shown) == 25
    ten = np.concatenate(
        [
            np.bincount(e.channels[e.offsets[i] : e.offsets[i + 1]] // 10, minlength=3)
            for e, labels in epoch
            for i in range(len(labels))
        ]
    ).reshape(-1, 3)  # a class has ten channels of its own
    assert (ten.argmax(axis=1) == np.concatenate([labels for _, labels in epoch])).all()


def test_the_delay_line_is_part_of_the_run(data, tmp_path):
    """Recorded in its folder, in training and test alike, and when it is evaluated again."""
    config = settings(data)
    config = replace(config, present=PresentConfig(delay_copies=2, delay_step_ms=10.0))
    folder = loop.start(config, tmp_path)
    assert folder.config.model.n_inputs == 90 and folder.config.present.delay_copies == 2
    by_split = {row.split: row.input_spikes for row in folder.epochs}
    for split in ("valid", "test"):  # 80 spikes, some later than 120 ms with their delay
        assert 220 < by_split[split] <= 240
    table = tmp_path / "said.csv"
    arguments = ["--dataset", data, "-o", table]
    result = call("evaluate", folder.path, *arguments)
    assert result.returncode == 0, result.stderr
    with table.open(newline="") as file:
        assert list(csv.DictReader(file)) == rows(folder.path, "predictions")


def test_the_test_set_can_be_left_alone(data, tmp_path):
    config = settings(data)
    config = replace(config, data=replace(config.data, test=False))
    folder = loop.start(config, tmp_path)
    assert folder.result.test is None
    assert folder.environment.dataset.test is None
    assert not (folder.path / "predictions.csv").exists()


def test_training_accuracy_may_choose_beside_validation(data, tmp_path):
    config = settings(data)
    validation = AutoValidation(best_by="training")
    config = replace(config, data=replace(config.data, validation=validation))
    folder = loop.start(config, tmp_path)
    training = [row for row in folder.epochs if row.split == "train"]
    best = max(training, key=lambda row: (row.accuracy, -row.loss))
    assert folder.result.best_epoch == best.epoch
    assert folder.result.chosen_by == "training accuracy"


def test_a_cosine_cannot_be_lengthened(data, tmp_path):
    folder = loop.start(settings(data, schedule="cosine", epochs=2), tmp_path)
    longer = replace(folder.config, train=replace(folder.config.train, epochs=3))
    with pytest.raises(ConfigError, match=r"epochs = 2 must hold with schedule=cosine"):
        loop.resume(folder, longer)


def test_diverged_training_stops_with_advice(data, tmp_path):
    with pytest.raises(DivergedError, match=r"must stay finite.*lower learning_rate"):
        loop.start(settings(data, learning_rate=1e38), tmp_path)
    (folder,) = tmp_path.iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["state"] == "failed" and "lower learning_rate" in summary["reason"]


def test_weights_that_are_not_finite_are_named_before_the_voltages_they_cause(data, tmp_path):
    neurons = update(settings(data, learning_rate=1e38), {"neuron": "alif"})
    with pytest.raises(DivergedError, match=r"but input_hidden0 is not in epoch 1.*not finite"):
        loop.start(neurons, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dropout", "1"], "0 <= dropout < 1 must hold, but got 1.0"),
        (["--batch-size", "1000"], "batch_size <= training samples must hold, but got 1000 of 44"),
        (["--n-classes", "7"], "n_classes = 3 of dataset tiny must hold, but got 7"),
        (["--tau-mem-ms", "-3"], r"0 < tau_mem_ms < inf must hold, but got -3.0"),
        (["--tau-syn-ms", "0"], "0 < tau_syn_ms < inf must hold, but got 0"),
        (["--hidden-sizes", "0"], "1 <= hidden_sizes must hold, but got 0"),
        (["--model", "lstm"], "model must be one of feedforward, recurrent"),
        (["--dataset", "no-such-place"], "dataset must be spoken-digits, shd, ssc, or a folder"),
        (["--config", "none.toml"], "none.toml cannot be read"),
        (["--resume", "nowhere"], "nowhere must be the folder of a run"),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_wrong_input_is_said_in_one_message_and_leaves_nothing(data, tmp_path, options, message):
    arguments = ["--dataset", data, *tiny.OPTIONS, "--runs", tmp_path / "runs"]
    result = run(*arguments, *options)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


def test_unwritable_runs_folder(data, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")  # not permissions: root may write anywhere
    result = run("--dataset", data, *tiny.OPTIONS, "--runs", blocked)
    assert result.returncode == 2
    assert "cannot be written" in result.stderr and "choose a folder" in result.stderr
    assert "epoch" not in result.stderr


def test_settings_from_a_file_and_from_the_command_line(finished, tmp_path):
    folder, _ = finished
    result = run("--config", folder / "config.toml", "--epochs", 1, "--runs", tmp_path)
    assert result.returncode == 0, result.stderr
    (again,) = tmp_path.iterdir()
    config = RunFolder.open(again).config
    assert config.train.epochs == 1 and config.model.hidden_sizes == (20,)


def test_help_explains_every_option():
    text = call("run", "--help", width=100).stdout
    for section in (DataConfig, AugmentConfig, ModelConfig, TrainConfig, Config):
        for name, field in section.__dataclass_fields__.items():
            if "Config" not in str(field.type):
                assert f"--{name.replace('_', '-')}" in text, name
    assert "in ms" in text and "default: 0.001" in text
