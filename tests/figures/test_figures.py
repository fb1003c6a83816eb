"""Numbers in figures against numbers computed from the files in another way."""

import csv
import json
import math
import statistics
from pathlib import Path

import fakes
import matplotlib as mpl
import numpy as np
import pytest

from analysis import (
    ablation,
    accuracy_by_size,
    accuracy_by_spikes,
    accuracy_by_time,
    comparison,
    confusion,
    epoch_time,
    learning_curves,
    memory,
    parameters,
    peers,
    roofline,
    scaling,
    script,
    silent_neurons,
    speakers,
    spike_counts,
    study_progress,
    style,
)
from analysis.load import read
from analysis.stats import wilson
from shd_genn.errors import ConfigError, DataError
from shd_genn.record import write_table

NOWHERE = Path("nowhere.pdf")
PLAIN = script.Options((), NOWHERE)


def rows(folder, name):
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def runs(grid, model, hidden):
    return sorted(grid.glob(f"tiny_{model}-{hidden}_*"))


def summaries(grid, model, hidden):
    return [json.loads((run / "summary.json").read_text()) for run in runs(grid, model, hidden)]


def lines(ax):
    """Label → line, of what has been drawn with one."""
    return {line.get_label(): line for line in ax.get_lines()}


def bars(ax):
    """Label → (x, y, half lengths of the vertical error bars)."""
    found = {}
    for bar in ax.containers:
        line, _, (segments,) = bar
        ends = [segment[:, 1] for segment in segments.get_segments()]
        found[bar.get_label()] = (*line.get_data(), [np.ptp(pair) / 2 for pair in ends])
    return found


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
            for epoch in range(3)
        ]
        drawn = [line.get_ydata() for line in ax.get_lines() if len(line.get_ydata()) == 3]
        assert any(np.allclose(values, expected) for values in drawn), split
    marks = [line.get_xydata() for line in ax.get_lines() if line.get_marker() == "o"]
    test = [[1, 100 * right / 30] for right in (22, 23, 24)]
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
    assert (1, pytest.approx(100 * float(last["accuracy"]))) in ends and len(ends) == 2


def test_accuracy_by_time_adds_up_the_seconds(grid, results):
    points = accuracy_by_time.load(results, PLAIN).points
    mine = points[points["configuration"] == "feedforward 8"].set_index("epoch")
    tables = [rows(run, "metrics") for run in runs(grid, "feedforward", 8)]
    for epoch in range(3):
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
    assert set(points["judged_by"]) == {"validation"} and set(points["n"]) == {3}


def test_accuracy_by_time_says_when_there_is_no_validation(tmp_path):
    fakes.write(tmp_path, valid=False)
    numbers = accuracy_by_time.load(read([tmp_path]), PLAIN)
    assert accuracy_by_time.plot(numbers).axes[0].get_ylabel() == "training accuracy (%)"


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


def test_weights_of_older_checkpoints_and_delays_are_told_apart():
    arrays = {"weights_input_a": np.zeros((2, 3)), "weights_a_b_out": np.zeros((3, 4))}
    spikes = {"input": 10.0, "a": 1.0, "a_b": 100.0}
    # a_b_out comes from a_b, the longer name that fits
    assert accuracy_by_spikes.operations(spikes, arrays) == 10 * 3 + 100 * 4
    delays = {"parameter_input_a": np.zeros((2, 3)), "parameter_input_a.delay": np.zeros((2, 3))}
    assert accuracy_by_spikes.operations(spikes, delays) == 30


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
    for epoch in range(3):
        silent = [
            int(r["silent_neurons"]) / 8
            for t in tables
            for r in t
            if r["split"] == "train" and int(r["epoch"]) == epoch
        ]
        told = mine.loc[epoch]
        assert told["mean"] == pytest.approx(statistics.mean(silent))
        assert (told["min"], told["max"], told["n"]) == (min(silent), max(silent), 3)


def test_a_comparison_is_drawn_as_measured_and_names_what_was_not(tmp_path):
    compared = fakes.comparison(tmp_path / "compare.csv")
    results = read([compared])
    assert results.bench.empty
    figure = peers.plot(peers.load(results, PLAIN))
    times, memory_used = figure.axes
    assert [label.get_text() for label in times.get_yticklabels()] == ["native", "jax"]
    drawn = {dots.get_label(): dots.get_offsets() for dots in times.collections}
    np.testing.assert_allclose(drawn["256 hidden"], [[0.3, 0], [15, 1]])
    assert [text.get_text() for text in times.texts] == ["50×"]
    np.testing.assert_allclose(memory_used.collections[0].get_offsets(), [[8, 0], [900, 1]])
    note = " ".join(figure._supxlabel.get_text().split())
    assert "jax, 1000 steps, 1024 hidden: over 60 s" in note and "9.0 to 9.2 hidden" in note
    with pytest.raises(DataError, match=r"a table of python -m shd_genn\.compare must be given"):
        peers.load(epoch_time_only(tmp_path), PLAIN)


def epoch_time_only(folder):
    bench = folder / "bench.csv"
    bench.write_text("hidden,topology,shd_epoch_s\n256,recurrent,5\n")
    return read([bench])


def test_roofline_and_scaling(tmp_path):
    tables = fakes.roofline(tmp_path / "a.csv"), fakes.scaling(tmp_path / "b.csv")
    results = read(tables)
    rows = roofline.load(results, PLAIN)
    assert rows["intensity"].tolist() == [0.5, 0.5]
    assert rows["roof"].tolist() == [60, 55]  # the vector units', the cache's
    labels = lines(roofline.plot(rows).axes[0])
    assert {"forward", "adjoint", "64 hidden", "peak of vector units"} <= set(labels)
    drawn = lines(scaling.plot(scaling.load(results, PLAIN)).axes[0])
    assert drawn["measured"].get_xydata().tolist() == [[1, 2], [2, 4]]
    assert drawn["law"].get_xydata().tolist() == [[1, 2.1], [2, 3.9]]
    for figure in (roofline, scaling):
        with pytest.raises(DataError, match="must be given"):
            figure.load(epoch_time_only(tmp_path), PLAIN)


def test_time_and_memory_of_runs_and_benchmarks(grid, tmp_path):
    bench = tmp_path / "bench.csv"
    bench.write_text(
        "backend,device,topology,hidden,threads,shd_epoch_s,memory_growth_mb,gpu_memory_mb,cpu\n"
        "native,CPU,recurrent,256,1,5.0,9,nan,Some CPU\n"
        "native,CPU,recurrent,256,1,4.5,8,nan,Some CPU\n"
        "native,CPU,recurrent,256,2,2.5,9,nan,Some CPU\n"
        "genn,Some GPU,recurrent,256,1,7.8,1,342,Some CPU\n"
        "other,CPU,recurrent,256,1,nan,nan,nan,Some CPU\n"
    )
    results = read([grid, bench])
    points = epoch_time.load(results, PLAIN).points.set_index(["panel", "device", "hidden"])
    measured = points.loc[epoch_time.BENCH]
    assert measured.loc[("native, Some CPU, 1 thread", 256), "mean"] == 4.5
    assert measured.loc[("native, Some CPU, 2 threads", 256), "mean"] == 2.5
    assert measured.loc[("genn, Some GPU, 1 thread", 256), "mean"] == 7.8
    assert len(measured) == 3
    mine = points.loc[("tiny", "native, Some CPU, 2 threads", 8)]
    seconds = [s["seconds_per_epoch"] for s in summaries(grid, "recurrent", 8)]
    told = mine[mine["topology"] == "recurrent"].iloc[0]
    assert told["mean"] == pytest.approx(statistics.mean(seconds))
    assert (told["low"], told["high"], told["n"]) == (min(seconds), max(seconds), 3)
    figure = epoch_time.plot(epoch_time.load(results, PLAIN))
    crosses = lines(figure.axes[-1])["GeNN on a data-centre GPU, published"]
    assert crosses.get_xydata().tolist() == [[256, 7.77], [1024, 18.88]]
    held = memory.load(results, PLAIN).points.set_index(["panel", "topology", "hidden"])
    assert held.loc[("tiny", "recurrent", 16), "mean"] == 316
    held = held.loc[epoch_time.BENCH].set_index("device")["mean"]
    assert held.to_dict() == {
        "native, Some CPU, 1 thread": 8,
        "native, Some CPU, 2 threads": 9,
        "genn, Some GPU, 1 thread": 342,
    }
    assert memory.plot(memory.load(results, PLAIN)).axes[0].get_ylim()[0] == 0


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


def test_runs_without_spikes_are_counted_where_they_cannot_be_shown(tmp_path):
    fakes.write(tmp_path, seed=0)
    silent = fakes.write(tmp_path, seed=1)
    text = [{**row, "spikes_hidden0": 0} for row in rows(silent, "predictions")]
    write_table(silent / "predictions.csv", text)
    numbers = accuracy_by_spikes.load(read([tmp_path]), PLAIN)
    assert len(numbers.points) == 1 and numbers.notes[-1].endswith("not shown: 1")


def test_figures_need_what_they_show(tmp_path):
    fakes.write(tmp_path, state="running", epochs=1)
    results = read([tmp_path])
    for module in (accuracy_by_size, confusion, speakers, spike_counts, comparison):
        with pytest.raises(DataError, match="judged on a test set"):
            module.load(results, PLAIN)
    with pytest.raises(DataError, match="a study"):
        study_progress.load(results, study_progress.Options((), NOWHERE))
    with pytest.raises(DataError, match="complete run"):
        accuracy_by_time.load(results, PLAIN)
    with pytest.raises(DataError, match="benchmark"):
        memory.load(results, PLAIN)


def test_parameters_need_a_checkpoint(tmp_path):
    run = fakes.write(tmp_path)
    (run / "best.npz").write_bytes(b"PK\x03\x04")
    results = read([tmp_path])
    with pytest.raises(DataError, match=r"usable best\.npz"):
        parameters.load(results, parameters.Options((), NOWHERE))


def test_the_style_leaves_nothing_behind():
    before = dict(mpl.rcParams)
    with style.applied():
        assert mpl.rcParams["font.size"] == 8
    assert dict(mpl.rcParams) == before


def test_a_legend_that_would_leave_no_room_is_refused():
    figure = style.figure(2)
    ax = figure.subplots()
    for i in range(style.MOST_NAMES + 1):
        ax.plot([0], [0], label=str(i))
    with pytest.raises(DataError, match="at most 30 different configurations"):
        style.legend(figure)


def test_every_palette_tells_its_lines_apart():
    assert len(set(style.colours(map(str, range(20))).values())) == 20
    names = ["feedforward", "recurrent", *"abcdef"]
    assert len(set(style.colours(names).values())) == 8
    assert style.colours(["feedforward"]) == {"feedforward": style.COLOURS[1]}
