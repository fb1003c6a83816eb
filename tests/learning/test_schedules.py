"""Learning rates of every batch."""

import math
from dataclasses import replace

import numpy as np
import pytest

from shd_genn.learning.schedules import Schedule
from shd_genn.learning.settings import Plateau, Step, TrainConfig

RATE = 0.01


def rates(n_epochs, n_batches=10, **settings):
    schedule = Schedule(TrainConfig(epochs=n_epochs, learning_rate=RATE, **settings), n_batches)
    return np.array([[schedule.rate(e, b) for b in range(n_batches)] for e in range(n_epochs)])


def test_a_constant_rate_is_constant():
    assert set(rates(5).ravel()) == {RATE}


def test_ease_in_grows_with_every_batch_until_it_is_whole():
    got = rates(20, ease_in=1e-3, ease_in_growth=1.05).ravel()
    assert got[0] == pytest.approx(1e-3 * RATE)
    rising = got < RATE
    np.testing.assert_allclose(got[1:][rising[1:]] / got[:-1][rising[1:]], 1.05)
    assert rising.sum() == 142  # of recipes: ln 1000 / ln 1.05
    assert set(got[142:]) == {RATE}


def test_ease_in_of_a_long_run_does_not_overflow():
    schedule = Schedule(TrainConfig(ease_in=1e-3), 10_000)
    assert schedule.rate(10_000, 0) == 1e-3


def test_steps():
    got = rates(9, schedule=Step(decay=0.5, decay_epochs=4))[:, 0] / RATE
    assert got.tolist() == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]


def test_cosine_ends_at_nothing():
    got = rates(10, schedule="cosine").ravel() / RATE
    np.testing.assert_allclose(got, 0.5 * (1 + np.cos(np.pi * np.arange(100) / 100)))
    assert math.isclose(got[50], 0.5) and got[-1] < 1e-3


def test_plateau_is_the_rule_of_genn_eventprop():
    """Against the loop of simulator_SHD.py, written out."""
    rng = np.random.default_rng(0)
    accuracies = np.concatenate([np.linspace(0, 0.9, 40), 0.9 - 0.2 * rng.random(160)])
    schedule = Schedule(
        TrainConfig(learning_rate=RATE, schedule=Plateau(decay=0.5, decay_epochs=20)), 10
    )
    rate, fast, slow, last_cut, cuts = RATE, 0.0, 0.0, 0, 0
    for epoch, accuracy in enumerate(accuracies.tolist()):
        assert schedule.rate(epoch, 3) == pytest.approx(rate)
        schedule.epoch_done(accuracy)
        fast = 0.8 * fast + 0.2 * accuracy
        slow = 0.85 * slow + 0.15 * accuracy
        if epoch - last_cut > 20 and fast <= slow:
            rate, last_cut, cuts = 0.5 * rate, epoch, cuts + 1
    assert 2 < cuts < 9


def test_a_growing_accuracy_keeps_the_rate():
    schedule = Schedule(TrainConfig(learning_rate=RATE, schedule=Plateau(decay_epochs=1)), 10)
    for epoch in range(200):
        assert schedule.rate(epoch, 0) == RATE
        schedule.epoch_done(epoch / 200)


def test_the_state_follows_from_the_accuracies():
    """A resumed run takes those of metrics.csv into account again: the same rates to the bit."""
    config = replace(TrainConfig(), schedule=Plateau(decay_epochs=3), ease_in=0.01)
    whole, resumed = Schedule(config, 7), Schedule(config, 7)
    accuracies = np.random.default_rng(1).random(60).tolist()
    for accuracy in accuracies:
        whole.epoch_done(accuracy)
    for accuracy in accuracies:
        resumed.epoch_done(float(repr(accuracy)))
    assert whole.rate(60, 2) == resumed.rate(60, 2) < config.learning_rate
