"""Where a study's database may be, and what is said when it cannot be used."""

import os
import shutil
import sqlite3
import subprocess
import sys

import optuna
import pytest
import sqlalchemy
from helpers import sweeping
from helpers.sweeping import sweep
from optuna.exceptions import StorageInternalError

from shd_genn.support.errors import BusyError, ConfigError, DataError
from shd_genn.sweep import storage
from shd_genn.sweep.storage import opened, parse_location, patiently, read_file

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

NAMES = ["a#1", "a?1", "a%201", "a{1}", "a b;c&d", "ä", ":memory:"]


def make_study(path, n_trials=3):
    with opened(path, 20) as found:
        study = optuna.create_study(study_name="one", storage=found)
        for i in range(n_trials):
            study.add_trial(optuna.trial.create_trial(value=float(i)))
    return path


def n_trials(found):
    study = optuna.load_study(study_name="one", storage=found)
    return len(study.trials)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(optuna.logging, "_default_handler", None)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_file_of_its_own(tmp_path, name):
    path = make_study(tmp_path / name / "study.db")
    make_study(tmp_path / f"{name}2" / "study.db", n_trials=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, f"{name}2"])
    assert [p.name for p in path.parent.iterdir()] == ["study.db"]
    with opened(path, 20) as found:
        assert n_trials(found) == 3
    found = read_file(path)
    assert n_trials(found) == 3
    found.engine.dispose()


def test_studies_that_differ_behind_a_question_mark(data, tmp_path):
    space = sweeping.write_space(tmp_path)
    for name in ("a?1", "a?2"):
        result = sweep(space, data, "--epochs", 1, "--trials", 1, "--study", name)
        assert result.returncode == 0, result.stderr
        assert "1 complete, 0 pruned, 0 failed of 1" in result.stdout
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["a?1", "a?2"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:sesame@host:port/db",
        "postgresql//me:sesame@host/db",
        "nonsense",
    ],
)
def test_a_url_that_cannot_be_parsed_keeps_its_password(url):
    with pytest.raises(ConfigError, match="storage must be a URL that can be read") as error:
        parse_location(url)
    text = str(error.value) + repr(error.value.__cause__) + str(error.value.__suppress_context__)
    assert "ses" not in text.replace("study", "") and "True" in text


def test_a_file_is_named():
    assert str(parse_location("sqlite:///a/b.db")) == "a/b.db"
    assert str(parse_location("sqlite:////a/b#1.db")) == "/a/b#1.db"
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///a.db?mode=ro"):
        with pytest.raises(ConfigError, match="storage must name a file"):
            parse_location(url)
    assert storage.address(parse_location("postgresql://me:sesame@h/db")).count("*") == 3


def test_a_driver_that_is_not_installed():
    location = parse_location("oracle://me:sesame@h/db")
    with pytest.raises(ConfigError, match=r"needs a driver .*;") as error, opened(location, 20):
        pass
    assert "sesame" not in str(error.value)


def test_one_writer(tmp_path):
    path = tmp_path / "study.db"
    message = "is written by another sweep"
    with opened(path, 20), pytest.raises(BusyError, match=message), opened(path, 20):
        pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello" * 100, "is no SQLite database"),
        (b"SQLite format 3\0" + b"\xff" * 4000, "cannot be read"),
    ],
)
def test_a_file_that_is_no_study(tmp_path, content, message):
    path = tmp_path / "study.db"
    path.write_bytes(content)
    for open_it in (lambda: opened(path, 20).__enter__(), lambda: read_file(path)):
        with pytest.raises(DataError, match=message):
            open_it()
    assert path.read_bytes() == content


WRITE_AND_DIE = """
import os, sys
from pathlib import Path
import optuna, warnings
warnings.simplefilter("ignore")
from shd_genn.sweep.storage import opened
with opened(Path(sys.argv[1]), 20) as found:
    study = optuna.create_study(study_name="one", storage=found)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    os._exit(0)
"""


@pytest.fixture
def killed(tmp_path):
    """A study whose rows are still in its -wal, because its writer was killed."""
    path = tmp_path / "killed" / "study.db"
    subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(path)], check=True)
    assert path.with_name("study.db-wal").stat().st_size
    return path


def test_a_copy_without_its_wal_is_refused(killed, tmp_path):
    copy = tmp_path / "copy.db"
    shutil.copy(killed, copy)
    before = copy.read_bytes()
    for open_it in (lambda: opened(copy, 20).__enter__(), lambda: read_file(copy)):
        with pytest.raises(DataError, match=r"copied without copy\.db-wal.*; copy both"):
            open_it()
    assert copy.read_bytes() == before
    shutil.copy(killed.with_name("study.db-wal"), tmp_path / "copy.db-wal")
    found = read_file(copy)
    assert n_trials(found) == 1
    found.engine.dispose()


READ = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import optuna
from shd_genn.sweep.storage import read_file
found = read_file(Path(sys.argv[1]))
print(len(optuna.load_study(study_name="one", storage=found).trials))
"""


@pytest.mark.parametrize("kind", ["killed", "finished"])
def test_a_study_that_may_only_be_read(killed, tmp_path, kind):
    path = killed if kind == "killed" else make_study(tmp_path / "finished" / "study.db", 1)
    before = sorted(p.name for p in path.parent.iterdir())
    command = [sys.executable, "-c", READ, str(path)]
    if os.geteuid() == 0:  # root may write everywhere, unless it gives that up
        if not shutil.which("setpriv"):
            pytest.skip("needs setpriv to run without root's rights")
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    path.parent.chmod(0o555)
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    finally:
        path.parent.chmod(0o755)
    assert result.stdout == "1\n", result.stderr
    assert sorted(p.name for p in path.parent.iterdir()) == before


def database_error(code):
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = code
    found = StorageInternalError("Optuna's own words")
    found.__cause__ = sqlalchemy.exc.OperationalError("COMMIT", {}, error)
    return found


def test_a_full_disk_is_not_waited_for(capsys):
    def fail():
        raise database_error(sqlite3.SQLITE_FULL)

    message = r"cannot be written \(database or disk is full\); free space.*same command again"
    with pytest.raises(ConfigError, match=message):
        patiently(fail)
    assert capsys.readouterr().err == ""


def test_waiting_for_a_database_is_said_once(capsys):
    calls = []

    def fail_twice():
        calls.append(0)
        if len(calls) < 3:
            raise database_error(sqlite3.SQLITE_BUSY)
        return 17

    assert patiently(fail_twice) == 17
    assert capsys.readouterr().err.count("note: waiting for the database") == 1


def test_an_error_of_every_trial_ends_the_study(data, tmp_path):
    text = sweeping.SPACE.replace(
        "    }\n",
        '        "n_inputs": trial.suggest_int("n_inputs", 5000, 5000),\n    }\n',
    )
    space = sweeping.write_space(tmp_path, text)
    result = sweep(space, data, "--trials", 40, "--workers", 2)
    assert result.returncode == 2
    assert "all 5 trials failed with: " in result.stderr and "5000" in result.stderr
    assert "5 failed of 40" in result.stdout
    result = sweep(space, data, "--trials", 40)
    assert result.returncode == 2 and "10 failed of 40" in result.stdout  # five more chances


def test_a_study_without_a_single_result_is_an_error(data, tmp_path):
    text = sweeping.SPACE.replace(
        "    }\n",
        '        "n_inputs": trial.suggest_int("n_inputs", 5000, 5000),\n    }\n',
    )
    result = sweep(sweeping.write_space(tmp_path, text), data, "--trials", 2)
    assert result.returncode == 2
    assert "no trial of study tiny_space has trained a network" in result.stderr
