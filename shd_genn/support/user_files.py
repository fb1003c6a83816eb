"""The Python files that users copy and change, models and search spaces: found by name, and run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shd_genn.support.errors import ConfigError


def project_folder(name: str) -> Path:
    """Where the project's own files lie: beside the package, in a wheel inside it."""
    package = Path(__file__).parents[1]
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def find(kind: str, name: str, folder: Path) -> Path:
    """A file: one of the project's own by its name, or any by its path.

    Args:
        kind: What it is, for messages.
        name: Its name without ending, or its path.
        folder: Where the project's own lie.

    Raises:
        ConfigError: if there is no such file.
    """
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f"{kind} {name} must be a file, but there is none; correct the path")
        return path
    own = sorted(path.stem for path in folder.glob("*.py"))
    if name not in own:
        raise ConfigError(
            f"{kind} in {', '.join(own)} must hold, but got {name!r}; "
            "choose one, or give the path of your own .py file"
        )
    return folder / f"{name}.py"


def run(kind: str, path: Path) -> dict[str, Any]:
    """What a file defines.

    Raises:
        ConfigError: if it cannot be run.
    """
    namespace: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        # compiled by hand: an import would leave the user's file in sys.modules and __pycache__
        with modules_beside(path):
            exec(compile(path.read_text(encoding="utf-8-sig"), str(path), "exec"), namespace)
    except Exception as error:
        raise ConfigError(
            f"{kind} {path} must run, but {type(error).__name__}: {error}; correct the file"
        ) from error
    return namespace


@contextmanager
def modules_beside(path: Path) -> Iterator[None]:
    """Let a user's file import modules that lie beside it.

    The modules are forgotten afterwards, so that another file may have other modules of the same
    names. No bytecode is read from or written into the folder.
    """
    folder = path.parent.resolve()
    before = sys.path[:], sys.dont_write_bytecode, sys.pycache_prefix
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode, sys.pycache_prefix = True, str(folder / ".no-bytecode")
    importlib.invalidate_caches()
    known = set(sys.modules)
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode, sys.pycache_prefix = before
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).resolve().is_relative_to(folder):
                del sys.modules[name]
