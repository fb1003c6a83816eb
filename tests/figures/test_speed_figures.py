"""Time, memory and the limits of the machine: figures against the tables that they show."""

import statistics
import tomllib

import numpy as np
import pytest
from helpers import fakes
from helpers.drawn import PLAIN, lines, summaries

from analysis import epoch_time, memory, memory_by_steps, peers, roofline, scaling
from analysis.tools import by_size
from analysis.tools.load import read
from shd_genn.support.errors import DataError


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
    measured = points.loc[by_size.BENCH]
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
    held = held.loc[by_size.BENCH].set_index("device")["mean"]
    assert held.to_dict() == {
        "native, Some CPU, 1 thread": 8,
        "native, Some CPU, 2 threads": 9,
        "genn, Some GPU, 1 thread": 342,
    }
    assert memory.plot(memory.load(results, PLAIN)).axes[0].get_ylim()[0] == 0


def test_memory_against_the_length_of_a_trial(grid, tmp_path):
    points = memory_by_steps.load(read([grid]), PLAIN).points
    config = tomllib.loads((next(grid.iterdir()) / "config.toml").read_text())
    steps = round(config["data"]["trial_ms"] / config["dt_ms"])
    assert set(points["steps"]) == {steps} and set(points["method"]) == {"eventprop"}
    mine = points.set_index("panel").loc["tiny, 16 hidden, batch 32"]
    assert (mine["mean"], mine["low"], mine["high"]) == (316, 316, 316)
    figure = memory_by_steps.plot(memory_by_steps.Numbers(points))
    assert [ax.get_ylim()[0] for ax in figure.axes] == [0] * len(figure.axes)
    with pytest.raises(DataError, match="no complete run that has its peak memory"):
        memory_by_steps.load(epoch_time_only(tmp_path), PLAIN)


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
    with pytest.raises(DataError, match=r"no table of python -m shd_genn\.bench peers"):
        peers.load(epoch_time_only(tmp_path), PLAIN)
    text = compared.read_text()
    sparse = tmp_path / "sparse.csv"
    sparse.write_text(text.replace("2,9,0.3", "2,5,0.3"))  # another activity is another setting
    assert len(peers.load(read([sparse]), PLAIN)) == len(peers.load(results, PLAIN)) + 1
    failed = tmp_path / "failed.csv"
    failed.write_text("\n".join([text.splitlines()[0], text.splitlines()[-1], ""]))
    with pytest.raises(DataError, match="no row of the table was measured"):
        peers.load(read([failed]), PLAIN)


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
        with pytest.raises(DataError, match="give one"):
            figure.load(epoch_time_only(tmp_path), PLAIN)
