"""Kills of training, encoding, evaluating, compiling: a short version of campaign.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parent / "campaign.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kills", "seed", "methods"),
    [
        (3, 1, ["surrogate", "eprop", "eprop-online"]),
        (2, 3, ["stdp", "r-stdp"]),
        (1, 1, ["conversion"]),
    ],
    ids=["gradients", "local", "conversion"],
)
def test_kills_of_other_methods_lose_nothing(kills, seed, methods):
    """Surrogate gradients with adaptive neurons, e-prop with learned feedback, local rules."""
    if "conversion" in methods:
        pytest.importorskip("torch", reason="training a network to convert needs PyTorch")
    words = [sys.executable, CAMPAIGN, "--kills", kills, "--seed", seed, "--cases", *methods]
    result = subprocess.run([*map(str, words)], capture_output=True, text=True)
    assert result.stdout, result.stderr
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["kills"] >= kills and report["problems"] == [], result.stdout


@pytest.mark.slow
def test_twelve_kills_lose_nothing():
    commands = ["train", "encode", "evaluate", "compile", "noise"]
    words = [sys.executable, CAMPAIGN, "--kills", "12", "--seed", "3", "--cases", *commands]
    result = subprocess.run([*map(str, words)], capture_output=True, text=True)
    assert result.stdout, result.stderr
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["kills"] >= 12 and report["problems"] == [], result.stdout
    assert "ended by it" in result.stdout and "→ -9" in result.stdout
