"""`python -m shd_genn.run` as a user meets it: training, records, interruption, resuming."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import tiny

from shd_genn import train
from shd_genn.batches import batches, count_batches
from shd_genn.config import AugmentConfig, Config, DataConfig, ModelConfig, TrainConfig
from shd_genn.errors import ConfigError, DivergedError, PrunedError
from shd_genn.model import compile_network
from shd_genn.record import RunFolder


def settings(data, **train_settings):
    return Config(
        data=DataConfig(dataset=str(data), trial_ms=120.0),
        augment=AugmentConfig(shift_channels=2.0),
        model=ModelConfig(hidden_sizes=(20,), w_in_mean=0.2, w_in_sd=0.1),
        train=TrainConfig(
            **({"epochs": 4, "batch_size": 16, "learning_rate": 0.01} | train_settings)
        ),
    )


EVERYTHING = ["--shift-channels", "2", "--blend", "0.5", "--jitter-channels", "1", "--dropout"]
EVERYTHING += ["0.1", "--dilation", "1.1", "--delay-copies", "1", "--delay-step-ms", "10"]
EVERYTHING += ["--ease-in", "0.01", "--schedule", "plateau", "--decay-epochs", "10"]
EVERYTHING += ["--w-in-mean", "-0.05", "--revive-silent", "0.02", "--binarise", "True"]
EVERYTHING += ["--train-tau", "True", "--tau-distribution", "gamma", "--train-v-thresh", "True"]
EVERYTHING += ["--train-delays", "input", "--delay-in-ms", "20"]
EVERYTHING += ["--trial-ms", "20"]  # so short that accuracies vary, and the plateau rule acts
"""Options of every augmentation, of a schedule, of revival, and of everything that is learned."""


def command(*arguments):
    return [sys.executable, "-m", "shd_genn.run", *map(str, arguments)]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def rows(folder, name):
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def same_weights(one, other, name="last"):
    with np.load(one / f"{name}.npz") as a, np.load(other / f"{name}.npz") as b:
        assert set(a) == set(b)
        return all(np.array_equal(a[key], b[key]) for key in a)


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
    assert "Training: 90 batches to do" in result.stderr  # no terminal: plain lines


def test_run_folder_is_whole(finished):
    folder, _ = finished
    readme = (folder / "README.txt").read_text()
    for file in folder.iterdir():
        assert file.name in readme or file.name == "README.txt", f"README.txt must explain {file}"
    environment = json.loads((folder / "environment.json").read_text())
    for key in ("shd_genn", "commit", "python", "packages", "cpu", "cores", "backend", "compiler"):
        assert key in environment
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
        folders.append(train.start(config, tmp_path / str(i)).path)
    assert same_weights(folders[0], folders[1]) and same_weights(folders[1], folders[2])
    other = train.start(settings(data, seed=1), tmp_path / "other").path
    assert not same_weights(folders[0], other)


def test_checkpoints_of_old_runs_still_load(data, tmp_path):
    """Until other things than weights could be learned, keys began with ``weights_``."""
    folder = train.start(settings(data), tmp_path)
    arrays = folder.read_arrays("last")
    old = {key.replace("parameter_", "weights_"): array for key, array in arrays.items()}
    assert old.keys() != arrays.keys()
    folder.write_arrays("last", old)
    with compile_network(folder.config) as compiled:
        folder.load_checkpoint("last", compiled)
        for key, array in compiled.parameters().items():
            np.testing.assert_array_equal(array, arrays[f"parameter_{key}"])


def test_a_run_whose_metrics_lack_a_newer_column_goes_on(data, tmp_path):
    folder = train.start(settings(data, epochs=1), tmp_path)
    newer = "synaptic_operations"
    old = [{k: v for k, v in r.items() if k != newer} for r in folder.read_table("metrics")]
    folder.write_table("metrics", old)
    config = folder.config
    train.resume(folder, replace(config, train=replace(config.train, epochs=2)))
    found = {(r["epoch"], r["split"]): r[newer] for r in folder.read_table("metrics")}
    assert found["0", "train"] == "" and float(found["1", "train"]) > 0


def test_kill_and_resume_leads_to_the_same_weights(data, tmp_path):
    """kill -9 in the middle of training, three times over, with everything that has a state."""
    epochs = 150
    options = ["--dataset", data, *tiny.OPTIONS, "--epochs", epochs, *EVERYTHING]
    whole = run(*options, "--runs", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    arguments = [*options, "--runs", tmp_path / "killed"]
    for _ in range(3):
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        before = progress_of(tmp_path / "killed")
        wait_until(lambda b=before: progress_of(tmp_path / "killed") > b + 5, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        (killed,) = (tmp_path / "killed").iterdir()
        arguments = ["--resume", killed]
    assert 0 < progress_of(tmp_path / "killed") < epochs - 1
    assert RunFolder.open(killed).read_json("summary")["state"] == "running"
    resumed = run("--resume", killed)
    assert resumed.returncode == 0, resumed.stderr
    (reference,) = (tmp_path / "whole").iterdir()
    assert same_weights(reference, killed) and same_weights(reference, killed, "best")
    forget = {"seconds", "peak_memory_mb"}
    ours, theirs = (
        [{k: v for k, v in r.items() if k not in forget} for r in rows(folder, "metrics")]
        for folder in (killed, reference)
    )
    assert ours == theirs
    assert rows(killed, "predictions") == rows(reference, "predictions")
    assert not list(killed.glob(".*")) or progress_of(tmp_path / "killed") == epochs - 1
    training = [r for r in rows(reference, "metrics") if r["split"] == "train"]
    assert int(training[0]["silent_neurons"]) > int(training[-1]["silent_neurons"])
    learning_rates = [float(r["learning_rate"]) for r in training]
    assert learning_rates[0] < max(learning_rates) == 0.01 > learning_rates[-1]


def test_killed_just_before_the_summary_the_test_set_is_in_the_table_once(data, tmp_path):
    folder = train.start(settings(data, epochs=1), tmp_path)
    whole = [row["split"] for row in rows(folder.path, "metrics")]
    folder.write_json("summary", {"state": "running"})
    train.resume(folder, folder.config)
    assert [row["split"] for row in rows(folder.path, "metrics")] == whole
    assert whole == ["train", "valid", "test"]


def progress_of(runs):
    """The last epoch that a run has saved, -1 if none."""
    for folder in runs.glob("*") if runs.exists() else ():
        try:
            with np.load(folder / "last.npz") as checkpoint:
                return int(checkpoint["epoch"])
        except OSError:
            return -1
    return -1


def wait_until(true, process, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)


def test_ctrl_c_leaves_a_run_that_resumes(data, tmp_path):
    options = ["--dataset", data, *tiny.OPTIONS, "--epochs", 5000, "--runs", tmp_path]
    process = subprocess.Popen(
        command(*options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: progress_of(tmp_path) > 3, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    (folder,) = tmp_path.iterdir()
    assert process.returncode == 130
    assert f"--resume {folder}" in said and "Traceback" not in said
    assert json.loads((folder / "summary.json").read_text())["state"] == "interrupted"
    with pytest.raises(ConfigError, match=r"but these differ: train\.seed was 0, is 1"):
        before = RunFolder.open(folder).config
        changed = Config(
            **{**vars(before), "train": TrainConfig(**vars(before.train) | {"seed": 1})}
        )
        train.resume(RunFolder(folder), changed)
    done = progress_of(tmp_path)
    result = run("--resume", folder, "--epochs", done + 3)
    assert result.returncode == 0, result.stderr
    assert progress_of(tmp_path) == done + 2


def test_a_run_tells_of_its_epochs_and_can_be_ended_by_who_listens(data, tmp_path):
    heard = []

    def listen(folder, rows):
        heard.append([(int(row["epoch"]), row["split"]) for row in rows])
        if len(heard) == 3:
            raise PrunedError("others do better")

    with pytest.raises(PrunedError):
        train.start(settings(data), tmp_path, listen)
    epochs = [[(epoch, split) for split in ("train", "valid")] for epoch in range(4)]
    assert heard == [[], *epochs[:2]]
    (path,) = tmp_path.iterdir()
    folder = RunFolder.open(path)
    assert folder.read_json("summary") == {"state": "pruned", "reason": "others do better"}
    train.resume(folder, folder.config, listen)  # what is saved is told again
    assert heard[3:] == [epochs[0] + epochs[1], *epochs[2:]]


def test_one_program_at_a_time_works_in_a_run(data, tmp_path):
    options = ["--dataset", data, *tiny.OPTIONS, "--epochs", 5000, "--runs", tmp_path]
    process = subprocess.Popen(
        command(*options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: progress_of(tmp_path) > 1, process)
        (folder,) = tmp_path.iterdir()
        result = run("--resume", folder, "--epochs", 9)
    finally:
        process.kill()
        process.wait()
    assert result.returncode == 2
    assert "must be free, but another program is working in it" in result.stderr
    assert RunFolder.open(folder).config.train.epochs == 5000


def test_a_complete_run_is_not_resumed_but_can_be_lengthened(finished):
    folder, _ = finished
    result = run("--resume", folder)
    assert result.returncode == 2
    assert "is complete after 30 epochs; give more --epochs" in result.stderr


def test_early_stopping(data, tmp_path):
    folder = train.start(settings(data, epochs=100, patience=3), tmp_path)
    accuracies = [
        float(r["accuracy"]) for r in folder.read_table("metrics") if r["split"] == "valid"
    ]
    assert len(accuracies) == accuracies.index(max(accuracies)) + 1 + 3 < 100


def test_without_validation_the_training_accuracy_chooses(data, tmp_path):
    config = settings(data)
    config = Config(
        **{
            **vars(config),
            "data": DataConfig(dataset=str(data), trial_ms=120.0, validation="none"),
        }
    )
    summary = train.start(config, tmp_path).read_json("summary")
    assert summary["chosen_by"] == "training accuracy"


def test_batches_are_all_samples_once_and_differ_by_epoch(data):
    config, dataset = settings(data), tiny.dataset(50, 0)
    epochs = [list(batches(config, dataset, e)) for e in (0, 0, 1)]
    assert [len(labels) for _, labels in epochs[0]] == [16, 16, 16, 2]
    counts = np.bincount(np.concatenate([labels for _, labels in epochs[0]]))
    assert counts.tolist() == np.bincount(dataset.labels).tolist()
    for (a, _), (b, _) in zip(epochs[0], epochs[1], strict=True):
        np.testing.assert_array_equal(a.channels, b.channels)
    assert not np.array_equal(epochs[0][0][0].channels, epochs[2][0][0].channels)


def test_blended_samples_are_added_to_an_epoch(data):
    config, dataset = settings(data), tiny.dataset(50, 0)
    config = replace(config, augment=AugmentConfig(blend=0.5, shift_channels=0.0))
    epoch = list(batches(config, dataset, 0))
    assert [len(labels) for _, labels in epoch] == [16, 16, 16, 16, 11]
    assert count_batches(config, dataset) == 5
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
    config = replace(config, data=replace(config.data, delay_copies=2, delay_step_ms=10.0))
    folder = train.start(config, tmp_path)
    assert folder.config.model.n_inputs == 90 and folder.config.data.delay_copies == 2
    by_split = {row["split"]: float(row["input_spikes"]) for row in folder.read_table("metrics")}
    for split in ("valid", "test"):  # 80 spikes, some later than 120 ms with their delay
        assert 220 < by_split[split] <= 240
    table = tmp_path / "said.csv"
    arguments = ["--dataset", data, "-o", table]
    result = subprocess.run(
        [sys.executable, "-m", "shd_genn.evaluate", folder.path, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    with table.open(newline="") as file:
        assert list(csv.DictReader(file)) == folder.read_table("predictions")


def test_the_test_set_can_be_left_alone(data, tmp_path):
    config = settings(data)
    config = replace(config, data=replace(config.data, test=False))
    folder = train.start(config, tmp_path)
    assert "test" not in folder.read_json("summary")
    assert "test" not in folder.read_json("environment")["dataset"]
    assert not (folder.path / "predictions.csv").exists()


def test_training_accuracy_may_choose_beside_validation(data, tmp_path):
    config = settings(data, best_by="training")
    folder = train.start(config, tmp_path)
    training = [r for r in folder.read_table("metrics") if r["split"] == "train"]
    best = max(training, key=lambda r: (float(r["accuracy"]), -float(r["loss"])))
    summary = folder.read_json("summary")
    assert summary["best_epoch"] == int(best["epoch"])
    assert summary["chosen_by"] == "training accuracy"


def test_a_cosine_cannot_be_lengthened(data, tmp_path):
    folder = train.start(settings(data, schedule="cosine", epochs=2), tmp_path)
    longer = replace(folder.config, train=replace(folder.config.train, epochs=3))
    with pytest.raises(ConfigError, match=r"epochs = 2 must hold with schedule=cosine"):
        train.resume(folder, longer)


def test_diverged_training_stops_with_advice(data, tmp_path):
    with pytest.raises(DivergedError, match=r"must stay finite.*lower learning_rate"):
        train.start(settings(data, learning_rate=1e38), tmp_path)
    (folder,) = tmp_path.iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["state"] == "failed" and "lower learning_rate" in summary["reason"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dropout", "1"], "0 <= dropout < 1 must hold, but got 1.0"),
        (["--batch-size", "1000"], "batch_size <= training samples must hold, but got 1000 of 44"),
        (["--n-classes", "7"], "n_classes = 3 of dataset tiny must hold, but got 7"),
        (["--tau-mem-ms", "-3"], r"0 < tau_mem_ms < inf must hold, but got -3.0"),
        (["--tau-syn-ms", "0"], "0 < tau_syn_ms < inf must hold, but got 0"),
        (["--hidden-sizes", "0"], "1 <= every hidden size"),
        (["--model", "lstm"], "model in feedforward, recurrent must hold"),
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
    assert "cannot be written" in result.stderr and "name a folder" in result.stderr


def test_settings_from_a_file_and_from_the_command_line(finished, tmp_path):
    folder, _ = finished
    result = run("--config", folder / "config.toml", "--epochs", 1, "--runs", tmp_path)
    assert result.returncode == 0, result.stderr
    (again,) = tmp_path.iterdir()
    config = RunFolder.open(again).config
    assert config.train.epochs == 1 and config.model.hidden_sizes == (20,)


def test_help_explains_every_option():
    result = subprocess.run(
        command("--help"),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    text = result.stdout
    for section in (DataConfig, AugmentConfig, ModelConfig, TrainConfig, Config):
        for name, field in section.__dataclass_fields__.items():
            if "Config" not in str(field.type):
                assert f"--{name.replace('_', '-')}" in text, name
    assert "in ms" in text and "default: 0.001" in text
