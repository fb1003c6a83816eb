"""Which backend is used, why, and the error where GeNN is not installed."""

import json
import subprocess
import sys

import pytest
from helpers import tiny
from helpers.calling import call

from shd_genn import backends
from shd_genn.backends import cuda
from shd_genn.backends.capabilities import Status
from shd_genn.backends.genn import installation
from shd_genn.config import Config
from shd_genn.support.errors import ConfigError
from shd_genn.train.loop import start

GPU = ("Some GPU", "GeNN has the GPU Some GPU")
NO_GPU = (None, "GeNN was built without CUDA")


@pytest.mark.parametrize(
    ("missing", "gpu", "name", "why"),
    [
        (["pygenn", "ml_genn"], NO_GPU, "native", "pygenn and ml_genn are not installed"),
        (["ml_genn"], GPU, "native", "ml_genn is not installed"),
        ([], NO_GPU, "native", "GeNN was built without CUDA"),
        ([], GPU, "genn", "GeNN has the GPU Some GPU"),
    ],
)
def test_auto_is_genn_where_it_has_a_gpu(missing, gpu, name, why, monkeypatch):
    monkeypatch.setattr(installation, "missing", lambda: missing)
    monkeypatch.setattr(installation, "gpu", lambda: gpu)
    monkeypatch.setattr(cuda, "status", lambda: Status("there is no driver", "install one"))
    chosen = backends.choose("auto")
    assert chosen == backends.Choice(
        name, f"there is no driver; {why}" if name == "native" else "there is no driver"
    )


def test_a_name_is_that_backend_or_an_error(monkeypatch):
    assert backends.choose("reference").name == "reference"
    monkeypatch.setattr(installation, "missing", lambda: ["pygenn", "ml_genn"])
    with pytest.raises(ConfigError, match=r"pygenn and ml_genn are not installed; build and .*"):
        backends.choose("genn")


def test_without_genn_nothing_is_begun(data, tmp_path, monkeypatch):
    """The message says what to install, where that is described, and what works without."""
    monkeypatch.setattr(installation, "missing", lambda: ["ml_genn"])
    with pytest.raises(ConfigError) as caught:
        start(Config(backend="genn"), tmp_path)
    message = str(caught.value)
    assert "ml_genn is not installed" in message and "ml-genn.readthedocs.io" in message
    assert installation.TESTED["pygenn"] in message and "--backend native" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not installation.missing(), reason="GeNN is installed")
def test_the_command_fails_with_one_message(data):
    result = subprocess.run(
        [sys.executable, "-m", "shd_genn.run", "--dataset", str(data), "--backend", "genn"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith(
        "error: the genn backend cannot be used, because pygenn and ml_genn are not installed; "
    )
    assert len(result.stderr.splitlines()) == 1


def test_the_choice_is_printed_and_recorded(data, tmp_path):
    options = ["--dataset", str(data), *tiny.OPTIONS, "--epochs", "1", "--runs", str(tmp_path)]
    result = call("run", *options)
    assert result.returncode == 0, result.stderr
    choice = backends.choose("auto")
    assert result.stdout.splitlines()[0] == f"backend             {choice.name} ({choice.why})"
    (run,) = tmp_path.iterdir()
    environment = json.loads((run / "environment.json").read_text())
    assert (environment["backend"], environment["backend_because"]) == (choice.name, choice.why)
    assert f'backend = "{choice.name}"' in (run / "config.toml").read_text()


def test_the_driver_is_asked_for_a_gpu(monkeypatch):
    """Without a CUDA driver there is no GPU, and that is no error."""

    def no_driver(name):
        raise OSError(name)

    monkeypatch.setattr(installation.ctypes, "CDLL", no_driver)
    assert installation._first_cuda_device() is None
