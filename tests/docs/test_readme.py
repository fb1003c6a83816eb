"""Every command of the README runs as it is written.

Blocks 1 and 2, which set up, are run by the gate; the others here, in one folder one after the
other, on small datasets of the names that they use, for one epoch.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(
    r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
)
COMMANDS = [line for block in BLOCKS[2:] for line in block.strip().splitlines()]

FAKE_TONIC = '''
from pathlib import Path
import h5py, numpy as np

class SHD:
    """Writes a file as large as SHD's in samples, with three spikes each."""

    def __init__(self, save_to, train=True, **_):
        n = 8156 if train else 2264
        folder = Path(save_to) / "SHD"
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / f"shd_{'train' if train else 'test'}.h5", "w") as file:
            times = file.create_dataset("spikes/times", (n,), h5py.vlen_dtype(np.float16))
            units = file.create_dataset("spikes/units", (n,), h5py.vlen_dtype(np.uint16))
            for i in range(n):
                times[i] = np.array([0.0, 0.1, 0.5], np.float16)
                units[i] = np.array([i % 700, 3, 699], np.uint16)
            file["labels"] = np.arange(n, dtype=np.uint16) % 20
            file["extra/speaker"] = np.arange(n, dtype=np.uint16) % 4
            file["extra/keys"] = [f"word {i}".encode() for i in range(20)]
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the README speaks of: recordings, models, a stand-in for tonic."""
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    for split, takes in (("train", 5), ("test", 2)):
        for pitch, word in ((200, "yes"), (2000, "no")):
            for take in range(1, takes + 1):
                path = folder / "recordings" / split / word / f"{take}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                t = np.arange(3200) / 16_000
                sound = 0.3 * np.sin(2 * np.pi * pitch * t) + 0.01 * rng.normal(size=len(t))
                soundfile.write(path, sound, 16_000)
    for name in ("models", "sweeps", "analysis"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "stand_ins/tonic").mkdir(parents=True)
    (folder / "stand_ins/tonic/__init__.py").write_text("")
    (folder / "stand_ins/tonic/datasets.py").write_text(FAKE_TONIC)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command, place, monkeypatch):
    if command.startswith("pip install"):
        extra = re.fullmatch(r"pip install -e '\.\[(\w+)\]'", command)
        assert extra and f"\n{extra[1]} = [" in (ROOT / "pyproject.toml").read_text()
        return
    command = re.sub(r"^python\b", sys.executable, command)
    if "shd_genn.run" in command:
        command += " --epochs 1"  # the last one given counts
    if "shd_genn.sweep" in command:
        command += " --epochs 1 --trials 1 --seeds 1"
    if "shd_genn.bench roofline" in command:
        command += " --hidden-sizes 64 --topologies recurrent --repetitions 1"
    if "shd_genn.bench scaling" in command:
        command += " --quantities threads --repetitions 1"
    if "shd_genn.bench noise" in command:
        command += " --train 400 --test 40"
    if "shd_genn.bench" in command:
        command += " --hidden-sizes 64 --topologies recurrent --repetitions 1"
    if "shd_genn.bench peers" in command:  # the others are not installed everywhere
        command += " --peers native --hidden-sizes 64 --topologies recurrent --repetitions 1"
    monkeypatch.setenv("PYTHONPATH", str(place / "stand_ins"))
    monkeypatch.setenv("SHD_GENN_DATA", str(place / "official"))
    result = subprocess.run(
        ["bash", "-c", command], cwd=place, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_first_two_blocks_set_up():
    run, test = BLOCKS[0].strip(), BLOCKS[1].strip()
    assert "\n" not in run and run.endswith("python -m shd_genn.run")
    assert "\n" not in test and test.endswith("pytest")


def test_the_map_is_true():
    text = (ROOT / "README.md").read_text()
    table = text[text.index("| path | what |") :]
    for path in re.findall(r"`((?:shd_genn|models|sweeps|analysis|tests)/[\w/.]*)`", table):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (ROOT / link).exists(), link
