"""`python -m shd_genn.bench gpu`, on the emulated GPU, from end to end."""

import json
import sys
from dataclasses import replace

import pytest
from helpers import emulation

from shd_genn.bench.gpu import beside, cases, command, measure
from shd_genn.support.errors import ConfigError

NAME = "recurrent, avg_var_exp_weight"
STAGES = tuple(stage for stage in measure.STAGES if stage not in ("conformance", "genn_tests"))
LAB = measure.Lab(
    compile=emulation.compile,
    hidden=(16,),
    batch_sizes=(2, 4),
    repetitions=2,
    n_steps=60,
    epoch_samples=9,
    learned_samples=64,
    neurons=("alif",),
    cases={NAME: cases.CASES[NAME]},
    capabilities=(90,),
)


def test_everything_is_proved_and_measured(tmp_path):
    lines = []
    results = command.run(LAB, tmp_path, 3600, STAGES, lines.append)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert results["digests"][0]["as emulated"] and results["digests"][0]["repeats"]
    sizes = [(row["network"], row["hidden"], row["batch"]) for row in results["speed"]]
    assert sizes == [("recurrent", 16, 2), ("recurrent", 16, 4), ("feedforward", 16, 2)]
    assert [row["network"] for row in results["neurons"]] == ["alif"]
    for row in results["speed"] + results["neurons"]:
        assert row["train ms"] > 0 and row["kernels ms"] > 0 and row["inference ms"] > 0
    assert results["epochs"][0]["samples"] == 9 and results["epochs"][0]["epoch s"] > 0
    trained = {row["backend"]: row for row in results["trained"]}
    for name in ("native", "cuda"):
        assert trained[name]["last epoch's loss"] < trained[name]["first epoch's loss"]
    assert trained["cuda"]["answers as native's"] > 0.9
    table = (tmp_path / "results.md").read_text()
    assert "## speed" in table and "| recurrent | 16 | 2 |" in table
    assert len(lines) == sum(map(len, results.values()))


def test_a_wrong_bit_is_named(tmp_path):
    """Another network under a recorded name: its spikes are others."""
    lab = replace(LAB, cases={NAME: replace(cases.CASES[NAME], dt_ms=0.9)})
    (row,) = command.run(lab, tmp_path, 600, ("digests",), lambda line: None)["digests"]
    assert not row["as emulated"] and row["first that differs"] == "readout 0" and row["repeats"]
    assert "| as emulated | NO |" in (tmp_path / "results.md").read_text()


def test_a_stage_that_fails_leaves_the_others(tmp_path, monkeypatch):
    def fails(lab):
        yield {"done": 1}
        raise RuntimeError("the GPU is lost")

    monkeypatch.setitem(measure.STAGES, "speed", fails)
    results = command.run(LAB, tmp_path, 600, ("speed", "where"), lambda line: None)
    assert results["speed"][0]["done"] == 1
    assert results["speed"][1] == {"result": "failed: RuntimeError: the GPU is lost"}
    assert "cpu" in results["where"][0]


def test_no_row_is_begun_when_time_is_over(tmp_path):
    results = command.run(LAB, tmp_path, 0, ("where", "digests"), lambda line: None)
    assert results == {
        stage: [{"result": "left out: 0 s were over"}] for stage in ("where", "digests")
    }
    assert "left out" in (tmp_path / "results.md").read_text()


VERBOSE = """
test_a.py::test_one PASSED                 [ 25%]
[gw0] [ 50%] PASSED test_a.py::test_two
[gw1] [ 75%] FAILED test_a.py::test_three
test_a.py::test_four SKIPPED (no GPU)      [100%]
FAILED test_a.py::test_three - AssertionError: 1 == 2
"""


@pytest.mark.parametrize("ends", [True, False])
def test_what_passed_is_counted_though_the_time_is_over(ends, tmp_path):
    program = f"import time; print({VERBOSE!r}, flush=True); time.sleep({0 if ends else 60})"
    row = beside.tests_passed([sys.executable, "-c", program], tmp_path, 60 if ends else 2)
    counts = [row[key] for key in ("passed", "failed", "skipped", "error")]
    assert counts == [2, 1, 1, 0] and len(row["failures"]) == 1
    assert row["result"].startswith("left out: the rest, after 2 s") is not ends


def test_unknown_stages_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no stages warp; choose some of where, built"):
        command.Options(tmp_path, stages=("warp",))
