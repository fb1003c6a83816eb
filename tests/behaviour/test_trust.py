"""Files that a run goes on from are checked: nothing goes on from what does not belong together."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import caches, tiny
from helpers.calling import call
from helpers.running import rows, run, same_weights, settings

import shd_genn
from analysis import parameters, raster, silent_neurons
from analysis.tools import script
from analysis.tools.load import read
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.errors import ConfigError, ShdGennError
from shd_genn.support.user_files import project_folder
from shd_genn.sweep.worker import outcome
from shd_genn.train import loop

LATE = "    from shapes.wide import WIDE\n\n    assert WIDE == 6\n"
"""An import inside ``build``, which is called after the file was executed."""


@pytest.fixture(scope="module")
def short(data, tmp_path_factory):
    """A complete run of three epochs."""
    return loop.start(settings(data, epochs=3), tmp_path_factory.mktemp("runs"))


@pytest.fixture
def copied(short, tmp_path):
    shutil.copytree(short.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def longer(folder, epochs=4):
    config = folder.config
    return replace(config, train=replace(config.train, epochs=epochs))


def without(text, words):
    return "".join(line for line in text.splitlines(True) if not line.startswith(words))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "lacks 3 of them, the first is epoch 1"),
        (None, "lacks 3 of them, the first is epoch 1"),
        (lambda text: "".join(text.splitlines(True)[:3]), "lacks 2 of them, the first is epoch 2"),
        (lambda text: without(text, "2,train"), "its numbers have changed"),
        (lambda text: text.replace("\n1,valid,", "\n1,valid,-"), "its numbers have changed"),
        (lambda text: text[:-40], "has too few or too many cells"),
    ],
)
def test_metrics_that_were_changed_are_refused(copied, damage, message):
    file = copied.path / "metrics.csv"
    if damage is None:
        file.unlink()
    else:
        file.write_text(damage(file.read_text()))
    weights = (copied.path / "last.npz").read_bytes()
    with pytest.raises(ShdGennError, match=message):
        loop.resume(copied, longer(copied))
    assert (copied.path / "last.npz").read_bytes() == weights


def damaged(folder, name, change):
    arrays = folder.read_arrays(name)
    change(arrays)
    folder.write_arrays(name, arrays)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("epoch"), "its epoch or metrics_digest is missing"),
        (lambda a: a.update(epoch=np.array([1, 2])), "its epoch or metrics_digest is missing"),
        (lambda a: a.pop("parameter_input_hidden0"), "input_hidden0 is missing"),
        (
            lambda a: a.update(parameter_input_hidden0=np.float32(1)),
            r"input_hidden0 has shape \(\) instead of \(30, 20\)",
        ),
        (lambda a: a.update(parameter_x=np.zeros(3)), "x is not of this network"),
        (lambda a: a.pop("adam_step"), "step is missing"),
        (lambda a: a.update(adam_m_hidden0_output=np.zeros(1)), r"has shape \(1,\)"),
        (
            lambda a: a.update(parameter_input_hidden0=np.full((30, 20), np.nan, np.float32)),
            "input_hidden0 is not finite everywhere",
        ),
        (
            lambda a: a.update(parameter_input_hidden0=np.zeros((30, 20), "U3")),
            "input_hidden0 is <U3 instead of float32",
        ),
    ],
)
def test_checkpoints_with_missing_or_misshapen_parts_are_refused(copied, change, message):
    damaged(copied, "last", change)
    with pytest.raises(ConfigError, match=message):
        loop.resume(copied, longer(copied))


def test_a_checkpoint_of_another_epoch_is_refused(copied):
    damaged(copied, "best", lambda a: a.update(epoch=np.array(17)))
    with pytest.raises(ConfigError, match=r"best\.npz must be of epoch \d, .* but is of epoch 17"):
        loop.resume(copied, longer(copied))
    (copied.path / "best.npz").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(ConfigError, match=r"best\.npz is damaged"):
        loop.resume(copied, longer(copied))
    content = (copied.path / "last.npz").read_bytes()
    (copied.path / "last.npz").write_bytes(content.replace(b"{'descr'", b"{('desc'"))
    with pytest.raises(ConfigError, match=r"last\.npz is damaged: .*; restore the file"):
        loop.resume(copied, longer(copied))
    np.savez_compressed(copied.path / "last.npz", epoch=np.array(1), a=np.zeros(10**6))
    with pytest.raises(ConfigError, match=r"is damaged: it declares more bytes than it has"):
        loop.resume(copied, longer(copied))
    (copied.path / "last.npz").unlink()
    with pytest.raises(ConfigError, match=r"last\.npz is missing, but .* more than one epoch"):
        loop.resume(copied, longer(copied))


def test_a_run_that_was_killed_as_it_began_is_named(copied, data):
    for name in ("environment.json", "summary.json", "metrics.csv", "best.npz", "last.npz"):
        (copied.path / name).unlink()
    for result in (
        run("--resume", copied.path),
        call("evaluate", copied.path, "--dataset", data),
    ):
        assert result.returncode == 2 and "Traceback" not in result.stderr
        assert "stopped as it began" in result.stderr and "start a new run" in result.stderr


def test_a_folder_of_another_format_is_refused(copied):
    text = (copied.path / "environment.json").read_text()
    (copied.path / "environment.json").write_text(text.replace('"format": 1', '"format": 7'))
    with pytest.raises(ConfigError, match="has format 7, but this version of shd_genn reads"):
        shd_genn.open_run(copied.path)


def test_a_changed_model_file_is_refused(copied, data):
    file = copied.path / "model.py"
    file.write_text(file.read_text() + "\n# a comment\n")
    with pytest.raises(ConfigError, match=r"model\.py has changed since the run began"):
        loop.resume(copied, longer(copied))
    with pytest.raises(ConfigError, match=r"model\.py has changed since the run began"):
        shd_genn.open_run(copied.path, trust_model=True).evaluate(str(data))


def test_a_moved_dataset_is_the_same_by_its_checksum(copied, tmp_path):
    """Whatever its folder's name; other data of the same shape are refused."""
    config = longer(copied)
    tiny.write(tmp_path / "elsewhere" / "other-name")
    moved = replace(config.data, dataset=str(tmp_path / "elsewhere" / "other-name"))
    loop.resume(copied, replace(config, data=moved))
    assert copied.result.epochs == 4 and copied.config.data == moved
    write_spikes(tmp_path / "tiny" / "train.h5", tiny.dataset(50, 7))
    write_spikes(tmp_path / "tiny" / "test.h5", tiny.dataset(12, 1, ("anna", "cleo")))
    other = replace(config.data, dataset=str(tmp_path / "tiny"))
    config = longer(copied, 5)
    with pytest.raises(ConfigError, match=r"differs in train \(44 samples, checksum .* now\)"):
        loop.resume(copied, replace(config, data=other))


@pytest.fixture
def own_model(tmp_path):
    """A model file with its own sizes, which imports a module and a package beside it."""
    folder = tmp_path / "models"
    (folder / "shapes").mkdir(parents=True)
    (folder / "shapes" / "__init__.py").write_text("")
    (folder / "shapes" / "wide.py").write_text("from . import factor\nWIDE = 3 * factor.FACTOR\n")
    (folder / "shapes" / "factor.py").write_text("FACTOR = 2\n")
    (folder / "sizes.py").write_text("SIZES = (7, 5)\n")
    (folder / "unused.py").write_text("import nothing_of_the_kind\n")
    text = (project_folder("models") / "feedforward.py").read_text()
    for before, after in (
        ("model.hidden_sizes", "sizes.SIZES"),
        ("    model = config.model\n", LATE + "    model = config.model\n"),
    ):
        assert before in text
        text = text.replace(before, after)
    (folder / "mine.py").write_text(f"import sizes\n{text}")
    return folder / "mine.py"


def own(data, own_model, **train):
    config = settings(data, **train)
    return replace(config, model=replace(config.model, model=str(own_model)))


def test_modules_beside_a_model_are_kept_and_used(data, own_model, tmp_path):
    folder = loop.start(own(data, own_model, epochs=1), tmp_path / "runs")
    kept = {p.relative_to(folder.path).as_posix() for p in folder.path.rglob("*.py")}
    assert kept == {
        "model.py",
        "sizes.py",
        "shapes/__init__.py",
        "shapes/wide.py",
        "shapes/factor.py",
    }
    assert set(folder.environment.model) == kept
    shutil.rmtree(own_model.parent)
    evaluation = shd_genn.open_run(folder.path).evaluate(str(data))
    assert evaluation.accuracy == folder.result.test.accuracy
    assert not list(folder.path.rglob("*.pyc"))
    (folder.path / "sizes.py").write_text("SIZES = (8, 5)\n")
    with pytest.raises(ConfigError, match=r"sizes\.py has changed since the run began"):
        loop.resume(folder, longer(folder, 2))


def test_hidden_neurons_are_those_of_the_network(data, own_model, tmp_path):
    """The model file has 7 and 5 hidden neurons, whatever the settings say."""
    folder = loop.start(own(data, own_model, epochs=2), tmp_path / "runs")
    assert folder.summary.hidden == {"hidden0": 7, "hidden1": 5}
    assert folder.config.model.hidden_sizes == (20,)
    results = read([folder.path])
    assert results.runs[["hidden", "layers"]].to_numpy().tolist() == [[12, 2]]
    curves = silent_neurons.load(results, script.Options((), tmp_path)).curves
    silent = [int(row["silent_neurons"]) for row in rows(folder.path, "metrics")[:-1:2]]
    assert curves["mean"].tolist() == pytest.approx([n / 12 for n in silent])
    test = folder.result.test
    assert outcome(folder)["test_hidden_spikes"] == pytest.approx(test.hidden_spikes_mean * 12)


@pytest.mark.slow
def test_a_strangers_model_is_executed_only_with_consent(data, own_model, tmp_path, monkeypatch):
    folder = loop.start(own(data, own_model, epochs=1), tmp_path / "runs")
    ours = loop.start(settings(data, epochs=1), tmp_path / "runs")
    caches.use(tmp_path / "another-user", monkeypatch)
    for refused in (
        run_module("evaluate", folder.path, "--dataset", data),
        run_module("run", "--resume", folder.path, "--epochs", 2),
    ):
        assert refused.returncode == 2 and "--trust-model" in refused.stderr, refused.stderr
    table = tmp_path / "answers.csv"
    consent = run_module("evaluate", folder.path, "--dataset", data, "--trust-model", "-o", table)
    assert consent.returncode == 0, consent.stderr
    # asked once; and the project's own models need no consent
    for path in (folder.path, ours.path):
        assert run_module("evaluate", path, "--dataset", data).returncode == 0


@pytest.mark.parametrize("figure", [raster, parameters])
def test_figures_execute_a_strangers_model_only_with_consent(
    data, own_model, tmp_path, monkeypatch, figure
):
    folder = loop.start(own(data, own_model, epochs=1), tmp_path / "runs")
    caches.use(tmp_path / "another-user", monkeypatch)
    given = ["x", str(folder.path), "-o", str(tmp_path / "figure.png")]
    monkeypatch.setattr(sys, "argv", given)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", figure.__file__, raising=False)
    with pytest.raises(ConfigError, match="--trust-model"):
        script._draw(figure.Options, figure.load, figure.plot, None)
    monkeypatch.setattr(sys, "argv", [*given, "--trust-model"])
    script._draw(figure.Options, figure.load, figure.plot, None)
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_a_module_that_was_put_beside_a_model_is_refused(copied, data):
    (copied.path / "shd_genn").mkdir()
    (copied.path / "shd_genn" / "__init__.py").write_text("raise SystemExit('executed')\n")
    with pytest.raises(ConfigError, match=r"has shd_genn/__init__\.py, which model\.py imports"):
        shd_genn.open_run(copied.path).evaluate(str(data))


def test_resuming_leads_to_the_weights_of_an_uninterrupted_run(copied, data, tmp_path):
    loop.resume(copied, longer(copied, 6))
    whole = loop.start(settings(data, epochs=6), tmp_path / "whole")
    assert same_weights(copied.path, whole.path) and same_weights(copied.path, whole.path, "best")


def run_module(module, *arguments):
    """In a process of its own: this one has executed the model."""
    return subprocess.run(
        [sys.executable, "-m", f"shd_genn.{module}", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
