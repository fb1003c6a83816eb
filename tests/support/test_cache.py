"""`python -m shd_genn.cache`: where the cache is, how large, and what emptying deletes."""

import sys

import numpy as np
import pytest

from shd_genn.cache import main
from shd_genn.encode import basilar_membrane
from shd_genn.encode.basilar_membrane import BasilarMembrane, transfer_matrix
from shd_genn.support.cli import command
from shd_genn.support.files import is_intact, write_checksum


@pytest.fixture
def cache(tmp_path, monkeypatch):
    root = tmp_path / "cache"
    monkeypatch.setenv("SHD_GENN_CACHE", str(root))
    return root


def run(monkeypatch, capsys, *options):
    monkeypatch.setattr(sys, "argv", ["cache", *options])
    try:
        command(main)
        code = 0
    except SystemExit as left:
        code = left.code
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def fill(root):
    for name in ("cochlea", "native", "official"):
        (root / name / "inside").mkdir(parents=True)
        (root / name / "inside" / "x").write_bytes(b"x" * 1_500_000)


def test_where_and_how_large(cache, monkeypatch, capsys):
    assert run(monkeypatch, capsys) == (0, f"{cache}: 0.0 MB\n")
    fill(cache)
    code, text = run(monkeypatch, capsys)
    assert code == 0 and text.startswith(f"{cache}: 4.5 MB\n")
    assert "cochlea             1.5 MB  transfer matrices" in text
    assert len(list(cache.iterdir())) == 3


def test_emptying_keeps_downloads(cache, monkeypatch, capsys):
    fill(cache)
    code, text = run(monkeypatch, capsys, "--empty")
    assert code == 0 and text.count("(deleted)") == 2
    assert [p.name for p in cache.iterdir()] == ["official"]


def test_emptying_one_folder(cache, monkeypatch, capsys):
    fill(cache)
    assert run(monkeypatch, capsys, "--empty", "--only", "official", "native")[0] == 0
    assert [p.name for p in cache.iterdir()] == ["cochlea"]
    code, text = run(monkeypatch, capsys, "--empty", "--only", "nothing")
    assert code == 2 and "the cache has no folder nothing, but cochlea; choose" in text


def test_a_checksum_notices_what_has_changed(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    assert not is_intact(path)
    write_checksum(path)
    assert is_intact(path)
    path.write_bytes(b"two")
    assert not is_intact(path)
    path.unlink()
    assert not is_intact(path)


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_matrix_is_made_again(cache, damage):
    membrane = BasilarMembrane(n_places=5)
    before = np.array(transfer_matrix(membrane, 1200, 48_000))
    w = 2 * np.pi * np.linspace(1, 24_000, 1200)
    expected = membrane.transfer(w, membrane.places[:, np.newaxis]).astype(np.complex64)
    np.testing.assert_array_equal(before, expected)
    (path,) = (cache / "cochlea").glob("*.npy")
    whole = path.read_bytes()
    content = {"cut": whole[:300], "changed": whole[:-8] + b"\1" * 8, "empty": b""}[damage]
    path.write_bytes(content)
    basilar_membrane._is_intact.cache_clear()
    np.testing.assert_array_equal(transfer_matrix(membrane, 1200, 48_000), before)
