"""Run folders, studies and tables → tidy tables; what cannot be used is marked and named."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from helpers import fakes

from analysis import accuracy_by_size
from analysis.tools import script
from analysis.tools.configurations import best, repetitions, unequal, with_names
from analysis.tools.load import read
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import DataError


def test_tables_hold_what_the_files_say(grid, results):
    assert len(results.runs) == 12 and results.problems == []
    for run in results.runs.itertuples():
        summary = json.loads((grid / run.run / "summary.json").read_text())
        assert run.test_accuracy == summary["test"]["accuracy"]
        assert run.peak_memory_mb == summary["peak_memory_mb"]
        assert run.learning_rate == (2e-3 if run.model == "recurrent" else 1e-3)
        assert (run.state, run.dataset, run.hidden_sizes) == ("complete", "tiny", str(run.hidden))
    assert len(results.epochs) == 12 * 7  # three epochs of train and valid, and test
    said = results.predictions(results.runs)
    assert len(said) == 12 * fakes.N_SAMPLES
    assert set(said["word"]) == set(fakes.WORDS)  # "10" stays text
    accuracy = said.groupby("run")["correct"].mean()
    assert np.allclose(accuracy[results.runs["run"]], results.runs["test_accuracy"])


def test_spike_counts_agree_with_the_arrays(results):
    run = results.runs.iloc[[0]]
    with np.load(f"{run['path'].iloc[0]}/spike_counts.npz") as arrays:
        counts = arrays["hidden0"]
    by_sample = results.spike_counts(run)
    assert by_sample["layer"].unique().tolist() == ["hidden0"]
    assert by_sample["spikes"].tolist() == counts.sum(axis=1).tolist()
    assert np.allclose(results.neuron_spikes(run)["spikes"], counts.mean(axis=0))


def test_configurations_have_short_names_and_what_goes_along_is_said(results):
    runs = with_names(results, results.tested())
    assert set(runs["configuration"]) == {
        "recurrent 8",
        "recurrent 16",
        "feedforward 8",
        "feedforward 16",
    }
    assert unequal(results, runs) == "differ also in: learning rate 0.001, 0.002"


def test_settings_that_tell_runs_apart_are_in_their_names(tmp_path):
    for rate in (1e-3, 5e-3):
        fakes.write(tmp_path, learning_rate=rate, right=round(1000 * rate))
    results = read([tmp_path])
    names = with_names(results, results.tested())["configuration"]
    assert sorted(names) == ["recurrent 8, learning rate 0.001", "recurrent 8, learning rate 0.005"]


def test_the_best_configuration_is_chosen_by_validation(results):
    summary = best(results, "tiny")
    assert set(summary["configuration"]) == {"recurrent 16"} and len(summary) == 3


def test_unfinished_failed_and_damaged_runs_are_marked_and_the_rest_is_used(tmp_path):
    fakes.write(tmp_path, seed=0)
    for seed, state in ((1, "running"), (2, "interrupted"), (3, "failed")):
        fakes.write(tmp_path, seed=seed, state=state)
    no_config = fakes.write(tmp_path, seed=4)
    (no_config / "config.toml").unlink()
    bad_summary = fakes.write(tmp_path, seed=5)
    (bad_summary / "summary.json").write_text('{"state": "comp')
    bad_metrics = fakes.write(tmp_path, seed=6)
    text = (bad_metrics / "metrics.csv").read_text()
    (bad_metrics / "metrics.csv").write_text(text[: text.rindex("valid") + 7])
    not_started = fakes.write(tmp_path, seed=7)
    for name in ("summary.json", "metrics.csv"):
        (not_started / name).unlink()
    results = read([tmp_path])
    states = results.runs.set_index("run")["state"]
    assert len(states) == 8
    assert states.value_counts().to_dict() == {
        "complete": 2,
        "damaged": 2,
        "running": 1,
        "interrupted": 1,
        "failed": 1,
        "not started": 1,
    }
    problems = "\n".join(results.problems)
    assert f"{no_config}: config.toml is missing" in problems
    assert f"{bad_summary / 'summary.json'} cannot be read" in problems
    assert re.search(rf"line \d+ of {bad_metrics / 'metrics.csv'} has too few", problems)
    assert "the loss must stay finite" in problems
    assert f"{not_started}: not started" in problems
    judged = results.tested()
    # a damaged table of epochs does not touch the test result
    assert set(judged["run"]) >= {bad_metrics.name}
    left_out = results.left_out().partition(": ")[2].split(", ")
    assert sorted(left_out) == [
        "1 failed",
        "1 interrupted",
        "1 not started",
        "1 running",
        "2 damaged",
    ]
    points = accuracy_by_size.load(results, script.Options((), tmp_path)).points
    assert points["n"].tolist() == [2]


@pytest.mark.parametrize("damage", ["missing", "cut off", "not a table", "no text"])
def test_damaged_predictions_are_named_and_the_others_used(tmp_path, damage):
    whole, other = fakes.write(tmp_path, seed=0), fakes.write(tmp_path, seed=1)
    file = other / "predictions.csv"
    if damage == "missing":
        file.unlink()
    elif damage == "cut off":
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-3]))
    elif damage == "not a table":
        file.write_text("")
    else:
        file.write_bytes(b"\xff\xfe\x00\x80" * 40)
    results = read([tmp_path])
    said = results.predictions(results.tested())
    assert set(said["run"]) == {whole.name}
    assert any(str(file) in problem for problem in results.problems)


def test_damaged_arrays_are_named(tmp_path):
    run = fakes.write(tmp_path)
    (run / "spike_counts.npz").write_bytes(b"PK\x03\x04 and nothing more")
    results = read([tmp_path])
    with pytest.raises(DataError, match="no run has a usable"):
        results.neuron_spikes(results.tested())
    assert "spike_counts.npz cannot be used" in results.problems[0]


def test_paths_that_hold_nothing_are_named(tmp_path, grid):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"empty is empty of runs.*nowhere is not there"):
        read([tmp_path / "empty", tmp_path / "nowhere"])
    results = read([grid, tmp_path / "empty", tmp_path / "nowhere", tmp_path / "notes.txt"])
    assert len(results.runs) == 12 and len(results.problems) == 3
    with pytest.raises(DataError, match="no path was given"):
        read([])


def test_runs_are_found_at_any_depth_and_names_stay_unique(tmp_path):
    for part in ("a/runs", "b/runs"):
        fakes.write(tmp_path / part)
    results = read([tmp_path])
    assert len(results.runs) == 2 and results.runs["run"].is_unique
    assert set(results.epochs["run"]) == set(results.runs["run"])


def test_a_repeated_run_counts_once(tmp_path):
    first = fakes.write(tmp_path / "a")
    shutil.copytree(first, tmp_path / "b" / "zz")
    results = read([tmp_path])
    assert results.runs["repeated"].tolist() == [True, False]
    assert len(results.tested()) == 1 and "a newer run" in results.problems[0]


def test_test_sets_of_one_name_that_differ_are_kept_apart(tmp_path):
    fakes.write(tmp_path / "a", seed=0)
    other = fakes.write(tmp_path / "b", seed=1)
    RunFolder(other).write_environment(fakes.environment("tiny", "123456789"))
    assert set(read([tmp_path]).runs["dataset"]) == {"tiny (abcdef)", "tiny (123456)"}


def test_settings_of_later_versions_have_their_defaults_in_older_runs(tmp_path):
    for seed in (0, 1):
        run = fakes.write(tmp_path, seed=seed)
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("reg_nu = 14.0\n", ""))
    results = read([tmp_path])
    assert results.runs["reg_nu"].tolist() == [14.0, 14.0]
    assert set(with_names(results, results.tested())["configuration"]) == {"recurrent 8"}


def test_studies_are_read_and_not_written(tmp_path):
    path = fakes.study(tmp_path / "rates.db")
    before = path.read_bytes()
    (study,) = read([tmp_path]).studies
    assert path.read_bytes() == before
    counts = study.trials["state"].value_counts().to_dict()
    assert counts == {"COMPLETE": 16, "FAIL": 2, "PRUNED": 2, "RUNNING": 1}
    assert study.objectives == ("accuracy",) and study.maximised == (True,)
    done = study.complete
    expected = 0.9 - 0.1 * (np.log10(done["params_learning_rate"]) + 3).abs()
    assert np.allclose(done["accuracy"], expected)
    pruned = study.trials[study.trials["state"] == "PRUNED"]
    assert pruned["accuracy"].tolist() == [0.25, 0.25]
    assert study.is_log("learning_rate") and not study.is_log("hidden_sizes")


def test_the_runs_of_a_studys_trials_are_not_taken_for_others(tmp_path):
    fakes.study(tmp_path / "study.db", n_trials=2)
    run = fakes.write(tmp_path)
    assert read([tmp_path]).runs.empty
    assert len(read([tmp_path, run]).runs) == 1


def test_a_cross_validation_is_its_runs(tmp_path):
    folds = tmp_path / "cv"
    for speaker in fakes.SPEAKERS:
        run = fakes.write(tmp_path / "made", state="complete")
        config = (run / "config.toml").read_text()
        config = config.replace("[data]", f'[data]\nvalidation_speaker = "{speaker}"')
        (run / "config.toml").write_text(config)
        shutil.move(run, folds / f"fold-{speaker}")
    shutil.copy(folds / "fold-ben" / "config.toml", folds / "config.toml")
    results = read([folds])
    assert results.runs["run"].tolist() == ["cv/fold-anna", "cv/fold-ben"]
    assert not results.runs["repeated"].any()
    runs = with_names(results, results.tested())
    assert set(runs["configuration"]) == {"recurrent 8"}
    assert repetitions(runs) == "seeds and left-out speakers"


def test_damaged_studies_and_benchmarks_are_named(tmp_path, grid):
    (tmp_path / "a.db").write_bytes(b"SQLite format 3\0" + b"\0" * 200)
    (tmp_path / "b.db").write_text("no database")
    (tmp_path / "c.csv").write_text("x,y\n1,2\n")
    results = read([grid, tmp_path / "a.db", tmp_path / "b.db", tmp_path / "c.csv"])
    assert len(results.runs) == 12 and len(results.problems) == 3
    for name, problem in zip(("a.db", "b.db", "c.csv"), results.problems, strict=True):
        assert name in problem
    assert isinstance(results.bench, pd.DataFrame) and results.bench.empty
