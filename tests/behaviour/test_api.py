"""The public interface as a notebook uses it."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile
from helpers import tiny

import shd_genn
from shd_genn.record.rows import EpochRow, PredictionRow
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.errors import ConfigError

SETTINGS = {
    "trial_ms": 120.0,
    "hidden_sizes": (20,),
    "w_in_mean": 0.2,
    "w_in_sd": 0.1,
    "batch_size": 16,
    "learning_rate": 0.01,
    "shift_channels": 0.0,
}


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    return shd_genn.fit(str(data), epochs=15, runs=runs, name="first", **SETTINGS)


def test_a_network_is_trained_on_a_folder(run, data):
    assert run.path.name == "first" and run.words == tiny.CLASSES
    assert run.config.train.epochs == 15 and run.config.model.hidden_sizes == (20,)
    assert run.result.test.accuracy > 0.8
    assert repr(run) == "<Run first: complete>"


def test_epochs_are_a_tidy_table(run):
    table = run.epochs
    assert list(table) == list(EpochRow.__dataclass_fields__)
    assert table["epoch"].tolist() == [epoch for epoch in range(1, 16) for _ in "tv"] + [
        run.result.best_epoch
    ]
    assert table["split"].value_counts().to_dict() == {"train": 15, "valid": 15, "test": 1}
    assert table["accuracy"].dtype == float and table["silent_neurons"].dtype == int
    best = table[(table["split"] == "valid") & (table["epoch"] == run.result.best_epoch)]
    assert best["accuracy"].item() == run.result.best_accuracy


def test_predictions_are_a_table(run):
    table = run.predictions
    columns = [name for name in PredictionRow.__dataclass_fields__ if name != "hidden_spikes"]
    assert list(table) == [*columns, "spikes_hidden0"]
    assert table["correct"].mean() == pytest.approx(run.result.test.accuracy)
    assert set(table["word"]) == set(tiny.CLASSES)


def test_weights_and_spikes_are_arrays(run):
    weights = run.parameters()
    shapes = {name: array.shape for name, array in weights.items()}
    assert shapes == {
        "input_hidden0": (30, 20),
        "hidden0_hidden0": (20, 20),
        "hidden0_output": (20, 3),
    }
    assert all(array.dtype == np.float32 for array in weights.values())
    counts = run.spike_counts()["hidden0"]
    assert counts.shape == (12, 20)
    assert counts.sum(axis=1).tolist() == run.predictions["spikes_hidden0"].tolist()


def test_spikes_and_output_voltages_of_a_sample_can_be_drawn(run):
    recording = run.record(samples=[3, 0])
    assert recording.voltages.shape == (2, 120, 3)
    times_ms, neurons = recording.spikes["hidden0"].sample(0)
    assert len(times_ms) == run.predictions["spikes_hidden0"][3] and neurons.max() < 20
    assert recording.voltages[0].mean(axis=0).argmax() == run.predictions["predicted"][3]
    figure, ax = plt.subplots()
    lines = ax.plot(recording.voltages[0], label=run.words)
    assert len(lines) == 3
    plt.close(figure)
    with pytest.raises(ConfigError, match="sample 12 does not exist: tiny \\(test\\) has 12"):
        run.record(samples=[12])


def test_a_finished_run_is_opened_and_evaluated(run, data):
    again = shd_genn.open_run(run.path)
    assert again.epochs.equals(run.epochs)
    evaluation = again.evaluate(str(data))
    assert evaluation.accuracy == run.result.test.accuracy and evaluation.notes == ()
    evaluation = again.evaluate(tiny.dataset(9, 5))  # a dataset in memory
    assert evaluation.metrics.samples == len(evaluation.predictions) == 9
    with pytest.raises(ConfigError, match="must be the folder of a run"):
        shd_genn.open_run(data)


def test_a_complete_run_goes_on_for_more_epochs(data, tmp_path):
    short = shd_genn.fit(str(data), epochs=1, runs=tmp_path, **SETTINGS)
    assert short.resume(epochs=2).result.epochs == 2
    whole = shd_genn.fit(str(data), epochs=2, runs=tmp_path, **SETTINGS)
    for name, array in whole.parameters("last").items():
        np.testing.assert_array_equal(array, short.parameters("last")[name])


def test_a_recording_is_listened_to(tmp_path):
    folder = tmp_path / "wide"
    wide = tiny.dataset(20, 0)
    write_spikes(folder / "train.h5", type(wide)(**{**vars(wide), "n_channels": 700}))
    run = shd_genn.fit(str(folder), epochs=1, batch_size=9, hidden_sizes=(5,), runs=tmp_path)
    sound = tmp_path / "a.wav"
    soundfile.write(sound, 0.1 * np.random.default_rng(0).normal(size=8000), 16_000)
    answer = run.listen(sound)
    ranking = answer.ranking()
    assert answer.word == ranking[0][0] in tiny.CLASSES and answer.notes == ()
    assert sum(p for _, p in ranking) == pytest.approx(1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"learning_rat": 1}, "learning_rat"),
        ({"preset": "nonsense"}, "nonsense"),
        ({"validation": "speaker"}, "fit trains one; give validation_speaker"),
        ({"name": "a/b"}, "name 'a/b' must begin with a letter or digit"),
        ({"preset": "mlgenn-shd", "config": shd_genn.fit}, "by both preset and config"),
    ],
)
def test_wrong_arguments_are_refused(data, tmp_path, wrong, message):
    with pytest.raises(ConfigError, match=message):
        shd_genn.fit(str(data), runs=tmp_path / "runs", **wrong)
    assert not (tmp_path / "runs").exists()


def test_a_name_is_used_once(run, data):
    with pytest.raises(ConfigError, match=r"first exists already; choose another name"):
        shd_genn.fit(str(data), runs=run.path.parent, name="first", **SETTINGS)


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, shd_genn; print([m for m in ('numpy', 'pandas') if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
    assert {"fit", "open_run", "Run"} <= set(dir(shd_genn))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        shd_genn.nonsense  # noqa: B018


def test_a_training_starts_without_what_it_does_not_use():
    """Each of these takes a third of a second or more to import, in every run and worker."""
    heavy = "scipy.interpolate scipy.special scipy.signal sympy optuna pandas matplotlib dask"
    code = (
        "import sys, shd_genn.run, shd_genn.sweep.worker, shd_genn.list;"
        f"print([m for m in {heavy.split()} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
