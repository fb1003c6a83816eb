"""What benchmarks count and fit, by hand; times are measured, and never tested."""

import csv

import numpy as np
import pytest
from helpers.calling import call

from shd_genn.backends.native.engine import STAGES
from shd_genn.bench.machine import read_limit, vector_peak
from shd_genn.bench.roofline import work
from shd_genn.bench.scaling import LAWS, setting_of, values_of
from shd_genn.datasets.load import load_split


def test_work_of_a_feedforward_network():
    """100 hidden neurons that spike twice: 8000 rows of 100 weights, and 100 rows of 20, once."""
    todo = work("feedforward", 100, 2.0)
    assert todo["forward"].bytes == 4 * (8000 * 100 + 100 * 20)
    assert todo["forward"].flops == 8000 * 100 + 100 * 20 + 5 * 1000 * 100
    assert todo["adjoint"].read_bytes == 4 * 100 * 20
    assert todo["adjoint"].stream_bytes == 4 * 1000 * 100
    assert todo["gradient"].read_bytes == 4 * 8000 * 100
    # of 32 trials one is the first, which does not read what it writes
    assert todo["gradient"].stream_bytes == (8 - 4 / 32) * 100 * (700 + 20)
    assert todo["optimiser"].bytes == pytest.approx(7 * 4 * 100 * 720 / 32)


def test_recurrent_spikes_are_more_work():
    """200 spikes more to 100 neurons, in each pass; a matrix of 100 × 100 more to update."""
    plain, recurrent = work("feedforward", 100, 2.0), work("recurrent", 100, 2.0)
    for stage in ("forward", "adjoint", "gradient"):
        assert recurrent[stage].read_bytes - plain[stage].read_bytes == 4 * 200 * 100
    assert recurrent["optimiser"].bytes > plain["optimiser"].bytes


@pytest.mark.parametrize("quantity", LAWS)
def test_laws_find_their_own_constants(quantity):
    values = np.array([1.0, 2.0, 4.0, 8.0])
    terms = LAWS[quantity].terms(values)
    times = sum((i + 1) * term for i, term in enumerate(terms))
    # the least squares of exact numbers miss them by rounding
    np.testing.assert_allclose(LAWS[quantity].fit(values, times), times, rtol=1e-9)


@pytest.mark.parametrize("quantity", LAWS)
def test_each_quantity_changes_one_thing(quantity):
    settings = [setting_of(quantity, value) for value in values_of(quantity)]
    changed = {
        name
        for name in vars(settings[0])
        if len({getattr(setting, name) for setting in settings}) > 1
    }
    assert changed <= {quantity.partition(",")[0]}
    assert len(set(settings)) == len(settings)


def test_limits_are_numbers():
    assert 0 < read_limit(100, 64, 1) < np.inf and 0 < vector_peak(1) < np.inf


def unframed(text):
    """An error without the frame that breaks its lines."""
    return " ".join(text.replace("│", " ").split())


def measured(module, path, *arguments):
    result = call("bench", module, "-o", path, *arguments)
    text = path.read_text() if path.exists() else ""
    return result, list(csv.DictReader(text.splitlines()))


def test_roofline_measures_every_stage(tmp_path):
    few = ("--hidden-sizes", "64", "--topologies", "feedforward", "--repetitions", "1")
    result, rows = measured("roofline", tmp_path / "a.csv", *few)
    assert result.returncode == 0, result.stderr
    assert [row["stage"] for row in rows] == list(STAGES)
    for row in rows:
        assert float(row["ms"]) > 0
        if row["stage"] == "input":  # only their time is told
            continue
        ratio = max(
            float(row["gb_s"]) / float(row["limit_gb_s"]),
            float(row["gflop_s"]) / float(row["peak_gflop_s"]),
        )
        assert float(row["share"]) == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("module", "arguments", "said"),
    [
        ("roofline", ("--hidden-sizes", "0"), "1 <= hidden_sizes must hold, but got 0"),
        ("roofline", ("--threads", "0"), "1 <= threads must hold, but got 0"),
        ("roofline", ("--repetitions", "0"), "1 <= repetitions must hold, but got 0"),
        ("scaling", ("--repetitions", "-1"), "1 <= repetitions must hold, but got -1"),
        ("scaling", ("--quantities",), "but got none; choose from these"),
        (
            "speed",
            ("--threads", "0"),
            "1 <= hidden_sizes, threads and batch_sizes must hold, but got 0",
        ),
        ("speed", ("--repetitions", "0"), "1 <= repetitions must hold, but got 0"),
        (
            "speed",
            ("--topologies", "feedforward", "--features", "recurrent-delay"),
            "recurrent-delay needs the recurrent topology",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(module, arguments, said, tmp_path):
    result, rows = measured(module, tmp_path / "a.csv", *arguments)
    assert result.returncode == 2 and said in unframed(result.stderr) and not rows


def test_one_hidden_neuron_has_limits_too(tmp_path):
    few = ("--hidden-sizes", "1", "--topologies", "feedforward", "--repetitions", "1")
    result, rows = measured("roofline", tmp_path / "a.csv", *few)
    assert result.returncode == 0, result.stderr
    assert len(rows) == len(STAGES)


def test_scaling_measures_what_it_is_told(tmp_path):
    told = ("--quantities", "threads", "--repetitions", "1")
    result, rows = measured("scaling", tmp_path / "a.csv", *told)
    assert result.returncode == 0, result.stderr
    assert [float(row["value"]) for row in rows] == list(values_of("threads"))
    result, rows = measured("scaling", tmp_path / "b.csv", "--quantities", "weather")
    assert result.returncode == 2 and "but got weather" in unframed(result.stderr) and not rows


def test_a_dataset_of_noise(tmp_path):
    command = ["bench", "noise", tmp_path / "noise"]
    written = call(*command, "--train", "5", "--test", "3")
    assert written.returncode == 0, written.stderr
    train, test = (load_split(str(tmp_path / "noise"), split) for split in ("train", "test"))
    assert (len(train), len(test), train.name) == (5, 3, "noise")
    assert train.events.counts.tolist() == [8000] * 5  # SHD's mean
    assert (train.n_channels, train.n_classes) == (700, 20)
    assert 0 <= train.events.times_ms.min() and train.events.times_ms.max() <= 1000
    again = call(*command)
    assert again.returncode == 2 and "nothing is overwritten" in unframed(again.stderr)
    refused = call("bench", "noise", tmp_path / "b", "--test", "0")
    assert refused.returncode == 2 and "1 <= test must hold, but got 0" in unframed(refused.stderr)
