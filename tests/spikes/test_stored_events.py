"""Spikes that stay in their file are those of memory, to the bit, and so is what is learned."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from helpers import running, small

from shd_genn.record.environment import digest
from shd_genn.spikes import stored_events
from shd_genn.spikes.hdf5 import read_spikes, write_spikes
from shd_genn.spikes.hdf5_heap import check_places
from shd_genn.spikes.stored_events import StoredEvents
from shd_genn.support.errors import DataError
from shd_genn.train import loop


@pytest.fixture
def no_memory(monkeypatch):
    """A machine with too little memory for any spikes."""
    monkeypatch.setattr(stored_events, "available_memory", lambda: 0)


def both(path, monkeypatch):
    """A file's dataset in memory, and with its spikes in the file."""
    in_memory = read_spikes(path, "small")
    monkeypatch.setattr(stored_events, "available_memory", lambda: 0)
    stored = read_spikes(path, "small")
    assert isinstance(stored.events, StoredEvents)
    return in_memory, stored


def assert_same(one, other):
    for name in ("times_ms", "channels", "offsets"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def ties(tmp_path):
    """Samples of which one is empty, and two have spikes at the same time."""
    times = [[0.25, 0.5, 0.5], [], [0.75], [0.0, 0.5], [0.125], [0.25, 0.25]]
    units = [[1, 3, 2], [], [7], [5, 4], [6], [9, 8]]
    return small.raw(tmp_path / "a.h5", times, units, [0, 1, 0, 1, 0, 1], n_channels=10)


@pytest.mark.parametrize("chosen", [[0, 1, 2, 3, 4, 5], [5, 0, 3], [2, 2], [1], [3, 4, 1, 2]])
def test_samples_are_the_same_in_any_order(ties, monkeypatch, chosen):
    in_memory, stored = both(ties, monkeypatch)
    indices = np.array(chosen)
    assert_same(in_memory.events.take(indices), stored.events.take(indices))
    assert_same(in_memory.presented(indices), stored.presented(indices))
    part, stored_part = in_memory.subset(indices), stored.subset(indices)
    assert isinstance(stored_part.events, StoredEvents)  # still in the file
    np.testing.assert_array_equal(part.events.counts, stored_part.events.counts)
    for i in range(len(chosen)):
        for a, b in zip(part.events.sample(i), stored_part.events.sample(i), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("at_once", [1, 4, 512])
def test_blocks_are_all_samples_in_their_order(ties, monkeypatch, at_once):
    in_memory, stored = both(ties, monkeypatch)
    monkeypatch.setattr(stored_events, "READ_AT_ONCE", at_once)
    monkeypatch.setattr(stored_events, "available_memory", lambda: 1 << 20)
    blocks = list(stored.events.blocks())
    assert max(map(len, blocks)) <= at_once
    joined = blocks[0]
    for block in blocks[1:]:
        joined = joined.followed_by(block)
    assert_same(in_memory.events, joined)
    assert digest(in_memory) == digest(stored)


def test_blocks_hold_few_spikes_and_the_file_is_opened_for_each_block_only(ties, monkeypatch):
    """How many samples are read together follows from their spikes, not from the file's size."""
    _, stored = both(ties, monkeypatch)
    counts = stored.events.counts
    assert list(stored_events._parts(counts, 4)) == [(0, 3), (3, 5), (5, 6)]
    assert list(stored_events._parts(counts, 1)) == [(0, 1), (1, 3), (3, 4), (4, 5), (5, 6)]
    opens, real = [], stored_events.opened
    monkeypatch.setattr(stored_events, "opened", lambda path: opens.append(path) or real(path))
    monkeypatch.setattr(stored_events, "available_memory", lambda: 4 * 4 * 6)  # four spikes
    assert [len(block) for block in stored.events.blocks()] == [3, 2, 1]
    assert len(opens) == 3
    stored.events.take(np.array([5, 0, 3]))
    assert len(opens) == 4


@pytest.mark.parametrize("options", [{}, {"chunks": (4,), "maxshape": (None,)}, {"gzip": True}])
def test_a_large_file_is_read_in_few_steps(tmp_path, monkeypatch, options):
    """Its rows' lengths are known before they are read, unless they are compressed."""
    path, counts = tmp_path / "a.h5", [3, 0, 1, 2, 1, 2]
    options = {"compression": "gzip"} if options.get("gzip") else options
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float32), ("units", np.uint16)):
            rows = file.create_dataset(f"spikes/{name}", (6,), h5py.vlen_dtype(kind), **options)
            for i, count in enumerate(counts):
                rows[i] = np.zeros(count, kind)
        file["labels"] = [0, 1] * 3
        file.attrs["n_channels"] = 10
    with h5py.File(path) as file:
        for name in ("times", "units"):
            lengths = check_places(file, file[f"spikes/{name}"], name, path)
            assert lengths is None if "compression" in options else lengths.tolist() == counts
    steps, real = [], stored_events._converted
    monkeypatch.setattr(
        stored_events, "_converted", lambda *a: steps.append(a[2].tolist()) or real(*a)
    )
    monkeypatch.setattr(stored_events, "available_memory", lambda: 4 * 4 * 6)  # four spikes
    found = read_spikes(path, "small")
    assert isinstance(found.events, StoredEvents)
    assert found.events.counts.tolist() == counts
    one_by_one = [[i] for i in range(6)]
    assert steps == (one_by_one if "compression" in options else [[0, 1, 2], [3, 4], [5]])


def test_a_copy_of_a_stored_dataset_is_the_same_file(tmp_path, monkeypatch):
    write_spikes(tmp_path / "a.h5", small.dataset([0, 1] * 5))
    _, stored = both(tmp_path / "a.h5", monkeypatch)
    write_spikes(tmp_path / "b.h5", stored)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_file_that_is_changed_while_it_is_in_use(ties, monkeypatch):
    _, stored = both(ties, monkeypatch)
    small.raw(ties, [[0.5]] * 7, [[1]] * 7, [0, 1, 0, 1, 0, 1, 0], n_channels=10)
    with pytest.raises(DataError, match="was changed while it was in use; leave datasets alone"):
        stored.events.take(np.array([0]))


def test_a_bad_sample_is_refused_before_training(tmp_path, no_memory):
    path = small.raw(tmp_path / "a.h5", [[0.5], [np.nan]], [[1], [1]], [0, 1], n_channels=10)
    with pytest.raises(DataError, match="0 <= spike time < inf must hold"):
        read_spikes(path, "x")


def test_a_run_learns_the_same_from_a_file(data, tmp_path, monkeypatch):
    settings = running.settings(data, epochs=2)
    in_memory = loop.start(settings, tmp_path / "memory", name="a")
    monkeypatch.setattr(stored_events, "available_memory", lambda: 0)
    stored = loop.start(settings, tmp_path / "stored", name="a")
    one, other = (folder.read_arrays("last") for folder in (in_memory, stored))
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)
    assert in_memory.predictions == stored.predictions
    assert in_memory.environment.dataset == stored.environment.dataset


def test_times_of_long_samples_keep_their_precision(tmp_path):
    """At 60 s a step of float16 is 31 ms; short samples beside them are rounded as in SHD."""
    times = [[100.125, 59_000.25], [100.125, 900.0]]
    dataset = small.dataset([0, 1])
    events = type(dataset.events).of([(np.array(t, np.float32), np.array([1, 2])) for t in times])
    write_spikes(tmp_path / "a.h5", replace(dataset, events=events))
    found = read_spikes(tmp_path / "a.h5", "x").events
    np.testing.assert_allclose(found.sample(0)[0], times[0], rtol=1e-6)
    alone = replace(small.dataset([0]), events=events.take(np.array([1])))
    write_spikes(tmp_path / "b.h5", alone)
    shd = read_spikes(tmp_path / "b.h5", "x").events
    np.testing.assert_array_equal(found.sample(1)[0], shd.sample(0)[0])
    assert shd.sample(0)[0][0] != np.float32(100.125)
