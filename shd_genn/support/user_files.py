"""The Python files that users copy and change, models and search spaces: found by name, and run."""

from __future__ import annotations

import importlib
import linecache
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from shd_genn.support.errors import ConfigError, PrunedError, ShdGennError, refuse_unless
from shd_genn.support.paths import user_path

Result = TypeVar("Result")


def project_folder(name: str) -> Path:
    """Where the project's own files lie: beside the package, in a wheel inside it.

    Args:
        name: ``models`` or ``sweeps``.
    """
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
        path = user_path(name)
        refuse_unless(
            path.is_file(), f"{kind} {name} must be a file, but there is none", "correct the path"
        )
        return path
    names = sorted(path.stem for path in folder.glob("*.py"))
    refuse_unless(
        name in names,
        f"{kind} must be one of {', '.join(names)}, but is {name!r}",
        "choose one, or give the path of your own .py file",
    )
    return folder / f"{name}.py"


def run(kind: str, path: Path) -> dict[str, Any]:
    """What a file defines.

    The file can import modules that lie beside it. Neither the file nor these modules stay among
    the imported ones, so that a changed file is read again, and files of the same name are not
    mistaken for each other.

    Args:
        kind: What it is, for messages.
        path: The file, in UTF-8.

    Returns:
        Its names and their values.

    Raises:
        ConfigError: if it cannot be read or run; the message has the line that fails.
    """
    try:
        source = path.read_text(encoding="utf-8-sig")  # some editors put a mark first
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{kind} {path} must be a text file in UTF-8, but {error}; save it as such"
        ) from error
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    with _errors(kind, path), imports_beside(path):
        # dataclasses look their module up by its name
        before = sys.modules.get(path.stem)
        sys.modules[path.stem] = module
        try:
            # compiled here: an import would write __pycache__ beside the user's file
            exec(compile(source, str(path), "exec"), module.__dict__)
        finally:
            if before is None:
                sys.modules.pop(path.stem, None)
            else:
                sys.modules[path.stem] = before
    return module.__dict__


@contextmanager
def imports_beside(path: Path) -> Iterator[None]:
    """Let modules beside a file be imported in the body, and forget them after it.

    Args:
        path: The file.
    """
    folder = str(path.resolve().parent)
    before = set(sys.modules)
    writes, prefix = sys.dont_write_bytecode, sys.pycache_prefix
    sys.path.insert(0, folder)
    # no bytecode is written into the folder, and none that lies there is run
    sys.dont_write_bytecode, sys.pycache_prefix = True, f"{folder}/.no-bytecode"
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = writes, prefix
        if folder in sys.path:
            sys.path.remove(folder)
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).resolve().is_relative_to(folder):
                del sys.modules[name]


def call(kind: str, path: Path, function: Callable[[], Result]) -> Result:
    """Call a function of a user's file.

    Args:
        kind: What the file is, for messages.
        path: The file.
        function: What is called.

    Returns:
        What it returns.

    Raises:
        ConfigError: if it fails; the message has the file, the line, its text and the error.
    """
    with _errors(kind, path), imports_beside(path):
        return function()


@contextmanager
def _errors(kind: str, path: Path) -> Iterator[None]:
    """Say of an error in the body where in the user's file it is."""
    try:
        yield
    except PrunedError:
        raise
    except ShdGennError as error:
        # a relation that the file breaks: the message is whole without the line
        raise type(error)(f"{path}, {_where(path, error)}: {error}") from error
    except Exception as error:
        if type(error).__module__.startswith("optuna"):
            raise  # e.g. a trial that is pruned: no fault of the file
        raise ConfigError(
            f"{kind} {path} must run, but {type(error).__name__}: {_first_line(error)} "
            f"({_where(path, error)}); correct the file"
        ) from error


def _where(path: Path, error: BaseException) -> str:
    """``line N: SOURCE LINE`` of the innermost line in the user's folder."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"line {error.lineno}: {(error.text or '').strip()}"
    folder = path.resolve().parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file == path or (file.is_absolute() and file.parent == folder):
            text = (frame.line or linecache.getline(str(file), frame.lineno or 0)).strip()
            other = "" if file == path else f"{file.name}, "
            return f"{other}line {frame.lineno}: {text}"
    return "in what it calls"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
