"""Live curves: TensorBoard's files hold every epoch; Weights & Biases is called as it documents."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from helpers import running

from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import ConfigError
from shd_genn.train import loop
from shd_genn.train.live_curves import live_curves


def test_tensorboard_holds_every_epoch(data, tmp_path):
    pytest.importorskip("tensorboardX")
    with live_curves("tensorboard") as on_epoch:
        folder = loop.start(running.settings(data, epochs=2), tmp_path, on_epoch, name="a")
    with live_curves("tensorboard") as on_epoch:
        loop.resume(folder, longer(folder), on_epoch)
    found = {}
    for file in sorted((folder.path / "tensorboard").iterdir(), key=lambda f: f.stat().st_mtime_ns):
        found |= scalars(file)
    rows = [row for row in folder.epochs if row.split != "test"]
    assert {(f"accuracy/{r.split}", r.epoch) for r in rows} <= set(found)
    for row in rows:
        assert found[f"accuracy/{row.split}", row.epoch] == pytest.approx(row.accuracy)
        assert found[f"loss/{row.split}", row.epoch] == pytest.approx(row.loss)
    assert {epoch for name, epoch in found if name == "learning_rate"} == {1, 2, 3}


def longer(folder):
    return replace(folder.config, train=replace(folder.config.train, epochs=3))


def scalars(file):
    """(name, step) → value of all scalars in an events file: records of length, sum, event, sum."""
    from tensorboardX.proto.event_pb2 import Event

    content, found = file.read_bytes(), {}
    while content:
        n = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + n])
        content = content[16 + n :]
        for value in event.summary.value:
            found[value.tag, event.step] = value.simple_value
    return found


class Wandb(SimpleNamespace):
    """Notes what the library is called with; a run is known again by its id."""

    def __init__(self):
        super().__init__(runs={}, finished=0)

    def init(self, **options):
        known = self.runs.setdefault(options["id"], SimpleNamespace(rows=[], options=options))

        def log(values):
            known.rows.append(values)

        def finish():
            self.finished += 1

        summary = known.rows[-1] if known.rows else {}
        return SimpleNamespace(log=log, finish=finish, summary=summary)


def test_wandb_gets_every_epoch_once(data, tmp_path, monkeypatch):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    with live_curves("wandb") as on_epoch:
        folder = loop.start(running.settings(data, epochs=2), tmp_path, on_epoch, name="a")
    with live_curves("wandb") as on_epoch:
        loop.resume(folder, longer(folder), on_epoch)
    run = wandb.runs["a"]
    assert [row["epoch"] for row in run.rows] == [1, 2, 3] and wandb.finished == 2
    train = [row for row in RunFolder(folder.path).epochs if row.split == "train"]
    assert [row["accuracy/train"] for row in run.rows] == [row.accuracy for row in train]
    assert run.options["config"]["hidden_sizes"] == (20,)
    assert run.options["resume"] == "allow"


@pytest.mark.parametrize(("kind", "package"), [("tensorboard", "tensorboardX"), ("wandb", "wandb")])
def test_a_package_that_is_missing_is_named_before_training(monkeypatch, kind, package):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"curves={kind} needs {package}, which is not installed .*pip install 'shd_genn\["
    with pytest.raises(ConfigError, match=message), live_curves(kind):
        pass


def test_no_curves_are_the_default():
    with live_curves("none") as on_epoch:
        assert on_epoch is None


def test_cross_validation_has_no_single_curve(data):
    result = running.run("--dataset", data, "--validation", "speaker", "--curves", "tensorboard")
    assert result.returncode == 2
    assert "curves show a single run, but speaker validation trains several" in result.stderr
