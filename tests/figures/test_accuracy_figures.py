"""Accuracy over sizes, time, words, speakers: figures against files, computed in another way."""

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from helpers import fakes
from helpers.drawn import NOWHERE, PLAIN, bars, rows, runs, summaries

from analysis import (
    accuracy_by_size,
    accuracy_by_time,
    comparison,
    confusion,
    learning_curves,
    loss_curves,
    readout_weight,
    speakers,
)
from analysis.tools.load import read
from analysis.tools.stats import wilson
from shd_genn.network.learned_weight import LearnedWeight
from shd_genn.network.settings import LearnedWeightReadout
from shd_genn.record.checkpoints import read_arrays, write_arrays
from shd_genn.record.run_folder import RunFolder


def test_accuracy_by_size_shows_mean_and_sd_over_seeds(grid, results):
    (ax,) = accuracy_by_size.plot(accuracy_by_size.load(results, PLAIN)).axes
    drawn = bars(ax)
    assert set(drawn) == {"recurrent", "feedforward"}
    for model, (x, y, sd) in drawn.items():
        assert list(x) == [8, 16]
        for hidden, mean, half in zip(x, y, sd, strict=True):
            values = [100 * s["test"]["accuracy"] for s in summaries(grid, model, hidden)]
            assert mean == pytest.approx(statistics.mean(values))
            assert half == pytest.approx(statistics.stdev(values))


def test_published_values_are_shown_on_their_dataset_only(tmp_path):
    fakes.write(tmp_path, dataset="shd")
    fakes.write(tmp_path, dataset="tiny")
    numbers = accuracy_by_size.load(read([tmp_path]), PLAIN)
    figure = accuracy_by_size.plot(numbers)
    told = {ax.get_title(): " ".join(map(str, bars(ax))) for ax in figure.axes}
    assert "Nowotny et al. 2025" in told["shd"] and "Nowotny" not in told["tiny"]
    shd = next(ax for ax in figure.axes if ax.get_title() == "shd")
    (label,) = (name for name in bars(shd) if "2025" in name)
    x, y, sd = bars(shd)[label]
    assert (x[0], y[0], sd[0]) == (512, pytest.approx(93.5), pytest.approx(0.7))


def test_learning_curves_are_means_over_seeds(grid, results):
    figure = learning_curves.plot(learning_curves.load(results, PLAIN))
    ax = next(ax for ax in figure.axes if ax.get_title() == "tiny, recurrent")
    tables = [rows(run, "metrics") for run in runs(grid, "recurrent", 16)]
    for split in ("train", "valid"):
        expected = [
            100
            * statistics.mean(
                float(row["accuracy"])
                for table in tables
                for row in table
                if row["split"] == split and int(row["epoch"]) == epoch
            )
            for epoch in range(1, 4)
        ]
        drawn = [line.get_ydata() for line in ax.get_lines() if len(line.get_ydata()) == 3]
        assert any(np.allclose(values, expected) for values in drawn), split
    marks = [line.get_xydata() for line in ax.get_lines() if line.get_marker() == "o"]
    test = [[2, 100 * right / 30] for right in (22, 23, 24)]
    assert any(np.allclose(sorted(mark.tolist()), test) for mark in marks if len(mark) == 3)


def test_learning_curves_mark_what_is_not_complete(tmp_path):
    fakes.write(tmp_path, seed=0)
    running = fakes.write(tmp_path, seed=1, state="running")
    numbers = learning_curves.load(read([tmp_path]), PLAIN)
    (ax,) = learning_curves.plot(numbers).axes
    assert numbers.n == [1] and "1 not complete" in numbers.notes[0]
    last = rows(running, "metrics")[-1]
    crosses = [line for line in ax.get_lines() if line.get_marker() == "x"]
    ends = [tuple(line.get_xydata()[0]) for line in crosses]
    assert (2, pytest.approx(100 * float(last["accuracy"]))) in ends and len(ends) == 2


def test_accuracy_by_time_adds_up_the_seconds(grid, results):
    points = accuracy_by_time.load(results, PLAIN).points
    mine = points[points["configuration"] == "feedforward 8"].set_index("epoch")
    tables = [rows(run, "metrics") for run in runs(grid, "feedforward", 8)]
    for epoch in range(1, 4):
        seconds = [
            sum(float(r["seconds"]) for r in t if r["split"] != "test" and int(r["epoch"]) <= epoch)
            for t in tables
        ]
        accuracy = [
            float(r["accuracy"])
            for t in tables
            for r in t
            if r["split"] == "valid" and int(r["epoch"]) == epoch
        ]
        assert mine.loc[epoch, "seconds"] == pytest.approx(statistics.mean(seconds))
        assert mine.loc[epoch, "accuracy"] == pytest.approx(statistics.mean(accuracy))
    assert set(points["measured_on"]) == {"validation"} and set(points["n"]) == {3}


def test_accuracy_by_time_says_when_there_is_no_validation(tmp_path):
    fakes.write(tmp_path, valid=False)
    numbers = accuracy_by_time.load(read([tmp_path]), PLAIN)
    assert accuracy_by_time.plot(numbers).axes[0].get_ylabel() == "training accuracy (%)"


def test_confusion_counts_every_trial(grid, results):
    numbers = confusion.load(results, PLAIN)
    ((title, matrix),) = numbers.matrices.items()
    assert title == "tiny, recurrent 16" and list(matrix) == list(fakes.WORDS)
    said = [row for run in runs(grid, "recurrent", 16) for row in rows(run, "predictions")]
    for spoken in fakes.WORDS:
        for heard in fakes.WORDS:
            count = sum(r["word"] == spoken and r["predicted_word"] == heard for r in said)
            assert matrix.loc[spoken, heard] == count
    assert matrix.to_numpy().sum() == 90
    drawn = confusion.plot(numbers).axes[0].collections[0].get_array()
    assert np.allclose(np.asarray(drawn).reshape(3, 3).sum(axis=1), 100)


def test_speakers_heard_and_not_heard(grid, results):
    table = speakers.load(results, PLAIN).speakers.set_index("speaker")
    by_run = [rows(run, "predictions") for run in runs(grid, "recurrent", 16)]
    for name in fakes.SPEAKERS:
        accuracy = [
            statistics.mean(r["correct"] == "True" for r in said if r["speaker"] == name)
            for said in by_run
        ]
        told = table.loc[name]
        assert told["mean"] == pytest.approx(statistics.mean(accuracy))
        assert told["high"] - told["mean"] == pytest.approx(statistics.stdev(accuracy))
        assert (told["seen"], told["trials"], told["n"]) == (name == "anna", 15, 3)


def test_a_single_run_has_wilsons_interval(tmp_path):
    run = fakes.write(tmp_path)
    results = read([tmp_path])
    told = speakers.load(results, PLAIN).speakers.set_index("speaker").loc["ben"]
    right = [r["correct"] == "True" for r in rows(run, "predictions") if r["speaker"] == "ben"]
    assert (told["low"], told["high"]) == wilson(sum(right), len(right))
    (run / "predictions.csv").unlink()
    results = read([tmp_path])
    row = comparison.load(results, PLAIN).rows.iloc[0]
    assert (row["low"], row["high"]) == pytest.approx(wilson(20, 30))
    assert math.isnan(row["sd"])


def test_epochs_to_an_accuracy_are_first_ones_with_student_intervals(tmp_path):
    accuracies = {0: (0.3, 0.55, 0.52, 0.81), 1: (0.6, 0.7, 0.85, 0.7), 2: (0.2, 0.3, 0.55, 0.6)}
    for seed, values in accuracies.items():
        folder = RunFolder(fakes.write(tmp_path, seed=seed, epochs=4))
        table = [
            replace(row, accuracy=values[row.epoch - 1]) if row.split == "valid" else row
            for row in folder.epochs
        ]
        folder.write_epochs(table)
    numbers = loss_curves.load(read([tmp_path]), loss_curves.Options((), NOWHERE))
    table = numbers.table.set_index("reach")
    half = 4.302653 * 1 / math.sqrt(3)  # Student's t with 2 degrees, epochs 2, 1, 3
    expected = {"n": 3, "reached": 3, "mean": 2, "low": 2 - half, "high": 2 + half}
    for name, value in expected.items():
        assert table.loc[50.0, name] == pytest.approx(value, rel=1e-6)
    half = 12.706205 * 0.5  # epochs 4 and 3; the third run never gets there
    assert table.loc[80.0, "reached"] == 2 and table.loc[80.0, "mean"] == 3.5
    assert table.loc[80.0, "high"] == pytest.approx(3.5 + half, rel=1e-6)
    assert table.loc[90.0, "reached"] == 0 and math.isnan(table.loc[90.0, "mean"])
    above, below = loss_curves.plot(numbers).axes
    (mean,) = (line for line in above.get_lines() if line.get_linestyle() == "-")
    expected = [100 * statistics.mean(v[i] for v in accuracies.values()) for i in range(4)]
    assert mean.get_ydata() == pytest.approx(expected)
    assert [text.get_text() for text in below.texts] == ["3/3", "2/3", "0/3"]


def test_a_readouts_weight_is_drawn_as_it_was_learned(tmp_path):
    learned = LearnedWeight(knots=6, per_class=True)
    settings = LearnedWeightReadout(weight_knots=6, weight_per_class=True)
    folder = RunFolder(fakes.write(tmp_path))
    config = folder.config
    folder.write_config(replace(config, model=replace(config.model, readout=settings)))
    theta = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    arrays = read_arrays(folder.checkpoint("best"))
    write_arrays(folder.checkpoint("best"), arrays | {"parameter_output.readout_weight": theta})
    fakes.write(tmp_path, seed=1)  # read by exp(-s)
    numbers = readout_weight.load(read([tmp_path]), readout_weight.Options((), NOWHERE))
    by_curves = {len(curve.weights): curve for curve in numbers.curves}
    np.testing.assert_allclose(by_curves[3].weights, learned.weights(theta, 1001), rtol=1e-5)
    start = learned.weights(learned.initial(3), 1001)[0]
    np.testing.assert_allclose(by_curves[3].start, start, rtol=1e-5)
    np.testing.assert_allclose(by_curves[1].weights[0], start, atol=2e-3)  # exp(-s), over its mean
    (ax,) = readout_weight.plot(numbers).axes
    drawn = [line.get_ydata() for line in ax.get_lines()]
    assert any(np.allclose(y, by_curves[3].weights.mean(axis=0)) for y in drawn)
