"""Writing files so that a kill at any moment leaves either the old file or the new one."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil
from platformdirs import user_cache_path

from shd_genn.support.errors import ConfigError, ShdGennError, refuse_unless

FSYNC = "SHD_GENN_FSYNC"
"""Environment variable of `waits_for_disk`."""
PICTURES = (".pdf", ".svg", ".png")
"""Endings of files that figures are drawn into."""
ASIDE = re.compile(r"\..*\.part-([0-9a-f]{8})-([0-9]+)-[0-9a-f]{8}(\.[^.]*)?", re.DOTALL)
"""Names of files that are being written: machine, process id and a random number."""
STALE_SECONDS = 7 * 24 * 3600.0
"""A file that another machine began to write this long ago was left by a kill."""
DISK_ERRORS = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "ESTALE", "ENXIO", "ENODEV")
    if hasattr(errno, name)
)
"""Errors of the disk itself, which may come at any byte of a file."""
CURES = {
    "ENOSPC": "free space on that disk, or choose another folder",
    "EDQUOT": "delete files to get below your quota, or choose another folder",
    "EFBIG": "raise the limit on the size of files (ulimit -f), or choose another disk",
    "EROFS": "choose a folder on a disk that is not read-only",
    "EACCES": "choose a folder that you may write to",
    "EPERM": "choose a folder that you may write to",
    "ENAMETOOLONG": "choose a shorter name",
    "EISDIR": "choose the name of a file",
    "EEXIST": "choose a folder: part of this path is a file",
    "ENOTDIR": "choose a folder: part of this path is a file",
    "EMFILE": "raise the limit on open files (ulimit -n)",
}
"""How to correct the system's errors, by their names."""


def require_ending(output: Path, endings: Sequence[str] = PICTURES) -> None:
    """Refuse a file whose ending is of no kind that can be written.

    Args:
        output: The file.
        endings: The endings that can be written.

    Raises:
        ConfigError: if the file has another ending.
    """
    refuse_unless(
        output.suffix.lower() in endings,
        f"output must end in {', '.join(endings)}, but is {output}",
        "rename it",
    )


def require_file(output: Path) -> None:
    """Refuse an output file that cannot be written, before anything is computed.

    Raises:
        ConfigError: if it is a folder, or the system refuses to write there.
    """
    refuse_unless(
        not output.is_dir(), f"output {output} is a folder", "give the name of a file to write"
    )
    require_writable(output)


def require_writable(output: Path) -> None:
    """Refuse a file or new folder that cannot be written, before anything is computed.

    Nothing is left behind: where its folder does not exist yet, the nearest one above is tried.

    Args:
        output: The file or folder that will be written.

    Raises:
        ConfigError: if the system refuses to write there.
    """
    folder = output.parent
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        trial = folder / f".part-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise write_error(output, error) from error


def _new_file(path: Path) -> Path:
    """A new empty file beside another one, with a name that no other writer has."""
    # the suffix stays last: h5py, numpy and matplotlib go by it
    name = f".{path.stem[:40]}.part-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    aside = path.with_name(name + path.suffix)
    os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return aside


def waits_for_disk() -> bool:
    """Whether each file is forced to the disk before it gets its name.

    It is, so that a power failure loses no file. The environment variable ``SHD_GENN_FSYNC=off``
    turns it off, for file systems where it takes long. A killed program loses nothing either way.

    Raises:
        ConfigError: if the variable is neither ``on`` nor ``off``.
    """
    value = os.environ.get(FSYNC, "on")
    refuse_unless(
        value in ("on", "off"),
        f"the environment variable {FSYNC} is {value!r}",
        "set it to on or off, or delete it",
    )
    return value == "on"


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder that is renamed to ``path`` if all goes well.

    The temporary file has a name of its own, whatever else is written at the same time. What a
    killed program has left in the folder is deleted. See `waits_for_disk`.

    Args:
        path: The file to write; its folder is made if it is missing.

    Raises:
        ConfigError: if the system refuses to write it, at its first byte or at any later one.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        aside = _new_file(path)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        with disk_errors(path):
            yield aside
            if waits_for_disk():
                with aside.open("r+b") as file:
                    os.fsync(file.fileno())
        try:
            aside.replace(path)
        except OSError as error:
            raise write_error(path, error) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file aside and rename it.

    Args:
        path: The file.
        text: Its content, written in UTF-8.

    Raises:
        ConfigError: if it cannot be written.
    """
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an error of the disk, such as a full one, into a message about the file.

    Other errors pass, and so do errors about other files.

    Args:
        path: The file or folder that is written to.

    Raises:
        ConfigError: if the disk fails while the body runs.
    """
    try:
        yield
    except ShdGennError:
        raise
    except Exception as error:
        found = _disk_error(error)
        if found is None:
            raise
        raise write_error(path, found) from error


def write_error(path: Path, error: OSError) -> ConfigError:
    """The error that says that a file cannot be written, why, and what to do.

    Args:
        path: The file.
        error: The system's error.
    """
    name = errno.errorcode.get(error.errno or 0, "")
    reason = os.strerror(error.errno) if error.errno else str(error)
    cure = CURES.get(name, "choose another folder, or ask who looks after that disk")
    return ConfigError(f"{path} cannot be written ({reason}); {cure}")


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for temporary files, which is deleted at the end.

    Raises:
        ConfigError: if the system refuses to make one.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="shd_genn-", ignore_cleanup_errors=True)
    except OSError as error:
        raise ConfigError(
            f"no folder for temporary files can be made ({error.strerror}); free space in /tmp, or "
            "set the environment variable TMPDIR to a folder that you may write to"
        ) from error
    with folder as path:
        yield Path(path)


def _disk_error(error: BaseException | None) -> OSError | None:
    """The disk's error in a chain of exceptions; libraries hide it in texts of their own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return error
        if hidden := re.search(r"errno = (\d+)", str(error)):  # HDF5
            number = int(hidden[1])
            if number in DISK_ERRORS:
                return OSError(number, os.strerror(number))
        if isinstance(error, OSError) and re.search(r"\d+ requested and \d+ written", str(error)):
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # numpy
        error = error.__cause__ or error.__context__
    return None


def remove_leftovers(folder: Path) -> None:
    """Delete what killed programs have left half written in a folder.

    Args:
        folder: It; nothing happens if it cannot be read or written.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(".")]
        for name in names:
            match = ASIDE.fullmatch(name)
            with suppress(OSError):
                if match and _left_by_dead(folder / name, match[1], int(match[2])):
                    (folder / name).unlink(missing_ok=True)


def _left_by_dead(path: Path, machine: str, process: int) -> bool:
    """Whether nobody writes a file any more."""
    written = path.stat().st_mtime
    if machine != _machine():
        return time.time() - written > STALE_SECONDS
    if not psutil.pid_exists(process):
        return True
    try:
        # another program that got the same number later
        return bool(psutil.Process(process).create_time() > written + 2)
    except psutil.Error:
        return False


@cache
def _machine() -> str:
    """Eight digits for this machine, or this container: where process ids are one series."""
    name = platform.node()
    with suppress(OSError):
        name += str(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116  # no file, a namespace
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def write_checksum(path: Path) -> None:
    """Write a file's SHA-256 beside it, for `is_intact`.

    Args:
        path: The file, which is complete.

    Raises:
        ConfigError: if it cannot be written.
    """
    write_text(_checksum_of(path), _digest(path))


def is_intact(path: Path) -> bool:
    """Whether a file of the cache is what was written.

    Args:
        path: The file.

    Returns:
        False if it, or its checksum, is missing, cut off or changed.
    """
    try:
        return _checksum_of(path).read_text(encoding="ascii") == _digest(path)
    except (OSError, ValueError):
        return False


def _checksum_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_root() -> Path:
    """The folder of all that is kept from run to run.

    ``SHD_GENN_CACHE`` in the environment names another place than the system's own.
    """
    root = os.environ.get("SHD_GENN_CACHE")
    return Path(root).expanduser() if root else user_cache_path("shd_genn")


def cache_dir(*parts: str) -> Path:
    """A folder in the cache, made if it is missing; see `cache_root`.

    Args:
        parts: Names of the folders inside it.

    Raises:
        ConfigError: if it cannot be made.
    """
    folder = cache_root().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the cache folder {folder} cannot be made ({error.strerror}); "
            "set SHD_GENN_CACHE to a folder that you may write to"
        ) from error
    return folder
