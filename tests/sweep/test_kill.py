"""Kill -9 in the middle of a study, over and over: nothing is lost, nothing counts twice."""

import functools
import os
import signal
import sqlite3
import subprocess

import numpy as np
import psutil
import pytest
from helpers import sweeping
from helpers.sweeping import database, load, run_folders, trials

ROUNDS = 6
EPOCHS = 40
OPTIONS = ["--epochs", EPOCHS, "--workers", 2, "--pruner", "none"]


def epochs_saved(space) -> int:
    """Epochs that all runs together have saved."""
    checkpoints = [folder / "last.npz" for folder in run_folders(space)]
    return sum(epoch_of(path, path.stat().st_mtime_ns) for path in checkpoints if path.exists())


@functools.cache
def epoch_of(checkpoint, changed_ns) -> int:
    """The epoch that a checkpoint was saved after; read once after each change."""
    with np.load(checkpoint) as arrays:
        return int(arrays["epoch"])


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The process ids of a sweep's workers."""
    children = psutil.Process(process.pid).children()
    return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]


def complete(space) -> dict[int, tuple[float, ...]]:
    """Number and values of each complete trial, read past Optuna and its caches."""
    with sqlite3.connect(database(space)) as connection:
        rows = connection.execute(
            "SELECT number, value FROM trials JOIN trial_values USING (trial_id) "
            "WHERE state = 'COMPLETE'"
        ).fetchall()
    connection.close()
    return dict(rows)


def check_whole(study, space, n_trials):
    """All trials are complete, each once, each with a run of its own that was never begun anew."""
    done = trials(study)
    assert len(done) == n_trials
    folders = [folder for trial in done for folder in trial.user_attrs["run_folders"]]
    assert len(set(folders)) == len(folders) == n_trials
    assert len({tuple(trial.params.values()) for trial in done}) == n_trials
    origin = [t.system_attrs.get("failed_trial", t.number) for t in done]
    assert len(set(origin)) == n_trials
    assert not trials(study, "RUNNING") and not trials(study, "WAITING")
    assert {t.number for t in trials(study, "FAIL")}.isdisjoint(origin_of_failures(study))
    for folder in folders:
        table = (sweeping.Path(folder) / "metrics.csv").read_text().splitlines()
        assert [row.split(",")[:2] for row in table[1:-1:2]] == [
            [str(epoch), "train"] for epoch in range(1, EPOCHS + 1)
        ]


def origin_of_failures(study):
    """Trials that have failed for good."""
    return {t.number for t in trials(study, "FAIL") if "failure" in t.user_attrs}


@pytest.mark.slow
def test_main_process_and_workers_are_killed_six_times_each(space, data):
    """And the database is locked by somebody else for a while, each time."""
    lasting: dict[int, tuple[float, ...]] = {}
    for _ in range(ROUNDS):
        before = epochs_saved(space)
        process = sweeping.start(space, data, *OPTIONS, "--trials", 30)
        sweeping.wait_until(lambda b=before: epochs_saved(space) > b + 5, process)
        os.kill(workers_of(process)[0], signal.SIGKILL)
        with sqlite3.connect(database(space)) as other:
            other.execute("BEGIN EXCLUSIVE")
            before = epochs_saved(space)
        other.close()
        sweeping.wait_until(lambda b=before: epochs_saved(space) > b + 5, process)
        workers = workers_of(process)
        lasting |= (now := complete(space))
        process.kill()
        process.communicate()
        assert now == {number: value for number, value in lasting.items() if number in now}
        assert set(now) == set(lasting)
        sweeping.wait_until(lambda w=workers: not any(map(psutil.pid_exists, w)), seconds=10)
    n_trials = len({t.system_attrs.get("failed_trial", t.number) for t in load(space).trials})
    assert 2 <= n_trials < 30
    study = sweeping.finished(space, data, *OPTIONS, "--trials", n_trials)
    check_whole(study, space, n_trials)
    assert lasting.items() <= complete(space).items()
    # a folder whose run was killed before the study knew of it is begun anew
    assert len(run_folders(space)) <= n_trials + 2


def test_a_trial_that_kills_its_worker_every_time_has_failed(tmp_path, data):
    """As one that needs more memory than there is: the study goes on with the others."""
    model = tmp_path / "killer.py"
    source = (sweeping.Path(__file__).parents[2] / "models/recurrent.py").read_text()
    killer = "import os, signal\n    if config.model.hidden_sizes == (7,):\n"
    killer += "        os.kill(os.getpid(), signal.SIGKILL)\n    model = config.model"
    model.write_text(source.replace("model = config.model", killer, 1))
    space = sweeping.write_space(
        tmp_path,
        "def space(trial):\n"
        "    return {'hidden_sizes': [trial.suggest_categorical('n', [6, 7, 8])]}",
    )
    options = ["--epochs", 2, "--model", model, "--sampler", "grid", "--learning-rate", 0.01]
    study = sweeping.finished(space, data, *options)
    assert sorted(t.params["n"] for t in trials(study)) == [6, 8]
    (failed,) = trials(study, "FAIL")
    assert failed.params["n"] == 7
    assert "3 times in a row its worker ended by signal 9 (SIGKILL)" in failed.user_attrs["failure"]
