"""Files are written aside; whatever the disk does, one clear error and no leftovers."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shd_genn.support import files
from shd_genn.support.errors import ConfigError
from shd_genn.support.files import disk_errors, remove_leftovers, write_text, written_aside
from shd_genn.support.paths import readable_name, user_path


def listed(folder):
    """The names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def test_all_or_nothing(tmp_path):
    path = tmp_path / "folder" / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), written_aside(path) as aside:
        aside.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert listed(path.parent) == ["a.txt"]


def test_a_file_is_forced_to_the_disk_before_it_gets_its_name(monkeypatch, tmp_path):
    path, forced = tmp_path / "file.txt", []
    monkeypatch.setattr("os.fsync", lambda file: forced.append(path.exists()))
    monkeypatch.setenv("SHD_GENN_FSYNC", "off")  # as in all other tests
    write_text(path, "quick")
    assert not forced and path.read_text() == "quick"
    path.unlink()
    monkeypatch.delenv("SHD_GENN_FSYNC")
    write_text(path, "safe")
    assert forced == [False] and path.read_text() == "safe"
    monkeypatch.setenv("SHD_GENN_FSYNC", "yes")
    with pytest.raises(ConfigError, match="SHD_GENN_FSYNC is 'yes'; set it to on or off"):
        write_text(path, "")


def test_new_files_have_the_rights_that_the_user_asks_for(tmp_path):
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_writers_of_the_same_process_do_not_share_a_file(tmp_path):
    path = tmp_path / "a.txt"
    with written_aside(path) as one, written_aside(path) as other:
        assert one != other
        one.write_text("1")
        other.write_text("2")
    assert path.read_text() == "1"


def test_long_names_are_written(tmp_path):
    path = tmp_path / ("ü" * 120 + ".txt")
    write_text(path, "x")
    assert path.read_text() == "x"


WRITE = """
import os, sys, time
from pathlib import Path
from shd_genn.support.files import written_aside
with written_aside(Path(sys.argv[1])) as aside:
    aside.write_text("half")
    print(aside, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_is_deleted_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "a.txt"
    dead, alive = (
        subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE)
        for _ in range(2)
    )
    left, kept = (process.stdout.readline().decode().strip() for process in (dead, alive))
    dead.send_signal(signal.SIGKILL)
    dead.communicate()
    assert Path(left).exists()
    write_text(tmp_path / "b.txt", "any other file of the folder")
    assert not Path(left).exists()
    assert Path(kept).exists()
    alive.kill()
    alive.communicate()
    remove_leftovers(tmp_path)
    assert listed(tmp_path) == ["b.txt"]


def test_leftovers_of_other_machines_are_deleted_when_they_are_old(tmp_path):
    new, old = (tmp_path / f".a.part-00000000-{i}-00000000.txt" for i in (1, 2))
    new.touch()
    old.touch()
    os.utime(old, (time.time() - 8 * 24 * 3600,) * 2)
    mine = tmp_path / ".a.part-mine.txt"
    mine.touch()
    remove_leftovers(tmp_path)
    assert listed(tmp_path) == sorted([mine.name, new.name])


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from shd_genn.support.errors import ConfigError
from shd_genn.support.files import written_aside
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    with written_aside(Path(sys.argv[1])) as aside:
        if aside.suffix == ".npy":
            np.save(aside, np.zeros(100_000))
        else:
            aside.write_text("x" * 1_000_000)
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
@pytest.mark.parametrize("limit", [0, 1, 4000, 300_000])
def test_a_disk_that_is_full_at_any_byte(tmp_path, suffix, limit):
    """A limit on the size of files fails like a full disk."""
    path = tmp_path / f"a{suffix}"
    code = [sys.executable, "-c", LIMITED, str(path), str(limit)]
    result = subprocess.run(code, capture_output=True, text=True)
    assert f"{path} cannot be written (" in result.stdout, result.stdout + result.stderr
    assert "; " in result.stdout
    assert listed(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("ENOSPC", "free space"),
        ("EDQUOT", "quota"),
        ("EROFS", "read-only"),
        ("EACCES", "may write to"),
        ("EIO", "choose another folder"),
    ],
)
def test_errors_of_the_system_have_a_cure(tmp_path, name, cure):
    number = getattr(errno, name)
    path = tmp_path / "a.txt"
    message = str(files.write_error(path, OSError(number, os.strerror(number))))
    assert str(path) in message and os.strerror(number) in message
    assert cure in message.partition("; ")[2] + message.partition("; ")[0]


def test_errors_of_other_files_pass(tmp_path):
    with pytest.raises(FileNotFoundError), disk_errors(tmp_path):
        (tmp_path / "none").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device(tmp_path):
    with pytest.raises(ConfigError, match="No space left on device"), disk_errors(tmp_path):
        Path("/dev/full").write_text("x")


def test_the_home_folder_is_written_as_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/runs") == tmp_path / "runs"
    assert str(user_path("~nobody-of-this-name/x")) == "~nobody-of-this-name/x"


def test_names_have_one_readable_form():
    assert readable_name("fünf") == "fünf"
    assert readable_name("fu\u0308nf") == "fünf"  # macOS
    assert readable_name(os.fsdecode(b"f\xfcnf")) == "fünf"  # Latin-1
