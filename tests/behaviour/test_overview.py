"""`python -m shd_genn.list` and `compare`: many runs at a glance, whatever has become of them."""

import csv
import sys
from dataclasses import replace

import pytest
from helpers import running

from shd_genn import compare as compare_command
from shd_genn import list as list_command
from shd_genn.record.overview import RunOverview, differing, find_runs, short_names
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import DataError, ShdGennError
from shd_genn.support.locks import claimed
from shd_genn.train import loop


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """Two complete runs, one that failed, one that was killed, one that cannot be read."""
    folder = tmp_path_factory.mktemp("all") / "runs"
    settings = running.settings(data, epochs=2)
    loop.start(settings, folder, name="first")
    loop.start(running.settings(data, epochs=3, seed=1), folder, name="second")
    failing = running.settings(data, epochs=2, learning_rate=1e38)
    with pytest.raises(ShdGennError):
        loop.start(failing, folder / "inner", name="failed")
    killed = RunFolder(folder / "inner" / "killed")
    killed.path.mkdir()
    killed.begin(settings)
    first = RunFolder(folder / "first").summary
    killed.write_summary(replace(first, state="running", result=None))
    (folder / "damaged").mkdir()
    (folder / "damaged" / "config.toml").write_text("no = [toml")
    (folder / "no run").mkdir()
    return folder


def command(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", ["x", *map(str, arguments)])
    module.main()


def test_runs_are_found_wherever_they_lie(runs):
    names = [path.name for path in find_runs([runs, runs / "first"])]
    assert names == ["damaged", "first", "failed", "killed", "second"]
    (runs / "notes.txt").touch()  # beside them, as in runs/*
    assert [p.name for p in find_runs(sorted(runs.iterdir()))] == names
    with pytest.raises(DataError, match="there is no folder"):
        find_runs([runs / "nowhere"])
    with pytest.raises(DataError, match=r"there is no run in .*; train one with"):
        find_runs([runs / "no run"])


def test_the_states_are_what_became_of_the_runs(runs):
    states = {path.name: RunOverview.of(path).state for path in find_runs([runs])}
    assert states == {
        "damaged": "damaged",
        "first": "complete",
        "second": "complete",
        "failed": "failed",
        "killed": "killed",
    }
    with claimed(runs / "inner" / "killed"):  # a program works on it
        assert RunOverview.of(runs / "inner" / "killed").state == "running"
    assert not (runs / "inner" / "killed" / ".lock").exists()


def test_accuracies_are_those_of_the_chosen_epoch(runs):
    run, result = RunOverview.of(runs / "second"), RunFolder(runs / "second").result
    assert run.accuracy("valid") == result.best_accuracy
    assert run.accuracy("test") == result.test.accuracy
    assert run.n_epochs == result.epochs == 3
    assert RunOverview.of(runs / "inner" / "killed").accuracy("test") is None


def test_only_settings_that_differ_are_shown(runs):
    overviews = [RunOverview.of(runs / name) for name in ("first", "second")]
    assert differing(overviews) == {"epochs": [2, 3], "seed": [0, 1]}
    moved = replace(overviews[0].config, n_threads=7)  # changes no result
    assert differing([overviews[0], replace(overviews[0], config=moved)]) == {}


def test_list_prints_every_run(runs, monkeypatch, capsys):
    command(monkeypatch, list_command, runs)
    out = capsys.readouterr().out
    lines = {
        name: line for line in out.splitlines() for name in ("first", "killed") if name in line
    }
    assert "complete" in lines["first"] and f"{RunOverview.of(runs / 'first').accuracy('test'):.1%}"
    assert "killed" in lines["killed"] and "learning_rate" in out and "1e+38" in out
    assert "failed: failed: the loss must stay finite" in out


def test_list_writes_a_table(runs, tmp_path, monkeypatch):
    command(monkeypatch, list_command, runs, "-o", tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"damaged", "first", "second", "failed", "killed"}
    assert rows["second"]["epochs"] == "3" and rows["damaged"]["epochs"] == ""
    assert float(rows["first"]["test_accuracy"]) == RunOverview.of(runs / "first").accuracy("test")


def test_compare_shows_runs_side_by_side(runs, monkeypatch, capsys):
    command(monkeypatch, compare_command, runs / "first", runs / "second")
    rows = [line.strip("│┃ ").split() for line in capsys.readouterr().out.splitlines()]
    cells = {row[0]: [cell for cell in row[1:] if cell not in "│┃"] for row in rows if row}
    assert cells["epochs"][-2:] == ["2", "3"]
    assert cells["seed"] == ["0", "1"] and cells["state"] == ["complete", "complete"]
    assert "learning_rate" not in cells
    with pytest.raises(ShdGennError, match="there is only one run"):
        command(monkeypatch, compare_command, runs / "first")


def test_names_have_as_much_of_the_path_as_tells_them_apart(runs):
    one, other = runs / "a" / "x", runs / "b" / "x"
    assert short_names([one, other]) == ["a/x", "b/x"]
    assert short_names([one, runs / "y"]) == ["x", "y"]
