"""Interrupted, killed and old runs go on to the same end."""

import json
import signal
import subprocess
from dataclasses import replace

import pytest
from helpers import tiny
from helpers.running import (
    EVERYTHING,
    command,
    progress_of,
    rows,
    run,
    same_weights,
    settings,
    wait_until,
)

from shd_genn.config import Config
from shd_genn.learning.settings import TrainConfig
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import Summary
from shd_genn.support.errors import ConfigError
from shd_genn.train import loop


@pytest.mark.slow
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
    assert 0 < progress_of(tmp_path / "killed") < epochs
    assert RunFolder.open(killed).summary.state == "running"
    resumed = run("--resume", killed)
    assert resumed.returncode == 0, resumed.stderr
    (reference,) = (tmp_path / "whole").iterdir()
    assert same_weights(reference, killed) and same_weights(reference, killed, "best")
    forget = {"seconds", "peak_memory_mb", "cpu_joules", "dram_joules", "gpu_joules"}
    ours, theirs = (
        [{k: v for k, v in r.items() if k not in forget} for r in rows(folder, "metrics")]
        for folder in (killed, reference)
    )
    assert ours == theirs
    assert rows(killed, "predictions") == rows(reference, "predictions")
    assert progress_of(tmp_path / "killed") == epochs
    training = [r for r in rows(reference, "metrics") if r["split"] == "train"]
    assert int(training[0]["silent_neurons"]) > int(training[-1]["silent_neurons"])
    learning_rates = [float(r["learning_rate"]) for r in training]
    assert learning_rates[0] < max(learning_rates) == 0.01 > learning_rates[-1]


def test_killed_just_before_the_summary_the_test_set_is_in_the_table_once(data, tmp_path):
    folder = loop.start(settings(data, epochs=1), tmp_path)
    whole = [row["split"] for row in rows(folder.path, "metrics")]
    folder.write_summary(Summary("running"))
    loop.resume(folder, folder.config)
    assert [row["split"] for row in rows(folder.path, "metrics")] == whole
    assert whole == ["train", "valid", "test"]


def test_a_complete_run_is_not_judged_again(data, tmp_path):
    folder = loop.start(settings(data, epochs=2), tmp_path / "whole")
    with pytest.raises(ConfigError, match="is complete after 2 epochs; give more --epochs"):
        loop.resume(folder, folder.config)
    never_better = {"epochs": 9, "patience": 1, "learning_rate": 1e-9}
    ended = loop.start(settings(data, **never_better), tmp_path / "ended")
    done = ended.result.epochs
    assert done < 9
    more = replace(ended.config, train=replace(ended.config.train, epochs=12))
    for config in (ended.config, more):
        with pytest.raises(ConfigError, match=f"after {done} epochs; patience = 1 ended it"):
            loop.resume(ended, config)
    assert ended.summary.complete


def test_ctrl_c_leaves_a_run_that_resumes(data, tmp_path):
    options = ["--dataset", data, *tiny.OPTIONS, "--epochs", 5000, "--runs", tmp_path]
    process = subprocess.Popen(
        command(*options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: progress_of(tmp_path) > 3, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    (folder,) = tmp_path.iterdir()
    assert process.returncode == 130, said
    assert f"--resume {folder}" in said and "Traceback" not in said
    assert json.loads((folder / "summary.json").read_text())["state"] == "interrupted"
    with pytest.raises(ConfigError, match=r"but these differ: seed was 0, is 1"):
        before = RunFolder.open(folder).config
        changed = Config(
            **{**vars(before), "train": TrainConfig(**vars(before.train) | {"seed": 1})}
        )
        loop.resume(RunFolder(folder), changed)
    done = progress_of(tmp_path)
    result = run("--resume", folder, "--epochs", done + 2)
    assert result.returncode == 0, result.stderr
    assert progress_of(tmp_path) == done + 2


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
