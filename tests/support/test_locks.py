"""Locks: who waits, who is refused, and what is left after a kill or on a poor file system."""

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from shd_genn.support.errors import BusyError, ConfigError
from shd_genn.support.locks import claimed, locked


def listed(folder):
    """The names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


HOLD = """
import sys, time
from pathlib import Path
from shd_genn.support import locks
with getattr(locks, sys.argv[1])(Path(sys.argv[2])):
    print("has it", flush=True)
    sys.stdin.readline()
"""


def holder(kind, path):
    """A process that has a lock until a line is written to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, kind, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "has it\n"
    return process


def finish(process):
    process.communicate("\n")
    assert process.returncode == 0


def test_a_claimed_folder_is_refused_to_others_and_left_as_it_was(tmp_path):
    process = holder("claimed", tmp_path)
    with pytest.raises(BusyError, match=r"must be free, but .*; wait") as error, claimed(tmp_path):
        pass
    assert error.value.path == tmp_path
    finish(process)
    assert listed(tmp_path) == []
    with claimed(tmp_path), pytest.raises(BusyError), claimed(tmp_path):
        pass  # refused in the same process, too
    assert listed(tmp_path) == []


def test_a_claimed_file_has_its_lock_beside_it(tmp_path):
    file = tmp_path / "study.db"
    file.touch()
    with claimed(file):
        assert listed(tmp_path) == ["study.db", "study.db.lock"]
    assert listed(tmp_path) == ["study.db"]


def test_a_kill_frees_what_was_claimed(tmp_path):
    process = holder("claimed", tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with claimed(tmp_path):
        pass
    assert listed(tmp_path) == []


def test_others_wait_for_a_lock(tmp_path):
    first = holder("locked", tmp_path)
    second = subprocess.Popen(
        [sys.executable, "-c", HOLD, "locked", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1.5)
    finish(first)
    assert second.stdout.readline() == "has it\n"
    finish(second)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_file_systems_without_locks_get_a_marker(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with claimed(tmp_path), pytest.raises(BusyError), claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass
    # the empty file of the lock that was tried first may stay
    assert set(listed(tmp_path)) <= {".lock"}


@pytest.mark.parametrize("keep", [claimed, locked])
@pytest.mark.parametrize("name", ["ESTALE", "EIO", "EDQUOT", "ENOSPC"])
def test_a_lock_that_fails_has_one_clear_message(tmp_path, monkeypatch, keep, name):
    """As of a server of files that was restarted, or a quota that is full."""
    number = getattr(errno, name)

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(ConfigError, match=rf"\.lock cannot be written \({os.strerror(number)}\); "),
        keep(tmp_path),
    ):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_the_marker_of_a_killed_owner_is_taken_over(tmp_path, monkeypatch, number):
    refuse = f"import fcntl\ndef no(*_): raise OSError({number}, 'x')\nfcntl.flock = no\n"
    process = subprocess.Popen(
        [sys.executable, "-c", refuse + HOLD, "claimed", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "has it\n"

    def no(*_):
        raise OSError(number, "x")

    monkeypatch.setattr(fcntl, "flock", no)
    with pytest.raises(BusyError), claimed(tmp_path):
        pass
    process.kill()
    process.communicate()
    with claimed(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_refused_in_words(tmp_path):
    (tmp_path / "file").touch()
    message = r"lock cannot be written \(.*\); choose"
    with pytest.raises(ConfigError, match=message), claimed(tmp_path / "file" / "folder"):
        pass
