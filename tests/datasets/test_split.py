"""Validation samples out of the training set."""

import numpy as np
import pytest
from helpers import small
from hypothesis import given
from hypothesis import strategies as st

from shd_genn.datasets.split import speaker_name, split_random, split_speaker
from shd_genn.support.errors import ConfigError


def numbered(labels, **more):
    """A dataset whose samples can be told apart: sample i has i spikes."""
    dataset = small.dataset(labels, **more)
    n = np.arange(len(labels))
    events = type(dataset.events)(
        np.zeros(n.sum(), np.float32),
        np.zeros(n.sum(), np.uint16),
        np.concatenate([[0], np.cumsum(n)]),
    )
    return type(dataset)(**{**vars(dataset), "events": events})


@given(
    labels=st.lists(st.integers(0, 1), min_size=2, max_size=60),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_random_split(labels, fraction, seed):
    dataset = numbered(labels)
    wanted = {}
    for c in (0, 1):
        n = labels.count(c)
        wanted[c] = min(max(1, round(fraction * n)), n - 1) if n > 1 else 0
    if not any(wanted.values()):
        with pytest.raises(ConfigError, match="both training and validation must have samples"):
            split_random(dataset, fraction, seed)
        return
    train, valid = split_random(dataset, fraction, seed)
    # disjoint, complete, and the same part of each class
    assert sorted([*train.events.counts, *valid.events.counts]) == list(range(len(labels)))
    assert {c: int((valid.labels == c).sum()) for c in (0, 1)} == wanted
    again = split_random(dataset, fraction, seed)[1]
    np.testing.assert_array_equal(again.events.counts, valid.events.counts)


def test_another_seed_another_split():
    dataset = numbered([0, 1] * 50)
    a, b = (split_random(dataset, 0.2, seed)[1].events.counts for seed in (0, 1))
    assert a.tolist() != b.tolist()


SPEAKERS = {"speakers": [0, 0, 2, 2, 2, 1], "speaker_names": ("Ada", "7", "Cy", "not here")}


@pytest.mark.parametrize(
    ("speaker", "samples"),
    [("Ada", [0, 1]), ("Cy", [2, 3, 4]), ("2", [2, 3, 4]), ("7", [5])],
)
def test_one_speaker_by_name_or_index(speaker, samples):
    train, valid = split_speaker(numbered([0, 1] * 3, **SPEAKERS), speaker)
    assert valid.events.counts.tolist() == samples
    assert sorted([*train.events.counts, *valid.events.counts]) == list(range(6))


def test_a_name_comes_before_an_index():
    dataset = numbered([0, 1] * 2, speakers=[0, 0, 1, 1], speaker_names=("1", "Ada"))
    assert split_speaker(dataset, "1")[1].events.counts.tolist() == [0, 1]


def test_labels_and_speakers_stay_with_their_samples():
    dataset = numbered([0, 1, 1, 0, 0, 1], speakers=[5, 4, 3, 2, 1, -1])
    for part in split_random(dataset, 0.5, 0):
        indices = part.events.counts
        np.testing.assert_array_equal(part.labels, dataset.labels[indices])
        np.testing.assert_array_equal(part.speakers, dataset.speakers[indices])


def test_one_speaker_of_those_without_names():
    _, valid = split_speaker(numbered([0, 1] * 2, speakers=[4, 4, 5, 11]), "5")
    assert valid.events.counts.tolist() == [2]


def test_several_speakers_are_left_out_together():
    train, valid = split_speaker(numbered([0, 1] * 3, **SPEAKERS), "Ada, Cy")
    assert set(train.speakers) == {1} and set(valid.speakers) == {0, 2}
    comma = numbered([0, 1] * 2, speakers=[0, 0, 1, 1], speaker_names=("Lee, Ada", "Cy"))
    assert set(split_speaker(comma, "Lee, Ada")[1].speakers) == {0}
    with pytest.raises(ConfigError, match="must be a training speaker, but got 'Bo'"):
        split_speaker(numbered([0, 1] * 3, **SPEAKERS), "Ada,Bo")


def test_a_speaker_who_is_not_in_the_training_set():
    message = "must be a training speaker, but got 'not here'; choose one of Ada, 7, Cy"
    with pytest.raises(ConfigError, match=message):
        split_speaker(numbered([0, 1] * 3, **SPEAKERS), "not here")


def test_no_speakers_known():
    with pytest.raises(ConfigError, match=r"must name speakers .* use validation=random"):
        split_speaker(small.dataset([0, 1]), "Ada")


def test_a_single_speaker_cannot_be_left_out():
    with pytest.raises(ConfigError, match="both training and validation must have samples, but"):
        split_speaker(small.dataset([0, 1], [3, 3]), "3")


def test_names_of_speakers():
    named = small.dataset([0], [0], speaker_names=("Ada",))
    assert speaker_name(named, 0) == "Ada"
    assert speaker_name(named, -1) == ""
    assert speaker_name(small.dataset([0], [4]), 4) == "4"
