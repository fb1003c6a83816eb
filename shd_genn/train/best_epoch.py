"""The epoch whose parameters are used in the end."""

from __future__ import annotations

from dataclasses import dataclass

from shd_genn.record.rows import EpochRow


@dataclass
class BestEpoch:
    """The best epoch so far: the highest accuracy, and of those the lowest loss.

    Attributes:
        epoch: The epoch, counted from 1; 0 before the first one.
        accuracy: Its accuracy.
        last_gain: The last epoch that raised the accuracy itself.
    """

    epoch: int = 0
    accuracy: float = -1.0
    loss: float = 0.0
    last_gain: int = 0

    def update(self, row: EpochRow) -> bool:
        """Compare with the next epoch; whether that one is better."""
        if row.accuracy > self.accuracy:
            self.last_gain = row.epoch
        if (row.accuracy, -row.loss) <= (self.accuracy, -self.loss):
            return False
        self.epoch, self.accuracy, self.loss = row.epoch, row.accuracy, row.loss
        return True
