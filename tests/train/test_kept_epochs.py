"""Kept epochs are those of the run, to the bit, and balanced classes are balanced."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny

from shd_genn.config import Config
from shd_genn.datasets.load import load_dataset
from shd_genn.datasets.settings import DataConfig, RandomValidation
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.record.checkpoints import read
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.errors import ConfigError
from shd_genn.train import loop
from shd_genn.train.inference import record
from shd_genn.train.prepare import prepare


def settings(place, **train):
    return Config(
        data=DataConfig(dataset=str(tiny.write(place)), trial_ms=120.0),
        model=ModelConfig(hidden_sizes=(20,), w_in_mean=0.2, w_in_sd=0.1),
        train=TrainConfig(epochs=2, batch_size=16, learning_rate=0.01, **train),
    )


def test_parameters_spikes_and_voltages_of_chosen_epochs_are_kept(tmp_path):
    config = settings(tmp_path, keep_epochs=(0, 2, 9), record_samples=(3, 0))
    folder = loop.start(config, tmp_path / "runs")
    assert sorted(p.name for p in (folder.path / "epochs").iterdir()) == [
        "epoch_0000.npz",
        "epoch_0002.npz",
    ]
    last = read(folder.checkpoint("last"))
    kept = folder.read_arrays("epochs/epoch_0002")
    for key, value in last.parameters.items():
        np.testing.assert_array_equal(kept[f"parameter_{key}"], value)
    start = folder.read_arrays("epochs/epoch_0000")
    assert (start["parameter_hidden0_output"] != kept["parameter_hidden0_output"]).any()

    dataset = prepare(folder.config).valid.dataset
    np.testing.assert_array_equal(kept["labels"], dataset.labels[[3, 0]])
    folder.checkpoint("best").write_bytes(folder.checkpoint("last").read_bytes())
    expected = record(folder, dataset.presented(np.array([3, 0])))
    np.testing.assert_array_equal(kept["voltages"], expected.voltages)
    for name, events in expected.spikes.items():
        np.testing.assert_array_equal(kept[f"spikes_{name}_times_ms"], events.times_ms)
        np.testing.assert_array_equal(kept[f"spikes_{name}_neurons"], events.channels)
        np.testing.assert_array_equal(kept[f"spikes_{name}_offsets"], events.offsets)

    plain = loop.start(settings(tmp_path), tmp_path / "plain")  # keeping changes nothing
    for key, value in read(plain.checkpoint("last")).parameters.items():
        np.testing.assert_array_equal(last.parameters[key], value)


def test_what_cannot_be_kept_is_refused_before_training(tmp_path):
    with pytest.raises(ConfigError, match="record_samples names 1 samples, but keep_epochs no"):
        settings(tmp_path, record_samples=(0,))
    with pytest.raises(ConfigError, match="record_samples < validation samples"):
        loop.start(settings(tmp_path, keep_epochs=(1,), record_samples=(500,)), tmp_path / "runs")
    assert not list((tmp_path / "runs").glob("*"))


def test_balanced_classes_have_the_same_number_of_samples(tmp_path):
    tiny.write(tmp_path)
    dataset = tiny.dataset(60, 0)
    rare = np.flatnonzero((dataset.labels != 1) | (np.arange(60) < 21))  # 7 of the second word
    write_spikes(tmp_path / "train.h5", dataset.subset(rare))
    config = DataConfig(dataset=str(tmp_path), validation=RandomValidation(0.3))
    plain, once, again = (
        load_dataset(c, seed=1) for c in (config, *[replace(config, balance=True)] * 2)
    )
    assert len(set(np.bincount(plain.train.labels))) > 1
    for split, fewest in (("train", 5), ("valid", 2)):
        part = getattr(once, split)
        assert np.bincount(part.labels).tolist() == [fewest] * 3
        np.testing.assert_array_equal(part.events.times_ms, getattr(again, split).events.times_ms)
    assert len(once.test) == len(plain.test)
