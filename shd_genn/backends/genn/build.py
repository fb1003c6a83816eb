"""Generates and compiles a model's code, in a folder of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shd_genn.support.errors import BuildError
from shd_genn.support.files import cache_dir


def build(model: Any, key: str) -> tempfile.TemporaryDirectory[str]:
    """Generate and compile a model's code in a new folder of the cache.

    Networks that are loaded from the same file would share their state, even within a process, so
    each gets a folder of its own; what was compiled before is copied into it.

    Args:
        model: A ``GeNNModel``, finished but not built.
        key: Names the code: what is compiled under one key may be used again.

    Returns:
        The folder; it is deleted with the object.

    Raises:
        BuildError: if the compiler fails.
    """
    cache = cache_dir("genn-code")
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    kept = cache / f"{model.name}-{digest}"
    folder = tempfile.TemporaryDirectory(prefix=f"run-{os.getpid()}-", dir=cache)
    own = Path(folder.name)
    if kept.is_dir():
        shutil.copytree(kept, own, dirs_exist_ok=True)
    log = own / "build.log"
    try:
        with _output_to(log):
            model.build(str(own))
        if not kept.is_dir():
            _keep(own, kept)
    except (subprocess.CalledProcessError, RuntimeError) as error:
        words = log.read_text(encoding="utf-8", errors="replace")[-4000:].strip()
        folder.cleanup()
        raise BuildError(
            f"GeNN's code for this network could not be compiled ({error}):\n{words}"
        ) from error
    except BaseException:
        folder.cleanup()
        raise
    return folder


def _keep(own: Path, kept: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="run-", dir=kept.parent) as aside:
        shutil.copytree(own, aside, dirs_exist_ok=True)
        try:
            Path(aside).rename(kept)
        except OSError:  # another program was quicker
            return
        Path(aside).mkdir()  # for the context manager to delete


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send what make and the compiler write to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    try:
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield
    finally:
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
