"""Signals end a training after what is complete has been saved, and none is lost."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from helpers import tiny
from helpers.running import command, progress_of, rows, run, settings, wait_until

from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import ConfigError
from shd_genn.support.interruption import TerminatedError, held_back, interruptible
from shd_genn.train import loop


def test_sigterm_leaves_an_interrupted_run(data, tmp_path):
    options = ["--dataset", data, *tiny.OPTIONS, "--epochs", 5000, "--runs", tmp_path]
    process = subprocess.Popen(
        command(*options), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: progress_of(tmp_path) > 3, process)
    process.send_signal(signal.SIGTERM)
    _, text = process.communicate(timeout=60)
    (folder,) = tmp_path.iterdir()
    assert process.returncode == 143 and "Traceback" not in text
    assert f"--resume {folder}" in text
    assert json.loads((folder / "summary.json").read_text())["state"] == "interrupted"
    done = progress_of(tmp_path)
    assert [int(row["epoch"]) for row in rows(folder, "metrics")[::2]][:done] == [
        *range(1, done + 1)
    ]
    assert run("--resume", folder, "--epochs", done + 1).returncode == 0


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (signal.SIGINT, KeyboardInterrupt),
        (signal.SIGTERM, TerminatedError),
        (signal.SIGHUP, TerminatedError),  # its terminal was closed
    ],
)
def test_a_signal_whose_exception_is_swallowed_is_raised_again(number, expected):
    outside = signal.getsignal(number)
    before = signal.SIG_DFL if outside is signal.SIG_IGN else outside  # as under nohup
    signal.signal(number, before)
    try:
        with pytest.raises(expected), interruptible() as check:
            check()
            with suppress(KeyboardInterrupt):  # as Python does inside a destructor or a callback
                signal.raise_signal(number)
            check()
        assert signal.getsignal(number) is before
    finally:
        signal.signal(number, outside)


@pytest.mark.parametrize("error", [ValueError("open writing handle"), RuntimeError(), OSError()])
def test_an_error_that_takes_the_place_of_an_interruption_is_one(error):
    """As in zipfile, whose ``__exit__`` refuses to close while something is being written."""
    with pytest.raises(KeyboardInterrupt), interruptible():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            raise error
    with pytest.raises(type(error)), interruptible():
        raise error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_held_back_comes_afterwards(number):
    """Also if another thread receives it, as it may while this one blocks it."""
    done = False
    with pytest.raises(KeyboardInterrupt), interruptible(), held_back():
        sender = threading.Thread(target=lambda: os.kill(os.getpid(), number))
        sender.start()
        sender.join()
        code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert child.stdout.strip() == b"True"
        done = True
    assert done
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_nested_handlers_all_hear_of_a_signal():
    with pytest.raises(TerminatedError), interruptible():
        try:
            with interruptible():
                signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise ValueError("lost on the way") from None


@pytest.mark.parametrize(
    ("number", "after_s"), [(signal.SIGINT, 0.0), (signal.SIGINT, 0.3), (signal.SIGTERM, 0.3)]
)
def test_a_signal_during_imports_ends_a_command_without_a_traceback(number, after_s):
    """From the moment on at which Python has found shd_genn."""
    process = subprocess.Popen(
        [sys.executable, "-v", "-m", "shd_genn.run", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = iter(process.stderr.readline, "")
    assert any(line.startswith("import 'shd_genn' #") for line in lines)
    time.sleep(after_s)
    process.send_signal(number)
    _, text = process.communicate(timeout=60)
    assert process.returncode in (-number, 128 + number, 0) and "Traceback" not in text


def test_ctrl_c_inside_a_destructor_ends_the_training(data, tmp_path):
    """Python prints and forgets exceptions there; the training ends all the same."""
    script = f"""
import signal, sys
from pathlib import Path
sys.path.insert(0, {str(tiny.__file__.rpartition("/helpers")[0])!r})
from helpers.running import settings
from shd_genn.train import loop

class Pest:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def on_epoch(folder, rows):
    if rows and rows[-1].epoch == 3:
        Pest()

try:
    loop.start(settings({str(data)!r}, epochs=50), Path({str(tmp_path)!r}), on_epoch)
except KeyboardInterrupt:
    print("interrupted")
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout == "interrupted\n", result.stderr
    (path,) = tmp_path.iterdir()
    assert RunFolder.open(path).summary.state == "interrupted" and progress_of(tmp_path) == 3


def test_an_error_of_a_callback_is_recorded(data, tmp_path):
    def on_epoch(folder, rows):
        if rows:
            raise ValueError("no more plots")

    with pytest.raises(ValueError, match="no more plots"):
        loop.start(settings(data), tmp_path, on_epoch)
    (path,) = tmp_path.iterdir()
    summary = RunFolder.open(path).summary
    assert (summary.state, summary.reason) == ("failed", "no more plots")


def test_a_full_disk_is_one_message_and_the_run_goes_on_later(data, tmp_path):
    """A limit on the size of files stands for a full disk: ``ulimit -f`` in blocks of 1 KiB."""
    options = ["--dataset", data, *tiny.OPTIONS, "--epochs", "9", "--runs", tmp_path]
    options += ["--hidden-sizes", "64"]  # a checkpoint of more than 50 KiB
    words = " ".join(map(str, command(*options)))
    result = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; ulimit -f 30; exec {words}"], capture_output=True, text=True
    )
    assert result.returncode == 2 and "Traceback" not in result.stderr, result.stderr
    assert "cannot be written" in result.stderr
    (folder,) = tmp_path.iterdir()
    summary = RunFolder.open(folder).summary
    assert summary.state == "failed" and "cannot be written" in summary.reason
    assert run("--resume", folder).returncode == 0


def test_an_output_that_cannot_be_written_is_refused_first(data, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    folder = loop.start(settings(data, epochs=1), tmp_path / "runs")
    arguments = [folder.path, "--dataset", "nowhere"]  # what would be found later
    for output in (blocked / "a.csv", tmp_path):
        result = subprocess.run(
            [sys.executable, "-m", "shd_genn.evaluate", *map(str, arguments), "-o", str(output)],
            capture_output=True,
            text=True,
        )
        assert result.returncode == 2 and "nowhere" not in result.stderr
        assert "cannot be written" in result.stderr or "is a folder" in result.stderr


def test_a_closed_pipe_does_not_lose_the_table(data, tmp_path):
    folder = loop.start(settings(data, epochs=1), tmp_path / "runs")
    table = tmp_path / "answers.csv"
    words = f"{sys.executable} -m shd_genn.evaluate {folder.path} --dataset {data} -o {table}"
    quietly = ["bash", "-c", f"set -o pipefail; {words} | true"]
    result = subprocess.run(quietly, capture_output=True, text=True, check=False)
    assert result.returncode == 141 and "Traceback" not in result.stderr
    assert table.read_text() == (folder.path / "predictions.csv").read_text()


def test_a_closed_pipe_interrupts_a_run(data, tmp_path):
    """As when `tee` is ended, which reads the lines of epochs."""

    def print_nowhere(folder, rows):
        if rows:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        loop.start(settings(data, epochs=2), tmp_path, print_nowhere, name="one")
    folder = RunFolder.open(tmp_path / "one")
    assert folder.summary.state == "interrupted"
    assert folder.summary.reason == "the program that read what the run prints has ended"
    loop.resume(folder, folder.config)
    assert folder.summary.complete


def test_runs_have_names(data, tmp_path):
    options = ["--dataset", data, *tiny.OPTIONS, "--epochs", 1, "--runs", tmp_path]
    assert run(*options, "--name", "first").returncode == 0
    assert RunFolder.open(tmp_path / "first").summary.complete
    for name, message in (("first", "exists already"), ("../x", "must begin with a letter")):
        result = run(*options, "--name", name)
        assert result.returncode == 2 and message in result.stderr
    with pytest.raises(ConfigError):
        RunFolder.open(tmp_path.parent / "x")
