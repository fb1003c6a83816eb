"""Locks that keep a folder or a file to one program at a time.

filelock does the work: flock on Unix (also on NFS), LockFileEx on Windows, and, where the file
system has no such locks (Lustre without the option ``flock``, NFS without a lock daemon), a marker
file that names its owner. The system releases a native lock when its owner is killed; a marker is
taken over when its owner is dead.

The lock of a folder is the file ``.lock`` in it, that of a file is ``NAME.lock`` beside it.
`claimed` deletes it at the end. After a kill it stays and does no harm: the next owner takes it.
"""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from shd_genn.support.errors import BusyError
from shd_genn.support.files import write_error

NO_NATIVE_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})
"""Errors by which a file system says that it has no locks; filelock handles ENOSYS itself."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep a folder or file to one program at a time; other programs wait.

    The lock's file stays: another program may be waiting for it.

    Args:
        path: The folder or file.

    Raises:
        ConfigError: if the lock's file cannot be written.
    """
    lock = _acquire(path, -1)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keep a folder or file to one program at a time; other programs are refused.

    Args:
        path: The folder or file.

    Raises:
        BusyError: if another program has it.
        ConfigError: if the lock's file cannot be written.
    """
    try:
        lock = _acquire(path, 0)
    except Timeout as error:
        raise BusyError(
            path,
            f"{path} must be free, but another program is working in it; wait for it or stop it",
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps a file that is open
            # before the release: whoever opened this file sees that it is gone, and opens another
            Path(lock.lock_file).unlink()
        lock.release()


def lock_file(path: Path) -> Path:
    """The file by which a folder or file is locked."""
    return path / ".lock" if path.is_dir() else path.with_name(f"{path.name}.lock")


def _acquire(path: Path, timeout: float) -> BaseFileLock:
    file = lock_file(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "flock not supported")
            lock: BaseFileLock = FileLock(file)
            try:
                lock.acquire(timeout)
            except OSError as error:
                if error.errno not in NO_NATIVE_LOCKS:
                    raise
                # another name: the file of the native lock is no marker
                lock = SoftFileLock(file.with_name(f"{file.name}.owner"))
                lock.acquire(timeout)
    except Timeout:
        raise
    except OSError as error:
        raise write_error(file, error) from error
    return lock


def is_free(path: Path) -> bool:
    """Whether no program has claimed a folder or file; nothing is written or left behind.

    Args:
        path: The folder or file. If its lock cannot be tried, it counts as claimed.
    """
    file = lock_file(path)
    if file.with_name(f"{file.name}.owner").exists():
        return False
    if not file.exists():
        return True
    lock = FileLock(file)
    try:
        lock.acquire(0)
    except (Timeout, OSError):
        return False
    lock.release()
    return True
