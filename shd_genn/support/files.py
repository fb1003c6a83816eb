"""Writing files so that a kill at any moment leaves either the old file or the new one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from shd_genn.support.errors import BusyError, ConfigError

PICTURES = (".pdf", ".svg", ".png")
"""Endings of files that figures are drawn into."""


def require_ending(output: Path, endings: Sequence[str] = PICTURES) -> None:
    """Refuse a file whose ending says nothing that can be written, before anything is computed.

    Raises:
        ConfigError: if it is such a file.
    """
    if output.suffix.lower() not in endings:
        raise ConfigError(f"output must end in {', '.join(endings)}, but got {output}; rename it")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder that is renamed to ``path`` if all goes well.

    Raises:
        ConfigError: if the folder cannot be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # the suffix stays last: h5py, numpy and matplotlib go by it
        aside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        aside.touch()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}); name a folder that you may write to"
        ) from error
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file aside and rename it."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder to one program at a time; the system frees it, too, if the program is killed.

    Others that want it wait.
    """
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep a folder to one program at a time; others that want it are refused.

    The system frees it, too, if the program is killed; no file is left in it.

    Raises:
        BusyError: if another program has it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise BusyError(
            folder,
            f"{folder} must be free, but another program is working in it; wait for it or stop it",
        ) from error
    finally:
        os.close(handle)


def cache_dir(*parts: str) -> Path:
    """A folder in the user's cache, made if it is missing.

    ``SHD_GENN_CACHE`` in the environment names another place than the system's own.

    Raises:
        ConfigError: if it cannot be made.
    """
    root = os.environ.get("SHD_GENN_CACHE")
    folder = (Path(root) if root else user_cache_path("shd_genn")).joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the cache folder {folder} cannot be made ({error.strerror}); "
            "set SHD_GENN_CACHE to a folder that you may write to"
        ) from error
    return folder
