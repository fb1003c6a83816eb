"""Random bytes to everything that reads: a short version of campaign.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import fuzzing
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore")  # of NumPy and Optuna, about what is damaged
SHORT = ("toml", "csv", "tables", "summary", "environment", "checkpoints", "engine")
CAMPAIGN = Path(__file__).parent / "campaign.py"


@pytest.mark.parametrize("name", SHORT)
def test_changed_bytes_are_read_or_refused_in_words(name, tmp_path):
    @settings(max_examples=60, database=None)
    @given(st.data())
    def reads(data):
        files = fuzzing.seeds(name)
        content = files[data.draw(st.integers(0, len(files) - 1))]
        changed = fuzzing.mutate(content, lambda n: data.draw(st.integers(0, n - 1)), files)
        fuzzing.TARGETS[name].accepts(changed, tmp_path / "file")

    reads()


@pytest.mark.parametrize("name", fuzzing.TARGETS)
def test_what_is_unchanged_is_read(name, tmp_path):
    """Else every change would be refused for a reason that has nothing to do with it."""
    assert any(
        fuzzing.TARGETS[name].accepts(content, tmp_path / "file") for content in fuzzing.seeds(name)
    )


@pytest.mark.parametrize("name", ["hdf5", "audio"])
def test_libraries_in_c_do_not_crash(name, tmp_path):
    """In children, as a crash of HDF5 or libsndfile would end these tests."""
    words = [sys.executable, CAMPAIGN, name, "--executions", "150", "--findings", tmp_path]
    result = subprocess.run([*map(str, words)], capture_output=True, text=True)
    assert json.loads(result.stdout.splitlines()[-1])["found"] == 0, result.stdout


def test_a_finding_is_reported(tmp_path):
    """The campaign sees a crash; the file of it can be read again."""
    script = f"""
import os, sys
sys.path[:0] = [{str(CAMPAIGN.parent)!r}]
import campaign
from helpers import fuzzing
def crash(content, path):
    if len(content) % 2: os.abort()
    if len(content) % 3: raise ValueError("not ours")
fuzzing.TARGETS["csv"] = fuzzing.Target(fuzzing.TARGETS["csv"].seeds, crash)
print(campaign.campaign("csv", 8, 0, campaign.Path({str(tmp_path)!r})))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "'executions': 8" in result.stdout, result.stderr
    assert "status 6" in result.stdout and "ValueError: not ours" in result.stdout
    assert len(list(tmp_path.iterdir())) == result.stdout.count("status") >= 4
