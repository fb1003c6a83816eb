"""Every training method learns, writes the same run folder, and resumes to the same bits."""

import numpy as np
import pytest
from helpers import tiny
from helpers.calling import call
from helpers.running import rows, same_weights, settings

import shd_genn
from shd_genn.config.flat import update
from shd_genn.export.trained import of_run
from shd_genn.learning.methods import STDP, Conversion, EProp, EPropOnline, RewardSTDP, Surrogate
from shd_genn.support.errors import ConfigError
from shd_genn.train import loop
from shd_genn.train.inference import samples_for
from shd_genn.train.simulation_time import simulation_times

METHODS = [
    ("native", Surrogate("atan")),
    ("reference", Surrogate()),
    ("reference", EProp(feedback="adaptive", feedback_decay=0.01)),
    ("reference", EPropOnline(feedback="random")),
    ("native", STDP(window="nanocomposite", device_levels=32, device_noise=0.05)),
    ("reference", RewardSTDP(reader="linear", eligibility_tau_ms=100.0)),
    ("reference", Conversion("qcfs", bin_channels=3)),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("data"), 24, 6)


@pytest.mark.parametrize(("backend", "method"), METHODS, ids=lambda v: getattr(v, "kind", v))
def test_resumed_runs_are_the_same(backend, method, data, tmp_path):
    if isinstance(method, Conversion):
        pytest.importorskip("torch", reason="training a network to convert needs PyTorch")

    def config(epochs):
        given = settings(data, epochs=epochs, method=method)
        model = "feedforward" if isinstance(method, STDP | Conversion) else "recurrent"
        return update(
            given, {"backend": backend, "dt_ms": 4.0, "hidden_sizes": (8,), "model": model}
        )

    whole = loop.start(config(2), tmp_path / "whole", name="run")
    half = loop.start(config(1), tmp_path / "half", name="run")
    loop.resume(half, update(half.config, {"epochs": 2}))
    assert same_weights(whole.path, half.path) and same_weights(whole.path, half.path, "best")
    assert {p.name for p in whole.path.iterdir()} == {p.name for p in half.path.iterdir()}
    losses = [float(row["loss"]) for row in rows(whole.path, "metrics") if row["split"] == "train"]
    assert losses[1] < losses[0]
    training = [row for row in rows(whole.path, "metrics") if row["split"] == "train"]
    work = [float(row["training_operations"]) for row in training]
    assert whole.result.training_operations == pytest.approx(np.mean(work))
    assert all(w > float(r["synaptic_operations"]) for w, r in zip(work, training, strict=True))
    assert whole.result.updates == 2 * 2


def test_methods_from_python(data, tmp_path):
    run = shd_genn.fit(
        str(data),
        runs=tmp_path,
        method="eprop",
        feedback="random",
        backend="reference",
        hidden_sizes=(6,),
        epochs=1,
        batch_size=16,
        trial_ms=60.0,
        dt_ms=4.0,
    )
    assert run.config.train.method == EProp(feedback="random")
    assert np.isfinite(run.epochs["loss"]).all()


def test_runs_of_methods_with_their_own_neurons_are_not_exported(data, tmp_path):
    config = update(
        settings(data, epochs=1, method=STDP()), {"backend": "native", "model": "feedforward"}
    )
    run = loop.start(config, tmp_path, name="run")
    with pytest.raises(ConfigError, match="was trained by stdp, whose neurons have no description"):
        of_run(run)
    samples = tiny.dataset(6, 1)
    with pytest.raises(ConfigError, match="simulation_steps belongs to runs of method conversion"):
        simulation_times(run, samples, [4])
    with pytest.raises(ConfigError, match="1 <= simulation_steps <= 10000 must hold, but got 0"):
        simulation_times(run, samples, [0])


def test_times_of_a_converted_run(data, tmp_path):
    pytest.importorskip("torch", reason="training a network to convert needs PyTorch")
    config = update(
        settings(data, epochs=2, method=Conversion(bin_channels=3)),
        {"backend": "reference", "model": "feedforward"},
    )
    run = loop.start(config, tmp_path, name="run")
    rows = simulation_times(run, samples_for(run, str(data), "test").dataset, [1, 64])
    assert [row.steps for row in rows] == [1, 64, None]
    assert rows[1].accuracy == run.result.test.accuracy and rows[1].hidden_spikes > 0
    result = call("evaluate", run.path, "--dataset", data, "--simulation-steps", "1", "64")
    assert result.returncode == 0 and "hidden spikes per sample" in result.stdout
