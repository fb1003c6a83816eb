"""Spikes and silent neurons: figures against the files, computed in another way."""

import statistics

import numpy as np
import pytest
from helpers import fakes
from helpers.drawn import PLAIN, rows, runs

from analysis import (
    accuracy_by_bits,
    accuracy_by_spikes,
    accuracy_by_step,
    silent_neurons,
    spike_counts,
)
from analysis.tools.load import read
from shd_genn.record.rows import write_table
from shd_genn.support.errors import DataError


@pytest.mark.parametrize("model", ["recurrent", "feedforward"])
def test_synaptic_operations_are_spikes_times_targets(grid, results, model):
    points = accuracy_by_spikes.load(results, PLAIN).points.set_index("run")
    run = runs(grid, model, 16)[0]
    said = rows(run, "predictions")
    inputs = statistics.mean(float(row["input_spikes"]) for row in said)
    hidden = statistics.mean(float(row["spikes_hidden0"]) for row in said)
    targets = len(fakes.WORDS) + (16 if model == "recurrent" else 0)
    assert points.loc[run.name, "hidden_spikes"] == pytest.approx(hidden)
    assert points.loc[run.name, "operations"] == pytest.approx(inputs * 16 + hidden * targets)


def test_runs_without_spikes_are_counted_where_they_cannot_be_shown(tmp_path):
    fakes.write(tmp_path, seed=0)
    silent = fakes.write(tmp_path, seed=1)
    text = [{**row, "spikes_hidden0": 0} for row in rows(silent, "predictions")]
    write_table(silent / "predictions.csv", text)
    numbers = accuracy_by_spikes.load(read([tmp_path]), PLAIN)
    assert len(numbers.points) == 1 and numbers.notes[-1].endswith("not shown: 1")


def test_spike_counts_by_neuron_and_word(grid, results):
    numbers = spike_counts.load(results, PLAIN)
    assert numbers.titles == {"tiny": "tiny, recurrent 16"} and numbers.n == [3]
    counts = []
    for run in runs(grid, "recurrent", 16):
        with np.load(run / "spike_counts.npz") as arrays:
            counts.append(arrays["hidden0"])
    assert sorted(numbers.neurons["spikes"]) == pytest.approx(
        sorted(np.concatenate([c.mean(axis=0) for c in counts]))
    )
    words = numbers.words.set_index("word")
    assert list(words.index) == list(fakes.WORDS)
    of_one = np.concatenate([c[1::3].mean(axis=1) for c in counts])
    for quantile in spike_counts.QUANTILES:
        assert words.loc["one", quantile] == pytest.approx(np.quantile(of_one, quantile))


def test_silent_neurons_are_parts_of_all(grid, results):
    curves = silent_neurons.load(results, PLAIN).curves
    mine = curves[(curves["line"] == "recurrent") & (curves["hidden"] == 8)].set_index("epoch")
    tables = [rows(run, "metrics") for run in runs(grid, "recurrent", 8)]
    for epoch in range(1, 4):
        silent = [
            int(r["silent_neurons"]) / 8
            for t in tables
            for r in t
            if r["split"] == "train" and int(r["epoch"]) == epoch
        ]
        told = mine.loc[epoch]
        assert told["mean"] == pytest.approx(statistics.mean(silent))
        assert (told["min"], told["max"], told["n"]) == (min(silent), max(silent), 3)


def test_accuracy_by_bits_shows_what_the_report_has_written(tmp_path):
    run = fakes.write(tmp_path)
    with pytest.raises(DataError, match="no run has a file export/bits"):
        accuracy_by_bits.load(read([tmp_path]), PLAIN)
    fakes.bits(run)
    bits, flash, operations = accuracy_by_bits.plot(
        accuracy_by_bits.load(read([tmp_path]), PLAIN)
    ).axes
    drawn = {
        kind: sorted(zip(one.get_xdata(), one.get_ydata(), strict=True))
        for one in bits.lines
        if (kind := one.get_linestyle()) in "-:" and len(one.get_xdata())
    }
    assert drawn == {":": [(4, 70), (8, 88), (32, 90)], "-": [(4, 86), (32, 90)]}
    filled = [one for one in flash.lines if one.get_mfc() != "none" and len(one.get_xdata()) == 1]
    assert [float(one.get_ydata()[0]) for one in filled] == [86]
    assert {x for one in operations.lines for x in one.get_xdata()} == {150_000}
    (run / "export" / "bits.csv").write_text("bits\n4\n")
    with pytest.raises(DataError, match="no run has a file"):
        accuracy_by_bits.load(read([tmp_path]), PLAIN)


def test_accuracy_by_step_shows_what_the_report_has_written(tmp_path):
    run = fakes.write(tmp_path)
    with pytest.raises(DataError, match="no run has a file export/steps"):
        accuracy_by_step.load(read([tmp_path]), PLAIN)
    fakes.steps(run)
    exact, steps = accuracy_by_step.plot(accuracy_by_step.load(read([tmp_path]), PLAIN)).axes

    def drawn(ax):
        return {
            kind: list(zip(one.get_xdata(), one.get_ydata(), strict=True))
            for one in ax.lines
            if (kind := one.get_linestyle()) in "-:" and len(one.get_xdata())
        }

    assert drawn(exact) == {":": [(0, 30)], "-": [(0, 70)]}
    assert drawn(steps) == {":": [(0.5, 80), (1.0, 90)], "-": [(1.0, 85)]}
