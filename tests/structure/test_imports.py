"""The one rule for imports: a room imports only from rooms above it in the README's map."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint(folder):
    """Run import-linter with the contracts of pyproject.toml on the packages in a folder."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PATH": "", "PYTHONPATH": str(folder)},
        check=False,
    )


@pytest.fixture
def copy(tmp_path):
    """A copy of both packages and of the contracts, to break the rule in."""
    for package in ("shd_genn", "analysis"):
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_room_keeps_the_rule(copy):
    result = lint(copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 kept, 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("shd_genn/spikes/events.py", "from shd_genn.train import loop"),
        ("shd_genn/learning/objective.py", "from shd_genn.backends.protocols import CompileConfig"),
        ("shd_genn/evaluate.py", "from shd_genn.run import main"),  # commands stand alone
        ("shd_genn/support/files.py", "import analysis.tools.load"),
        ("analysis/memory.py", "from analysis.epoch_time import load"),
        ("analysis/tools/stats.py", "from analysis import comparison"),
    ],
)
def test_a_wrong_import_is_noticed(copy, file, line):
    path = copy / file
    path.write_text(path.read_text() + f"\n{line}\n")
    result = lint(copy)
    assert result.returncode != 0
    assert "BROKEN" in result.stdout, result.stdout + result.stderr


def test_a_new_room_needs_a_place(copy):
    room = copy / "shd_genn" / "attic"
    room.mkdir()
    (room / "__init__.py").write_text('"""A room that no list names."""\n')
    result = lint(copy)
    assert result.returncode != 0
    assert "attic" in result.stdout + result.stderr
