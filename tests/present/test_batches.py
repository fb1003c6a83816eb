"""Batches are made in the background, while the one before is used."""

import threading

import numpy as np
import pytest

from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.settings import TrainConfig
from shd_genn.present.batches import batches, one_ahead
from shd_genn.present.settings import AugmentConfig
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events


def test_blends_are_of_what_a_trial_shows():
    """What comes after its end neither moves into it nor moves the rest."""

    def blended(late):
        times = [np.append([100.0, 300.0], late), np.append([50.0, 150.0], late)]
        dataset = SpikeDataset(
            name="two",
            events=Events.of([(t, np.full(len(t), 5)) for t in times]),
            labels=np.zeros(2, np.int32),
            speakers=np.zeros(2, np.int32),
            n_channels=10,
            class_names=("word",),
        )
        config = Config(
            data=DataConfig(trial_ms=400.0),
            augment=AugmentConfig(blend=20.0, blend_keep=1.0, shift_channels=0.0),
            train=TrainConfig(batch_size=50),
        )
        (batch,) = batches(config.batching, dataset, 0)
        shown = [events[0] for events in map(batch[0].sample, range(len(batch[0])))]
        return [times[times < 400.0].tolist() for times in shown]

    assert blended([]) == blended([410.0, 900.0])


def test_the_next_is_made_while_one_is_used():
    made = [threading.Event() for _ in range(4)]
    makers = set()

    def items():
        for i, event in enumerate(made):
            makers.add(threading.get_ident())
            event.set()
            yield i

    used = []
    for item in one_ahead(items()):
        if item + 1 < len(made):  # it is being used, and the next one comes all the same
            assert made[item + 1].wait(timeout=30)
        used.append(item)
    assert used == [0, 1, 2, 3]
    assert threading.get_ident() not in makers


def test_what_goes_wrong_in_the_background_is_heard_of():
    def items():
        yield 1
        raise ValueError("no second one")

    with pytest.raises(ValueError, match="no second one"):
        list(one_ahead(items()))
