"""Where rows of variable length lie in an HDF5 file: checked before HDF5 follows them.

A row is stored as its length, and the place of its values: the address of a global heap and an
index in it (HDF5 file format, section III.E). HDF5 2.0 trusts these numbers: a damaged one ends the
program by SIGSEGV, or lets it search for ever.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from shd_genn.support.errors import DataError, refuse_unless

AT_ONCE = 1 << 16
"""Rows that are checked at a time: what is known of their heaps is short-lived."""
HEAP = struct.Struct("<4sB3xQ")
"""Begin of a heap: signature, version, bytes."""
OBJECT = struct.Struct("<HHxxxxQ")
"""Begin of a value in a heap: its index, references to it, its bytes, without padding to 8."""


def check_places(
    file: h5py.File, rows: h5py.Dataset, key: str, path: Path
) -> NDArray[np.int64] | None:
    """Refuse rows of variable length whose values do not lie in the file.

    Args:
        file: The file.
        rows: The dataset.
        key: Its name, for messages.
        path: The file's path.

    Returns:
        int64, (n_rows,): the length of each row; None if the rows are compressed.

    Raises:
        DataError: if there is such a row.
    """
    size_of_address, size_of_length = file.id.get_create_plist().get_sizes()
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        records = _records(rows, content, size_of_address)
        if records is None or size_of_length != 8:
            return None
        base = int(file.userblock_size)
        item = rows.id.get_type().get_super().get_size()
        for start in range(0, len(records), AT_ONCE):
            some = records[start : start + AT_ONCE]
            heaps = {a: _sizes(content, base + a) for a in np.unique(some["heap"]).tolist()}
            for i, (length, heap, index) in enumerate(some.tolist(), start):
                refuse_unless(
                    length == 0 or length * item <= heaps[heap].get(index, -1),
                    f"{path}: row {i} of {key} must hold {length} values, but they are not in the "
                    "file",
                    "copy the file again from where it came, or make it again",
                    DataError,
                )
    return records["length"].astype(np.int64)


def _records(
    rows: h5py.Dataset, content: mmap.mmap, size_of_address: int
) -> NDArray[np.void] | None:
    """Length, heap and index of all rows that are stored; None if they are compressed."""
    kind = np.dtype([("length", "<u4"), ("heap", f"<u{size_of_address}"), ("index", "<u4")])
    if rows.chunks is None:
        places = [(0, rows.id.get_offset(), rows.id.get_storage_size())]
    elif rows.id.get_create_plist().get_nfilters():
        return None  # compression notices damage itself
    else:
        chunks = map(rows.id.get_chunk_info, range(rows.id.get_num_chunks()))
        places = [(chunk.chunk_offset[0], chunk.byte_offset, chunk.size) for chunk in chunks]
    records = np.zeros(len(rows), kind)  # rows that were never written are empty
    for first, begin, size in places:
        if begin is None:
            continue
        there = content[begin : begin + size // kind.itemsize * kind.itemsize]
        part = np.frombuffer(there, kind)[: len(rows) - first]  # a last chunk may be longer
        records[first : first + len(part)] = part
    return records


def _sizes(content: mmap.mmap, begin: int) -> dict[int, int]:
    """Index → bytes of each value in a heap; empty if there is none, or it is damaged."""
    if begin + HEAP.size > len(content):
        return {}
    signature, version, size = HEAP.unpack_from(content, begin)
    if signature != b"GCOL" or version != 1 or begin + size > len(content):
        return {}
    found: dict[int, int] = {}
    at = HEAP.size
    while at + OBJECT.size <= size:
        index, _, n = OBJECT.unpack_from(content, begin + at)
        if index == 0:  # what is free, to the end
            return found if n == size - at else {}
        at += OBJECT.size + -(-n // 8) * 8
        if at > size or index in found:
            return {}
        found[index] = n
    return found
