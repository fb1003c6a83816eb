"""The notebook runs from its first cell to its last, on a small dataset."""

import json
import subprocess
import sys

import pytest
from helpers import tiny
from helpers.pages import NOTEBOOK, ROOT

EXECUTE = """
import sys
from pathlib import Path
sys.path.insert(0, {docs!r})
import site_hooks
executed = site_hooks.execute(Path({notebook!r}), Path("."), DATASET="tiny", EPOCHS=1)
import nbformat
nbformat.write(executed, "executed.ipynb")
"""
"""In a process of its own: a kernel's client changes the process that it runs in."""


def cells_of(path):
    return [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]


def kinds(cell):
    """What a cell shows: kinds of outputs."""
    return [tuple(sorted(output.get("data", {}))) for output in cell["outputs"]]


def test_the_notebook_runs(tmp_path):
    for module in ("nbclient", "ipykernel"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install -e '.[docs]'")
    tiny.write(tmp_path / "tiny")
    code = EXECUTE.format(docs=str(ROOT / "docs"), notebook=str(NOTEBOOK))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    executed = cells_of(tmp_path / "executed.ipynb")
    assert any("image/png" in kind for cell in executed for kind in kinds(cell))
    assert len(list((tmp_path / "runs").iterdir())) == 1
    # what is saved in the repository was made by these very cells, in one go
    saved = cells_of(NOTEBOOK)
    assert [kinds(cell) for cell in saved] == [kinds(cell) for cell in executed]
    assert [cell["execution_count"] for cell in saved] == list(range(1, len(saved) + 1))
