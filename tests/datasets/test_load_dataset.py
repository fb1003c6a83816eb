"""From a dataset's name to training, validation and test samples."""

import os

import h5py
import numpy as np
import pytest
from helpers import small

from shd_genn.datasets import official
from shd_genn.datasets.load import find_files, load_dataset, load_split
from shd_genn.datasets.match import with_words
from shd_genn.datasets.settings import DataConfig, RandomValidation, SpeakerValidation
from shd_genn.datasets.split import speaker_name
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.errors import ConfigError, DataError


def load(folder, seed=0, **options):
    return load_dataset(DataConfig(dataset=str(folder), **options), seed)


def assert_samples(part, whole, indices):
    """``part`` holds the samples of ``whole`` with these indices, in this order."""
    assert len(part) == len(indices)
    np.testing.assert_array_equal(part.labels, whole.labels[indices])
    for i, index in enumerate(indices):
        for one, other in zip(part.events.sample(i), whole.events.sample(index), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.fixture
def train():
    return small.dataset([0, 1] * 20, np.arange(40) // 10, speaker_names=("a", "b", "c", "d"))


@pytest.fixture
def test():
    return small.dataset([0, 1, 1], [0, 1, 1], speaker_names=("d", "e"), seed=1)


def test_a_folder_with_train_and_test(tmp_path, train, test):
    splits = load(small.write(tmp_path / "mine", train=train, test=test), validation="none")
    assert splits.train.name == splits.test.name == "mine"
    assert splits.valid is None
    assert_samples(splits.train, train, range(40))
    assert_samples(splits.test, test, range(3))


def test_files_named_as_shds(tmp_path, train, test):
    small.write(tmp_path, shd_train=train, shd_test=test)
    assert len(load(tmp_path, validation="none").train) == 40


def test_a_folder_named_as_a_published_dataset_is_not_called_so(tmp_path, train):
    for name in ("shd", "ssc", "spoken-digits"):
        folder = small.write(tmp_path / name, train=train)
        assert load(folder).train.name == f"{name}-folder"


def test_no_test_set_is_no_error(tmp_path, train):
    assert load(small.write(tmp_path, train=train)).test is None


def test_speakers_are_matched_by_name(tmp_path, train, test):
    splits = load(small.write(tmp_path, train=train, test=test), validation="none")
    names = [speaker_name(splits.test, int(i)) for i in splits.test.speakers]
    assert names == ["d", "e", "e"]
    assert splits.test.speakers[0] == splits.train.speakers[-1]
    assert splits.test.speaker_names == splits.train.speaker_names == ("a", "b", "c", "d", "e")


def test_speakers_without_names_keep_their_numbers(tmp_path):
    train, test = small.dataset([0, 1] * 5, [0] * 10), small.dataset([0, 1], [4, 5])
    splits = load(small.write(tmp_path, train=train, test=test), validation="none")
    assert splits.test.speakers.tolist() == [4, 5] and splits.test.speaker_names == ()


def test_speakers_by_name_and_by_number_do_not_mix(tmp_path, train):
    small.write(tmp_path, train=train, test=small.dataset([0], [2]))
    with pytest.raises(DataError, match="but train, valid has names and test only numbers; add"):
        load(tmp_path)


def test_unknown_speakers_stay_unknown(tmp_path, train):
    test = small.dataset([0, 1, 1], [1, -1, 0], speaker_names=("d", "e"))
    splits = load(small.write(tmp_path, train=train, test=test), validation="none")
    assert splits.test.speakers.tolist() == [4, -1, 3]


def test_the_validation_speaker_and_none_else(tmp_path, train):
    splits = load(small.write(tmp_path, train=train), validation=SpeakerValidation("b"))
    assert_samples(splits.valid, train, range(10, 20))
    assert set(splits.valid.speakers) == {1} and set(splits.train.speakers) == {0, 2, 3}


def test_the_seed_decides_the_random_split(tmp_path):
    train = small.dataset([0, 1] * 20, np.arange(40))  # told apart by their speakers
    small.write(tmp_path, train=train)
    chosen = [set(load(tmp_path, seed, validation="random").valid.speakers) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_classes_are_matched_by_name(tmp_path, train):
    other = small.dataset([0, 1, 1], names=("nein", "ja"))
    splits = load(small.write(tmp_path, train=train, test=other), validation="none")
    assert splits.test.class_names == ("ja", "nein")
    assert splits.test.labels.tolist() == [1, 0, 0]


def test_a_file_may_lack_words_of_another(tmp_path, train):
    few = small.dataset([0, 0], names=("nein",))
    splits = load(small.write(tmp_path, train=train, test=few), validation="none")
    assert splits.test.labels.tolist() == [1, 1] and splits.test.n_classes == 2


def test_the_test_set_never_changes_training(tmp_path, train, capsys):
    """Classes and their order come from the training set alone (issue: item 20)."""
    names = ("aber", "ja", "doch", "nein")
    other = small.dataset([0, 1, 2, 3, 1], names=names)
    small.write(tmp_path, train=train, test=other)
    with_test = load(tmp_path, seed=1)
    assert "2 of 5 samples of test are left out" in (note := capsys.readouterr().err)
    assert "no sample of their words: aber, doch" in note
    (tmp_path / "test.h5").unlink()
    without = load(tmp_path, seed=1)
    assert capsys.readouterr().err == ""  # training notes that there is no test set, once
    for split in ("train", "valid"):
        one, two = getattr(with_test, split), getattr(without, split)
        assert one.class_names == two.class_names == ("ja", "nein")
        assert one.labels.tolist() == two.labels.tolist()
    assert with_test.test.class_names == ("ja", "nein")
    assert with_test.test.labels.tolist() == [0, 1, 0]
    times, _ = with_test.test.events.sample(1)
    assert times.tolist() == other.events.sample(3)[0].tolist()


def test_only_other_words_in_the_test_set(tmp_path, train):
    small.write(tmp_path, train=train, test=small.dataset([0, 1], names=("aber", "doch")))
    with pytest.raises(ConfigError, match=r"none of the words ja, nein .*, but aber, doch; use"):
        load(tmp_path, seed=0)


def test_labels_without_names_have_no_gaps(tmp_path):
    path = tmp_path / "train.h5"
    small.raw(path, [[0.0]] * 6, [[1]] * 6, [0, 1, 3] * 2)
    with pytest.raises(DataError, match="labels up to 3, but no sample of 2; number"):
        load(tmp_path, seed=0)
    with h5py.File(path, "a") as file:
        file["extra/keys"] = [b"a", b"b", b"c", b"d"]
    assert load(tmp_path, seed=0).train.n_classes == 4


def test_other_channels_in_the_test_set(tmp_path, train):
    small.write(tmp_path, train=train, test=small.dataset([0, 1], n_channels=80))
    with pytest.raises(DataError, match="must have the 700 channels of train, but has 80; encode"):
        load(tmp_path)


def test_an_unknown_name_is_not_guessed():
    message = "must be spoken-digits, shd, ssc, or a folder with train.h5 .*, but got 'SHD'; corr"
    with pytest.raises(DataError, match=message):
        find_files("SHD")


def test_a_folder_without_files(tmp_path):
    with pytest.raises(DataError, match=r"must hold train.h5 and test.h5, .* shd_genn.encode"):
        load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_training_samples(tmp_path, test):
    with pytest.raises(DataError, match=r"must hold train.h5 to train on, but has only test; enc"):
        load(small.write(tmp_path, test=test))


def test_two_files_for_one_split(tmp_path, train):
    small.write(tmp_path, a_train=train, b_train=train)
    with pytest.raises(DataError, match=r"one file for train, but holds a_train.h5, b_train.h5"):
        load(tmp_path)


def test_one_split(tmp_path, train, test):
    small.write(tmp_path, train=train, test=test)
    assert_samples(load_split(str(tmp_path), "test"), test, range(3))
    with pytest.raises(DataError, match="must be one of train, test, but got 'valid'; choose"):
        load_split(str(tmp_path), "valid")


def test_valid_h5_is_used_unless_told_otherwise(tmp_path, train, test):
    valid = small.dataset([1] * 7, seed=5)
    small.write(tmp_path, train=train, valid=valid, test=test)
    splits = load(tmp_path)
    assert_samples(splits.valid, valid, range(7))
    assert len(splits.train) == 40
    splits = load(tmp_path, validation=RandomValidation(0.25))
    assert (len(splits.train), len(splits.valid)) == (30, 10)
    assert load(tmp_path, validation="none").valid is None


@pytest.mark.parametrize("validation", ["auto", "random", SpeakerValidation("a"), "none"], ids=str)
def test_validation_samples_never_come_from_the_test_set(tmp_path, train, test, validation):
    folder = small.write(tmp_path, train=train, test=test)
    splits = load(folder, validation=validation)
    assert_samples(splits.test, test, range(3))
    assert len(splits.train) + (len(splits.valid) if splits.valid else 0) == 40


def test_other_words_than_a_network_knows():
    dataset = small.dataset([0, 1, 1])
    assert with_words(("ja", "nein"), dataset, "test") is dataset
    assert with_words(("nein", "doch", "ja"), dataset, "test").labels.tolist() == [2, 0, 0]
    with pytest.raises(ConfigError, match="has none of the words doch that"):
        with_words(("doch",), dataset, "test")


@pytest.fixture
def little_shd(monkeypatch):
    """SHD, had it 40 training and 3 test samples."""
    shd = official.Official("SHD", official.DATASETS["shd"].files, {"train": 40, "test": 3})
    monkeypatch.setitem(official.DATASETS, "shd", shd)


@pytest.mark.parametrize("inside", ["", "SHD"])
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_shd_from_a_folder(tmp_path, monkeypatch, little_shd, train, test, inside, by):
    small.write(tmp_path / inside, shd_train=train, shd_test=test)
    if by == "environment":
        monkeypatch.setenv("SHD_GENN_DATA", str(tmp_path))
    data_dir = None if by == "environment" else str(tmp_path)
    splits = load("shd", data_dir=data_dir)
    assert splits.train.name == "shd"
    assert len(splits.train) + len(splits.valid) == 40 and len(splits.test) == 3


def test_only_shd_counts_as_shd(tmp_path, train, test):
    small.write(tmp_path, shd_train=train, shd_test=test)
    message = "must be the published file of 8156 samples to count as shd, but has 40; download"
    with pytest.raises(DataError, match=message):
        load("shd", data_dir=str(tmp_path))


def test_damaged_shd(tmp_path, train, little_shd):
    small.write(tmp_path, shd_train=train)
    (tmp_path / "shd_test.h5").write_bytes(b"half")
    with pytest.raises(
        DataError, match=r"shd_test.h5 must be .* but has no labels; download it again"
    ):
        load("shd", data_dir=str(tmp_path))


def test_missing_files_are_not_fetched_unasked(tmp_path, train):
    write_spikes(tmp_path / "ssc_train.h5", train)
    message = (
        r"ssc must lie in .*, but ssc_valid.h5, ssc_test.h5 is missing; "
        "download it with python -m shd_genn.datasets ssc"
    )
    with pytest.raises(DataError, match=message):
        load("ssc", data_dir=str(tmp_path))


def test_a_folder_whose_name_is_not_utf8(tmp_path, train):
    folder = tmp_path / os.fsdecode(b"\xfc")
    small.write(folder, train=train)
    with pytest.raises(DataError, match="is not UTF-8, so a run cannot record it; rename"):
        load(folder)
