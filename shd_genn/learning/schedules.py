"""The learning rate of every batch.

It depends on the settings, the batch's number and the accuracies of the epochs before. These are in
``metrics.csv``, so a resumed run has the same rates, and nothing else has to be saved.
"""

from __future__ import annotations

import math

from shd_genn.learning.settings import Cosine, Plateau, Step, TrainConfig

FAST, SLOW = 0.8, 0.85
"""Decays of the two moving averages of schedule=plateau (`genn_eventprop`, final scans)."""


class Schedule:
    """Learning rates of a run.

    Args:
        config: Learning rate, ease-in and schedule.
        n_batches: Batches of an epoch.
    """

    def __init__(self, config: TrainConfig, n_batches: int) -> None:
        self._config = config
        self._n_batches = n_batches
        self._epoch = self._last_cut = 0
        self._fast = self._slow = 0.0
        self._plateau = 1.0

    def rate(self, epoch: int, batch: int) -> float:
        """The learning rate of a batch of an epoch; both are counted from 0."""
        config = self._config
        done = epoch * self._n_batches + batch
        # compared by logarithms, because the power would overflow in a long run
        growing = math.log(config.ease_in) + done * math.log(config.ease_in_growth) < 0
        ease = config.ease_in * config.ease_in_growth**done if growing else 1.0
        return config.learning_rate * ease * self._fall(epoch, batch)

    def _fall(self, epoch: int, batch: int) -> float:
        schedule = self._config.schedule
        if isinstance(schedule, Plateau):
            return self._plateau
        if isinstance(schedule, Step):
            return float(schedule.decay ** (epoch // schedule.decay_epochs))
        if isinstance(schedule, Cosine):
            passed = (epoch + batch / self._n_batches) / self._config.epochs
            return 0.5 * (1 + math.cos(math.pi * passed))
        return 1.0

    def epoch_done(self, accuracy: float) -> None:
        """Take the accuracy after an epoch into account; called once for every epoch, in order.

        The plateau rule of Nowotny, Turner & Knight (2025): the rate is cut when a fast moving
        average of the accuracy no longer lies above a slow one, ``decay_epochs`` after the last
        cut at the earliest.

        Args:
            accuracy: Of validation or training, never of the test set.
        """
        schedule = self._config.schedule
        if isinstance(schedule, Plateau):
            self._fast = FAST * self._fast + (1 - FAST) * accuracy
            self._slow = SLOW * self._slow + (1 - SLOW) * accuracy
            waited = self._epoch - self._last_cut > schedule.decay_epochs
            if waited and self._fast <= self._slow:
                self._plateau *= schedule.decay
                self._last_cut = self._epoch
        self._epoch += 1
