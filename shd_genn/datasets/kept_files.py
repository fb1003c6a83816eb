"""Spike files that stay in memory from one training to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.spikes.stored_events import FileState

Read = Callable[[Path, str], SpikeDataset]
"""Reads a spike file, given its path and the dataset's name, as `read_spikes` does."""


class KeptFiles:
    """Reads spike files, and keeps the last ones, for many trainings in one process.

    A file that has changed since is read again.

    Args:
        n_kept: How many files are kept; a dataset has up to three.
    """

    def __init__(self, n_kept: int = 3) -> None:
        self._n_kept = n_kept
        self._kept: dict[Path, tuple[FileState, SpikeDataset]] = {}

    def __call__(self, path: Path, name: str) -> SpikeDataset:
        """The samples of a file; see `read_spikes`."""
        place = path.resolve()
        if not place.exists():
            return read_spikes(path, name)  # which refuses it
        state = FileState.of(place)  # before it is read: a later change shows
        known = self._kept.pop(place, None)
        if known is None or known[0] != state:
            del known  # before the next one needs memory
            while len(self._kept) >= self._n_kept:
                self._kept.pop(next(iter(self._kept)))  # the one that was not used for longest
            known = state, read_spikes(path, name)
        self._kept[place] = known
        return replace(known[1], name=name)
