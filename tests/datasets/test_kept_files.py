"""Spike files that a sweep's worker keeps: the same runs to the bit, and no stale data."""

import os
from dataclasses import replace

import numpy as np
import pytest

from shd_genn.bench.noise import main as write_noise
from shd_genn.config import Config
from shd_genn.datasets import kept_files
from shd_genn.datasets.kept_files import KeptFiles
from shd_genn.support.errors import DataError
from shd_genn.train import loop


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "noise"
    write_noise([str(path), "--train", "60", "--test", "20"])
    return path


@pytest.fixture
def read_files(monkeypatch):
    """The names of the files that are really read."""
    names = []
    read = kept_files.read_spikes

    def noted(path, name):
        names.append(path.name)
        return read(path, name)

    monkeypatch.setattr(kept_files, "read_spikes", noted)
    return names


def test_runs_with_kept_files_are_those_without(folder, tmp_path, read_files):
    defaults = Config()
    config = replace(
        defaults,
        data=replace(defaults.data, dataset=str(folder)),
        model=replace(defaults.model, hidden_sizes=(16,)),
        n_threads=1,
        backend="native",
    )
    kept = KeptFiles()
    for seed in (0, 1):
        train = replace(config.train, epochs=1, batch_size=4, seed=seed)
        settings = replace(config, train=train)
        alone = loop.start(settings, tmp_path, name=f"alone{seed}")
        together = loop.start(settings, tmp_path, name=f"together{seed}", read=kept)
        with np.load(alone.path / "last.npz") as one, np.load(together.path / "last.npz") as other:
            assert one.files == other.files
            for name in one.files:
                np.testing.assert_array_equal(one[name], other[name])
        texts = [(run.path / "predictions.csv").read_text() for run in (alone, together)]
        assert texts[0] == texts[1]
    assert sorted(read_files) == ["test.h5", "train.h5"]


def test_a_file_that_changed_is_read_again(folder, read_files):
    kept, path = KeptFiles(), folder / "test.h5"
    first = kept(path, "one")
    again = kept(path, "other")
    assert (first.name, again.name) == ("one", "other") and again.events is first.events
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000_000))
    assert kept(path, "one").events is not first.events
    assert read_files == ["test.h5", "test.h5"]


def test_only_the_last_files_are_kept(folder, read_files):
    kept = KeptFiles(n_kept=1)
    for name in ("train.h5", "test.h5", "train.h5"):
        kept(folder / name, "noise")
    assert read_files == ["train.h5", "test.h5", "train.h5"]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="missing"):
        KeptFiles()(tmp_path / "missing.h5", "noise")
