"""A cache of its own for a test, in which the kernels that all tests share need not be compiled."""

from pathlib import Path

import pytest

from shd_genn.support.files import cache_dir

SHARED = ("libraries", "cochlea")
"""Folders of what is compiled and computed from the source code alone."""


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process and its children keep everything else in a folder.

    Args:
        folder: Made if it is missing.
        monkeypatch: Restores the cache at the end of the test.
    """
    shared = {name: cache_dir(name) for name in SHARED}
    folder.mkdir(exist_ok=True)
    for name, made in shared.items():
        (folder / name).symlink_to(made)
    monkeypatch.setenv("SHD_GENN_CACHE", str(folder))
