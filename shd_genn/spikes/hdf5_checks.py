"""Reading from HDF5 files that nobody vouches for.

An HDF5 file can declare more than it holds, link to other files, and hold numbers of any type. The
functions here read in bounded memory, follow no link out of the file, and cut no value to fit.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shd_genn.support.errors import DataError, refuse_unless

LARGEST_RATIO = 1100
"""Bytes that one byte of a compressed dataset can stand for: a little more than deflate's 1032."""
SMALL = 1 << 20
"""Bytes that are read whatever the file declares."""
MOST_NAMES = 65_536
"""Names of classes or speakers; labels are written as uint16."""
LONGEST_NAME = 1000
"""Bytes of a name."""


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Args:
        path: The file.

    Raises:
        DataError: if it is missing, locked, damaged or of another kind, or if what is read from it
            in the body fails.
    """
    refuse_unless(
        path.is_file(),
        f"{path} must be an HDF5 file in SHD's layout, but there is none",
        "correct the path",
        DataError,
    )
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(
            f"{path} needs more memory than there is; use a machine with more, or split the file"
        ) from error
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
        problem, cure = _explain(error)
        raise DataError(f"{path} {problem}; {cure}") from error


def _explain(error: Exception) -> tuple[str, str]:
    text = str(error)
    number = getattr(error, "errno", None)
    if isinstance(error, PermissionError) or number == errno.EACCES:
        return f"cannot be read ({text})", "ask its owner for the right to read it"
    if number == errno.EAGAIN or "unable to lock file" in text:
        return (
            "is being written by another program",
            "wait until that program has closed the file, or stop it",
        )
    if "can't open directory" in text or "required filter" in text:
        return f"is compressed by a filter that is not installed ({text})", "pip install hdf5plugin"
    return (
        f"must be a whole HDF5 file in SHD's layout, but {text}",
        "copy it again from where it came, or make it again",
    )


def dataset(file: h5py.File, key: str, path: Path) -> h5py.Dataset | None:
    """A dataset of a file, whose values lie in the file itself.

    Args:
        file: The file.
        key: The dataset's path in the file, e.g. ``spikes/times``.
        path: The file's path, for messages.

    Returns:
        The dataset; None if there is none of this name.

    Raises:
        DataError: if it is reached through a link, or its values lie in another file.
    """
    found: Any = file
    for part in key.split("/"):
        if not isinstance(found, h5py.Group) or part not in found.keys():  # noqa: SIM118
            return None
        link = found.get(part, getlink=True)
        refuse_unless(
            isinstance(link, h5py.HardLink),
            f"{path}: {key} is reached through a link, which may lead out of the file",
            "write the values into the file itself, e.g. with h5repack",
            DataError,
        )
        found = found[part]
    refuse_unless(
        isinstance(found, h5py.Dataset),
        f"{path} must be a whole HDF5 file in SHD's layout, but {key} is a group",
        "write it as a dataset",
        DataError,
    )
    refuse_unless(
        found.shape is not None,
        f"{path}: {key} holds no values",
        "write one value for each sample",
        DataError,
    )
    refuse_unless(
        not found.external and not found.is_virtual,
        f"{path}: the values of {key} lie in another file",
        "write them into the file itself, e.g. with h5repack",
        DataError,
    )
    return found


def check_held(values: h5py.Dataset, key: str, path: Path) -> None:
    """Refuse a dataset that declares more values than its file can hold.

    Args:
        values: The dataset.
        key: Its name, for messages.
        path: The file's path, for messages.

    Raises:
        DataError: if it does.
    """
    # a row of variable length takes 16 bytes: its length and where it begins
    size = 16 if h5py.check_vlen_dtype(values.dtype) else values.dtype.itemsize
    declared, stored = values.size * size, values.id.get_storage_size()
    refuse_unless(
        declared <= LARGEST_RATIO * stored + SMALL,
        f"{path}: {key} declares {values.size} values, but holds {stored} bytes",
        "copy the file again from where it came, or make it again",
        DataError,
    )


def whole_numbers(
    values: h5py.Dataset, key: str, path: Path, low: int, high: int
) -> NDArray[np.int32]:
    """A dataset of whole numbers.

    Args:
        values: The dataset.
        key: Its name, for messages.
        path: The file's path, for messages.
        low: The smallest number allowed.
        high: The largest number allowed, at most 2**31 - 1.

    Returns:
        int32, (n,).

    Raises:
        DataError: if it has another shape or type, or numbers out of range.
    """
    refuse_unless(
        values.ndim == 1 and values.dtype.kind in "iu",
        f"{path}: {key} must be a row of whole numbers, but is {values.dtype} of shape "
        f"{values.shape}",
        "write it as a row of integers",
        DataError,
    )
    check_held(values, key, path)
    numbers = np.asarray(values[:])
    if len(numbers):
        smallest, largest = numbers.min(), numbers.max()
        refuse_unless(
            low <= int(smallest) and int(largest) <= high,
            f"{path}: {low} <= {key} <= {high} must hold, but it ranges from {smallest} to "
            f"{largest}",
            f"correct {key}",
            DataError,
        )
    return numbers.astype(np.int32)


def texts(values: h5py.Dataset, key: str, path: Path, most: int) -> list[str]:
    """A dataset of names.

    Args:
        values: The dataset.
        key: Its name, for messages.
        path: The file's path, for messages.
        most: How many names are allowed.

    Raises:
        DataError: if it is no row of names, has too many, or names that are not UTF-8.
    """
    fixed = values.dtype.kind == "S" and values.dtype.itemsize <= LONGEST_NAME
    refuse_unless(
        values.ndim == 1 and (fixed or h5py.check_string_dtype(values.dtype) is not None),
        f"{path}: {key} must be a row of names, but is {values.dtype} of shape {values.shape}",
        "write it as a row of strings",
        DataError,
    )
    refuse_unless(
        len(values) <= most,
        f"{path}: {key} may hold {most} names, but holds {len(values)}",
        f"correct {key} or leave it out",
        DataError,
    )
    check_held(values, key, path)
    try:
        return [v.decode() if isinstance(v, bytes) else str(v) for v in values[:]]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: the names of {key} must be UTF-8, but are not ({error}); write them in UTF-8"
        ) from error


def whole_attribute(file: h5py.File, name: str, default: int, path: Path) -> int:
    """A whole number among a file's attributes.

    Args:
        file: The file.
        name: The attribute's name.
        default: The number if there is no such attribute.
        path: The file's path, for messages.

    Raises:
        DataError: if it is no whole number.
    """
    value = file.attrs.get(name, default)
    number = np.asarray(value)
    whole = number.size == 1 and (
        number.dtype.kind in "iu"
        or (number.dtype.kind == "f" and float(number.item()).is_integer())
    )
    refuse_unless(
        whole,
        f"{path}: the attribute {name} must be a whole number, but is {value}",
        "correct the attribute",
        DataError,
    )
    return int(number.item())
