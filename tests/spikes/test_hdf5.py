"""Files in SHD's layout: what is written is read, and what is wrong is said."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import small
from hypothesis import given
from hypothesis import strategies as st

from shd_genn.spikes.hdf5 import read_spikes, write_spikes
from shd_genn.support.errors import ConfigError, DataError

GENUINE = Path(__file__).resolve().parents[3] / "shared/data/heidelberg/shd_12_samples.h5"


def assert_same(a, b):
    for key in ("times_ms", "channels", "offsets"):
        one, other = getattr(a.events, key), getattr(b.events, key)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.speakers, b.speakers)
    assert (a.class_names, a.speaker_names) == (b.class_names, b.speaker_names)
    assert a.n_channels == b.n_channels


@given(
    labels=st.lists(st.integers(0, 1), min_size=1, max_size=12),
    seed=st.integers(0, 100),
    with_speakers=st.booleans(),
    n_channels=st.sampled_from([1, 80, 700, 65_535]),
)
def test_there_and_back(tmp_path_factory, labels, seed, with_speakers, n_channels):
    speakers = np.arange(len(labels)) % 3 if with_speakers else None
    names = ("Ada", "Jürgen", "Zoë") if with_speakers else ()
    before = small.dataset(labels, speakers, ("null", "fünf"), names, n_channels, seed)
    path = tmp_path_factory.mktemp("h5") / "train.h5"
    write_spikes(path, before)
    assert_same(before, read_spikes(path, "small"))


def test_the_layout_is_shds(tmp_path):
    path = tmp_path / "a.h5"
    write_spikes(path, small.dataset([0, 1], [1, 0], speaker_names=("a", "b")), {"seed": "7"})
    with h5py.File(path) as file:
        assert file["spikes/times"][1].dtype == np.float16
        assert file["spikes/units"][1].dtype == np.uint16
        assert file["extra/keys"][:].tolist() == [b"ja", b"nein"]
        assert file["extra/speaker"][:].tolist() == [1, 0]
        assert file.attrs["seed"] == "7"


def test_genuine_samples_are_read():
    if not GENUINE.is_file():
        pytest.skip(f"the genuine samples are not in {GENUINE}")
    dataset = read_spikes(GENUINE, "genuine")
    assert len(dataset) == 12
    assert dataset.n_channels == 700
    assert dataset.events.counts.min() > 3000 and dataset.events.counts.max() < 13_500
    assert (dataset.speakers == -1).all() and dataset.speaker_names == ()
    with h5py.File(GENUINE) as file:
        labels = file["labels"][:]
        seconds, units = file["spikes/times"][7], file["spikes/units"][7]
    np.testing.assert_array_equal(dataset.labels, labels)
    times_ms, channels = dataset.events.sample(7)
    np.testing.assert_allclose(times_ms, seconds.astype(np.float64) * 1000, rtol=1e-7)
    np.testing.assert_array_equal(channels, units)
    for i in range(12):
        times_ms, _ = dataset.events.sample(i)
        assert times_ms[0] == 0 and 400 < times_ms[-1] < 1400
        assert (np.diff(times_ms) >= 0).all()


def test_times_beyond_float16_in_ms(tmp_path):
    path = small.raw(tmp_path / "a.h5", [[0.0, 100.0]], [[1, 2]], [0])
    assert read_spikes(path, "a").events.times_ms.tolist() == [0, 100_000]


@pytest.mark.parametrize("first", [0, 5])
def test_samples_whose_times_do_not_ascend_are_refused(tmp_path, monkeypatch, first):
    monkeypatch.setattr("shd_genn.spikes.stored_events.READ_AT_ONCE", 2)
    good = [[0.0, 0.5, 0.5], [0.25], []] * 2  # times fall from one sample to the next only
    times = [*good[:first], [0.5, 0.25, 0.75], *good[first:]]
    units = [list(range(len(row))) for row in times]
    path = small.raw(tmp_path / "a.h5", times, units, [0] * 7)
    with pytest.raises(DataError, match=f"those of sample {first} do not; give the spikes"):
        read_spikes(path, "a")
    small.raw(tmp_path / "b.h5", good, units[:first] + units[first + 1 :], [0] * 6)
    assert read_spikes(tmp_path / "b.h5", "b").events.counts.tolist() == [3, 1, 0] * 2


def test_more_samples_than_are_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("shd_genn.spikes.stored_events.READ_AT_ONCE", 4)
    before = small.dataset([0, 1] * 5 + [1])
    write_spikes(tmp_path / "a.h5", before)
    assert_same(before, read_spikes(tmp_path / "a.h5", "small"))


GOOD = ([[0.0, 0.5]], [[1, 2]], [0])
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("times", "units", "labels", "more", "message"),
    [
        (None, [[1]], [0], {}, r"must hold spikes/times \(SHD's layout: .*but has labels, spikes"),
        ([[0.0]], None, [0], {}, "must hold spikes/units"),
        ([[0.0]], [[1]], None, {}, "must hold labels .* python -m shd_genn.encode"),
        ([[0.0, 0.5]], [[1]], [0], {}, "sample 0 must have as many times as units, but has 2 and"),
        ([[0.0], [0.5]], [[1]], [0], {}, "must have times, units and a label .*'spikes/times': 2"),
        ([[0.0]], [[1]], [0, 1], {}, "a label for every sample, but has .*'labels': 2"),
        ([[NAN]], [[1]], [0], {}, "0 <= spike time < inf must hold, but got nan s; remove"),
        ([[-0.5]], [[1]], [0], {}, "0 <= spike time < inf must hold, but got -0.5 s"),
        ([[0.1, INF]], [[1, 1]], [0], {}, "0 <= spike time < inf must hold, but got inf s"),
        ([[0.0]], [[700]], [0], {}, "0 <= unit < 700 channels must hold, but units range from 700"),
        ([[0.0]], [[-1]], [0], {}, "0 <= unit < 700 channels must hold, but units range from -1"),
        ([[0.0]], [[80]], [0], {"n_channels": 80}, "0 <= unit < 80 channels must hold"),
        ([[0.0]], [[1.5]], [0], {}, "spikes/units must be whole numbers, but are float64"),
        (*GOOD, {"n_channels": 0}, "1 <= n_channels <= 65536 must hold, but got 0; correct"),
        (*GOOD, {"n_channels": 65_537}, "1 <= n_channels <= 65536 must hold, but got 65537"),
        (
            *GOOD,
            {"n_channels": INF},
            "the attribute n_channels must be a whole number, but is inf; correct",
        ),
        ([[0.0]], [[1]], [-1], {}, "0 <= labels <= 65535 must hold, but it ranges from -1"),
        (
            [[0.0]],
            [[1]],
            [2],
            {"keys": [b"a", b"b"]},
            "0 <= labels <= 1 must hold, but it ranges from 2 to 2",
        ),
        (
            [[0.0]],
            [[1]],
            [2**40],
            {},
            "0 <= labels <= 65535 .* from 1099511627776 to 1099511",
        ),
        ([[0.0]], [[1]], [0.5], {}, "labels must be a row of whole numbers, but is float64"),
        ([], [], np.array([], np.int64), {}, "must hold samples, but is empty; encode recordings"),
        (*GOOD, {"keys": [b"a", b"a"]}, "extra/keys must name every class differently, but has a"),
        (
            *GOOD,
            {"speaker": [0, 1]},
            r"each of its 1 samples, but extra/speaker has the shape \(2,\); correct",
        ),
        (
            *GOOD,
            {"speaker": [3], "meta_info/speaker_names": [b"x"]},
            "-1 <= extra/speaker <= 0 must hold, but it ranges from 3 to 3; correct extra/speaker",
        ),
        (
            *GOOD,
            {"speaker": [1], "meta_info/speaker_names": [b"x"]},
            "-1 <= extra/speaker <= 0 must hold, but it ranges from 1 to 1",
        ),
        (
            *GOOD,
            {"speaker": [1], "meta_info/speaker_names": [b"x", b"x"]},
            "speaker_names must name every speaker differently, but has x, x; number those",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, times, units, labels, more, message):
    path = small.raw(tmp_path / "bad.h5", times, units, labels, **more)
    content = path.read_bytes()
    with pytest.raises(DataError, match=message) as caught:
        read_spikes(path, "bad")
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="but there is none; correct the path"):
        read_spikes(tmp_path / "none.h5", "none")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text("times,units\n0,1\n")
    with pytest.raises(DataError, match=r"whole HDF5 file in SHD's layout, but .*; copy"):
        read_spikes(path, "a")


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.9, 0.99])
def test_a_truncated_file(tmp_path, part):
    path = tmp_path / "a.h5"
    write_spikes(path, small.dataset([0, 1] * 50))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(DataError, match="must be a whole HDF5 file in SHD's layout, but "):
        read_spikes(path, "a")


def test_a_group_where_a_dataset_should_be(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for key in ("spikes/times/0", "spikes/units/0", "labels"):
            file[key] = [0]
    with pytest.raises(DataError, match="must be a whole HDF5 file in SHD's layout"):
        read_spikes(tmp_path / "a.h5", "a")


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    before = small.dataset([0, 1])
    write_spikes(path, before)

    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(h5py.Group, "__setitem__", stop)
    with pytest.raises(KeyboardInterrupt):
        write_spikes(path, small.dataset([1, 1, 1]))
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    assert_same(before, read_spikes(path, "small"))


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be written .*choose a folder"):
        write_spikes(tmp_path / "file" / "a.h5", small.dataset([0]))
