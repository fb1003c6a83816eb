"""A study on a PostgreSQL server that several processes work on at once, as several machines do."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest
from helpers import sweeping
from helpers.sweeping import run_folders, trials

VERSIONS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
BIN = VERSIONS[-1] if VERSIONS else None
pytestmark = pytest.mark.skipif(BIN is None, reason="PostgreSQL's server is not installed")


@pytest.fixture(scope="module")
def server():
    """The URL of a PostgreSQL server on this machine, with its data in a temporary folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="postgres"))  # pytest's own folders are root's alone
    user = {}
    if os.geteuid() == 0:  # which PostgreSQL refuses to run as
        shutil.chown(folder, "postgres", "postgres")
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **user}
    make = [BIN / "initdb", "-D", folder / "data", "-U", "sweep", "-A", "trust", "--no-sync"]
    subprocess.run(make, check=True, **quiet)
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off"}
    run = [BIN / "postgres", "-D", folder / "data", "-p", str(port)]
    run += [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    process = subprocess.Popen(run, **quiet)
    url = f"postgresql://sweep@127.0.0.1:{port}/postgres"
    sweeping.wait_until(lambda: answers(url), seconds=60)
    yield url
    process.send_signal(signal.SIGINT)  # which does not wait for clients
    process.wait()
    shutil.rmtree(folder)


def answers(url) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def load(space, server):
    return sweeping.load(space, server.replace("postgresql:", "postgresql+psycopg:"))


@pytest.mark.slow
def test_two_processes_share_a_study_and_take_over_from_each_other(space, data, server):
    """The second notices by heartbeat that the first was killed, and goes on with its trial."""
    options = ["--epochs", 100, "--pruner", "none", "--storage", server, "--heartbeat-s", 1]
    first, second = (sweeping.start(space, data, *options, "--trials", 4) for _ in range(2))
    # two that are not finished: one of each process
    assert sweeping.wait_until(lambda: unfinished(space)[1:], first)
    first.kill()
    first.communicate()
    said, errors = second.communicate(timeout=240)
    assert second.returncode == 0, errors
    study = load(space, server)
    done = trials(study)
    # both may have asked for the last one at the same moment
    assert len(done) in (4, 5) and f"{len(done)} complete" in said
    folders = [folder for trial in done for folder in trial.user_attrs["run_folders"]]
    assert len(set(folders)) == len(folders) == len(done) == len(run_folders(space))
    (killed,) = trials(study, "FAIL")
    (again,) = [t for t in done if t.system_attrs.get("failed_trial") == killed.number]
    assert again.user_attrs["run_folders"] == killed.user_attrs["run_folders"]
    assert again.user_attrs["process"] != killed.user_attrs["process"]


@pytest.mark.slow
def test_lost_connections_lose_nothing(space, data, server):
    """The server cuts all connections ten times in the middle of a study."""
    name = f"{space.stem}_cut"
    options = ["--study", name, "--epochs", 60, "--pruner", "none", "--workers", 2]
    process = sweeping.start(space, data, *options, "--storage", server, "--trials", 4)
    runs = space.parent / "runs" / name
    cuts = 0
    while cuts < 10:
        before = epochs(runs)
        sweeping.wait_until(lambda b=before: epochs(runs) > b, process)
        with psycopg.connect(server) as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchall()
        connection.close()
        cuts += len(cut) > 0  # none, if it has not come back from the last time
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    study = load(space.with_stem(name), server)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4
    folders = {folder for trial in study.trials for folder in trial.user_attrs["run_folders"]}
    assert len(folders) == len(list(runs.glob("*/config.toml"))) == 4


def unfinished(space) -> list[Path]:
    """Runs with a checkpoint and no results."""
    begun = [folder for folder in run_folders(space) if (folder / "last.npz").exists()]
    return [folder for folder in begun if not (folder / "predictions.csv").exists()]


def epochs(runs) -> int:
    """Epochs that all runs in a folder have written down."""
    tables = [path.read_text() for path in runs.glob("*/metrics.csv")]
    return sum(text.count(",train,") for text in tables)


def test_a_server_that_is_not_there_is_said(space, data):
    result = sweeping.sweep(space, data, "--storage", "postgresql://me:secret@127.0.0.1:1/none")
    assert result.returncode == 2
    assert "does not answer (" in result.stderr and "Traceback" not in result.stderr
    assert "secret" not in result.stderr
