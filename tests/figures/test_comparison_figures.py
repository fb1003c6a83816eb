"""Configurations and datasets beside each other, as figures and as tables."""

import statistics

import numpy as np
import pytest
from helpers import fakes
from helpers.drawn import NOWHERE, PLAIN

from analysis import (
    ablation,
    accuracy_by_size,
    accuracy_by_time,
    comparison,
    confusion,
    costs,
    memory,
    methods,
    parameters,
    speakers,
    spike_counts,
    study_progress,
)
from analysis.tools import script
from analysis.tools.load import read
from shd_genn.support.errors import ConfigError, DataError


def test_comparison_as_figure_and_table(grid, results):
    numbers = comparison.load(results, PLAIN)
    assert numbers.rows["configuration"].tolist() == [
        "recurrent 16",
        "recurrent 8",
        "feedforward 16",
        "feedforward 8",
    ]
    text = comparison.table(numbers)
    values = [100 * right / 30 for right in (22, 23, 24)]
    cell = rf"{statistics.mean(values):.1f} $\pm$ {statistics.stdev(values):.1f}"
    line = next(line for line in text.splitlines() if "recurrent 16" in line)
    assert line.split(" & ")[:4] == ["tiny", "recurrent 16", "3", cell]
    assert text.count(r"\\") == 5 and r"\toprule" in text and r"accuracy (\%)" in text


def test_ablation_compares_with_the_best_by_validation(grid, results):
    numbers = ablation.load(results, ablation.Options((), NOWHERE))
    assert numbers.baselines == {"tiny": "recurrent 16: 76.7 ± 3.3 (n = 3)"}
    changed = numbers.rows.set_index("configuration")
    assert changed["change"].to_dict() == {
        "recurrent 8": "hidden sizes 16 → 8",
        "feedforward 16": "recurrent → feedforward, learning rate 0.002 → 0.001",
        "feedforward 8": "recurrent → feedforward, hidden sizes 16 → 8, "
        "learning rate 0.002 → 0.001",
    }
    assert changed.loc["feedforward 8", "difference"] == pytest.approx(-11 / 30)
    assert len(numbers.pairs) == 9
    named = ablation.Options((), NOWHERE, baseline="feedforward 8")
    other = ablation.load(results, named).rows.set_index("configuration")
    assert other.loc["recurrent 16", "difference"] == pytest.approx(11 / 30)
    assert r"$-$36.7" in ablation.table(numbers)
    with pytest.raises(ConfigError, match=r"baseline in feedforward 16, .* must hold"):
        ablation.load(results, ablation.Options((), NOWHERE, baseline="LSTM"))


def test_ablation_needs_two_configurations_of_one_dataset(tmp_path):
    fakes.write(tmp_path, dataset="tiny", hidden=8)
    fakes.write(tmp_path, dataset="other", hidden=16)
    with pytest.raises(DataError, match="two configurations of one dataset"):
        ablation.load(read([tmp_path]), ablation.Options((), NOWHERE))


def test_datasets_are_drawn_apart(tmp_path):
    for dataset in ("tiny", "other"):
        for hidden in (8, 16):
            fakes.write(tmp_path, dataset=dataset, hidden=hidden)
    results = read([tmp_path])
    for module in (accuracy_by_size, accuracy_by_time, comparison):
        figure = module.plot(module.load(results, PLAIN))
        assert [ax.get_title() for ax in figure.axes] == ["other", "tiny"]
    assert len(ablation.load(results, ablation.Options((), NOWHERE)).baselines) == 2


def test_figures_need_what_they_show(tmp_path):
    fakes.write(tmp_path, state="running", epochs=1)
    results = read([tmp_path])
    for module in (accuracy_by_size, confusion, speakers, spike_counts, comparison):
        with pytest.raises(DataError, match="tested on a test set"):
            module.load(results, PLAIN)
    with pytest.raises(DataError, match="no study"):
        study_progress.load(results, script.StudyOptions((), NOWHERE))
    with pytest.raises(DataError, match="complete"):
        accuracy_by_time.load(results, PLAIN)
    with pytest.raises(DataError, match="benchmark"):
        memory.load(results, PLAIN)


def test_parameters_need_a_checkpoint(tmp_path):
    run = fakes.write(tmp_path)
    (run / "best.npz").write_bytes(b"PK\x03\x04")
    results = read([tmp_path])
    with pytest.raises(DataError, match=r"usable best\.npz"):
        parameters.load(results, parameters.Options((), NOWHERE))


def test_methods_as_figure_and_table(grid, results):
    numbers = methods.load(results, PLAIN)
    (row,) = numbers.rows.itertuples()
    assert (row.dataset, row.method, row.n) == ("tiny", "eventprop", 12)
    assert row.training_operations == pytest.approx(2.5 * row.operations)
    assert "runs also differ in" in numbers.notes[0] and "hidden_sizes" in numbers.notes[0]
    assert "& eventprop & 12 &" in methods.table(numbers)
    results.runs = results.runs.drop(columns="training_operations")
    with pytest.raises(DataError, match="no run has the operations of its training; train one"):
        methods.load(results, PLAIN)


def test_costs_as_figure_and_table(grid, results):
    numbers = costs.load(results, PLAIN)
    rows = numbers.rows
    assert len(rows) == 12
    sizes = rows["hidden"].astype(int)
    np.testing.assert_allclose(rows["kilobytes"], 0.4 * sizes)
    np.testing.assert_allclose(rows["updates"], 50 * sizes)
    np.testing.assert_allclose(rows["nanojoules"], 0.9e-3 * rows["operations"])
    assert rows["measured"].isna().all()
    text = costs.table(numbers)
    assert "& 95.0 & 25.0 &" in text and "& nan" not in text
    axes = costs.plot(numbers).axes
    for ax, x in zip(axes, ("kilobytes", "nanojoules", "updates"), strict=True):
        drawn = {float(one.get_xdata()[0]) for one in ax.lines if len(one.get_xdata()) == 1}
        assert drawn == set(rows[x])
    test = results.epochs["split"] == "test"
    results.epochs.loc[test, ["cpu_joules", "gpu_joules"]] = [45.0, 15.0]
    assert costs.load(results, PLAIN).rows["measured"].tolist() == [2.0] * 12
    results.runs = results.runs.drop(columns="test_footprint_bytes")
    with pytest.raises(DataError, match="no run has the costs of its test; train one anew"):
        costs.load(results, PLAIN)


def test_variants_of_a_method_are_rows_of_their_own(results):
    runs = results.tested()
    results.runs = runs.assign(
        method="stdp", window="trace", control=np.where(np.arange(len(runs)) % 2, "frozen", "none")
    )
    rows = methods.load(results, PLAIN).rows
    assert sorted(rows["method"]) == ["stdp", "stdp (frozen)"] and rows["n"].sum() == len(runs)
    results.runs = runs.assign(neuron=np.where(np.arange(len(runs)) % 2, "alif", "lif"), updates=8)
    numbers = methods.load(results, PLAIN)
    assert sorted(numbers.rows["method"]) == ["eventprop", "eventprop (alif)"]
    assert "neuron" not in numbers.notes[0]
    assert methods.table(numbers).count("& 8 &") == 2
