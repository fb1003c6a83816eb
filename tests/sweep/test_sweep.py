"""`python -m shd_genn.sweep` as a user meets it: what it does, keeps, goes on with, refuses."""

import json
import re
import shutil
import signal
import statistics
import sys
from pathlib import Path

import pandas as pd
import pytest
from helpers import sweeping
from helpers.calling import call
from helpers.sweeping import finished, load, run_folders, sweep, trials

from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import ShdGennError
from shd_genn.sweep.command import main, parse


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    """A study of 8 trials by 2 workers, and what the command printed."""
    space = sweeping.write_space(tmp_path_factory.mktemp("done"))
    result = sweep(space, data, "--epochs", 5, "--trials", 8, "--workers", 2)
    assert result.returncode == 0, result.stderr
    return space, result


def test_it_says_what_it_found(done):
    space, result = done
    study, said = load(space), " ".join(result.stdout.split())
    assert "8 trials to do" in result.stderr and "best accuracy" in result.stderr
    assert f"accuracy {study.best_value:.2%} (trial {study.best_trial.number})" in said
    assert f"learning_rate {study.best_params['learning_rate']}" in said
    assert study.best_trial.user_attrs["run_folders"][0] in said


def test_every_trial_is_a_run_with_its_numbers(done):
    space, _ = done
    study = load(space)
    assert len(run_folders(space)) == len(study.trials) == 8
    for trial in trials(study):
        folder = RunFolder.open(Path(*trial.user_attrs["run_folders"]))
        config, result = folder.config, folder.result
        assert config.train.learning_rate == trial.params["learning_rate"]
        assert config.model.hidden_sizes == (trial.params["hidden"],)
        assert config.train.epochs == 5 and config.n_threads >= 1
        assert trial.value == trial.user_attrs["accuracy"] == result.best_accuracy
        assert trial.user_attrs["test_accuracy"] == result.test.accuracy
        spikes = result.test.hidden_spikes_mean * trial.params["hidden"]
        assert trial.user_attrs["test_hidden_spikes"] == pytest.approx(spikes)
        operations = result.test.input_spikes * trial.params["hidden"]
        operations += spikes * (trial.params["hidden"] + 3)  # recurrent, and three words
        assert trial.user_attrs["test_synaptic_operations"] == pytest.approx(operations)
        for name in ("seconds_per_epoch", "peak_memory_mb", "hidden_spikes", "loss"):
            assert trial.user_attrs[name] > 0
        accuracies = [row.accuracy for row in folder.epochs if row.split == "valid"]
        assert list(trial.intermediate_values.values()) == pytest.approx(accuracies)
        assert "shd_genn.sweep" in folder.environment.command


def test_plain_optuna_reads_it_into_a_tidy_table(done):
    table = load(done[0]).trials_dataframe(multi_index=False)
    assert len(table) == 8 and set(table["state"]) <= {"COMPLETE", "PRUNED"}
    assert pd.api.types.is_string_dtype(table["state"])
    assert table["params_hidden"].dtype.kind == "i"
    assert table["params_learning_rate"].dtype.kind == "f"
    assert pd.api.types.is_timedelta64_dtype(table["duration"])
    assert (table["duration"] > pd.Timedelta(0)).all()
    assert pd.api.types.is_numeric_dtype(table["user_attrs_test_accuracy"])


def test_the_same_command_goes_on_or_has_nothing_to_do(done, data, tmp_path):
    space = shutil.copytree(done[0].parent, tmp_path / "copy") / done[0].name
    before = {t.number: t.values for t in load(space).trials}
    assert len(finished(space, data, "--epochs", 5, "--trials", 8, "--workers", 2).trials) == 8
    more = finished(space, data, "--epochs", 5, "--trials", 10, "--workers", 1)
    assert len(more.trials) == 10
    assert {t.number: t.values for t in more.trials[:8]} == before


def test_a_changed_search_is_refused_and_its_difference_shown(done, data):
    space, _ = done
    changed = sweeping.write_space(space.parent, sweeping.SPACE.replace("1e-1", "0.5"), "other")
    options = ["--study", space.stem, "--trials", 30]
    result = call("sweep", *sweeping.arguments(changed, data, "--epochs", 5, *options))
    assert result.returncode == 2 and "high=0.1" in result.stderr and "high=0.5" in result.stderr
    result = call("sweep", *sweeping.arguments(space, data, "--epochs", 6, *options))
    assert result.returncode == 2 and "epochs was 5, is 6" in result.stderr
    assert len(load(space).trials) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learning-rate", "0.5"], "settings must be given once, but learning_rate are set by"),
        (["--validation", "none"], "a sweep compares trials by validation samples"),
        (["--pruner", "wilcoxon"], "2 <= folds must hold with pruner=wilcoxon"),
        (["--folds", "5"], "2 <= folds <= training speakers must hold, but got 5 of 2"),
        (["--sampler", "grid"], "steps or choices with sampler=grid, but learning_rate has none"),
        (["--storage", "nonsense"], "storage must be a URL that can be read"),
        (["--storage", "sqlite://"], "storage must name a file"),
        (["--storage", "nosql://a/b"], "needs a driver that is not installed"),
        (["--dataset", "nowhere"], "dataset must be"),
        (["--model", "lstm"], "model must be one of feedforward, recurrent"),
    ],
)
def test_what_would_fail_in_every_trial_is_refused_at_the_start(
    space, data, options, message, monkeypatch
):
    arguments = sweeping.arguments(space, data, *options)
    monkeypatch.setattr(sys, "argv", ["sweep", *arguments])
    with pytest.raises(ShdGennError, match=re.escape(message)):
        main()
    assert not run_folders(space)


def test_impossible_options_are_said(capsys):
    with pytest.raises(SystemExit):
        parse(["learning", "--trials", "-1"])
    assert "0 <= trials must hold, but got -1" in " ".join(capsys.readouterr().err.split())


def test_a_failed_trial_has_its_reason_and_the_study_goes_on(tmp_path, data):
    text = sweeping.SPACE.replace(
        '"hidden_sizes"',
        '"reg_nu": 1e30 if trial.number == 1 else 14.0,'
        ' "reg_lambda": 1e30 if trial.number == 1 else 0.0, '
        ' "batch_size": 1000 if trial.number == 2 else 16, "hidden_sizes"',
    )
    # the number of a probe is none of a trial's: these fail in training, not at the start
    space = sweeping.write_space(tmp_path, text)
    arguments = sweeping.arguments(space, data, "--epochs", 2, "--trials", 4)
    arguments = [a for a in arguments if a not in ("--batch-size", "16")]
    result = call("sweep", *arguments)
    assert result.returncode == 0, result.stderr
    study = load(space)
    diverged, too_large = trials(study, "FAIL")
    assert "must stay finite" in diverged.user_attrs["failure"]
    assert "batch_size <= training samples must hold" in too_large.user_attrs["failure"]
    assert "must stay finite" in result.stdout and "2 failed of 4" in result.stdout
    assert len(trials(study)) == 2


def test_several_seeds_and_folds_are_runs_of_one_trial(space, data):
    study = finished(
        space, data, "--epochs", 2, "--trials", 2, "--workers", 2, "--seeds", 2, "--folds", "all"
    )
    for trial in trials(study):
        folders = [RunFolder.open(Path(p)) for p in trial.user_attrs["run_folders"]]
        configs = [f.config for f in folders]
        found = [(c.data.validation.validation_speaker, c.train.seed) for c in configs]
        assert found == [("anna", 0), ("anna", 1), ("ben", 0), ("ben", 1)]
        accuracies = [f.result.best_accuracy for f in folders]
        assert trial.user_attrs["accuracy_of_runs"] == accuracies
        assert trial.value == pytest.approx(statistics.fmean(accuracies))
        assert trial.intermediate_values == dict(enumerate(accuracies))  # what Wilcoxon compares


def test_two_objectives_give_a_pareto_front(tmp_path, data):
    space = sweeping.write_space(
        tmp_path, 'OBJECTIVES = ("accuracy", "hidden_spikes")\n' + sweeping.SPACE
    )
    study = finished(
        space, data, "--epochs", 3, "--trials", 6, "--workers", 2, "--sampler", "nsgaii"
    )
    assert study.metric_names == ["accuracy", "hidden_spikes"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    for trial in trials(study):
        assert trial.values == [trial.user_attrs[name] for name in study.metric_names]
    front = sorted(trial.values for trial in study.best_trials)
    assert front == sorted(front, key=lambda v: v[1])  # more accuracy costs more spikes


def test_poor_trials_are_pruned(tmp_path, data):
    text = "def space(trial):\n    return {'learning_rate': 0.02 if trial.number < 5 else 1e-9,"
    space = sweeping.write_space(tmp_path, text + " 'reg_nu': trial.suggest_float('x', 8, 14)}")
    study = finished(space, data, "--epochs", 10, "--trials", 7, "--hidden-sizes", 20)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 5 + ["PRUNED"] * 2
    for trial in trials(study, "PRUNED"):
        folder = RunFolder.open(Path(*trial.user_attrs["run_folders"]))
        assert folder.summary.state == "pruned"
        assert len(trial.intermediate_values) < 10


@pytest.mark.slow
def test_ctrl_c_leaves_a_study_that_goes_on(space, data):
    options = ["--epochs", 100, "--workers", 2, "--trials", 2, "--pruner", "none"]
    process = sweeping.start(space, data, *options)
    sweeping.wait_until(
        lambda: len([f for f in run_folders(space) if (f / "last.npz").exists()]) == 2, process
    )
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on" in said
    assert "Traceback" not in said
    summaries = [json.loads((f / "summary.json").read_text()) for f in run_folders(space)]
    assert [summary["state"] for summary in summaries] == ["interrupted"] * 2
    assert len(trials(load(space), "WAITING")) == 2
    study = finished(space, data, *options)
    assert len(trials(study)) == 2 and len(run_folders(space)) == 2  # resumed, not begun anew


def test_a_study_has_one_program_at_a_time(space, data):
    options = ["--epochs", 5000, "--trials", 1]
    process = sweeping.start(space, data, *options)
    try:
        sweeping.wait_until(lambda: run_folders(space), process)
        second = call("sweep", *sweeping.arguments(space, data, *options))
    finally:
        process.kill()
        process.communicate()
    assert second.returncode == 2
    assert "is written by another sweep, and it can have one writer only" in second.stderr
