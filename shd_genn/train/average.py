"""An average of all parameters over the epochs, which is chosen and saved in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from shd_genn.backends.protocols import Learner, Parameters


class EpochAverage:
    """The exponential moving average of the parameters at the ends of epochs.

    After epoch e it is A_e / (1 - d^e) with A_e = d A_(e-1) + (1 - d) w_e, A_0 = 0: the mean of
    w_1, …, w_e with weights that fall by d an epoch, of about the last 1 / (1 - d) epochs. (As
    Adam's moments; weight averages of this kind are Polyak & Juditsky's, 1992.)

    Args:
        decay: d, 0 to less than 1. With 0 it is the last epoch's parameters, to the bit.

    Attributes:
        total: Key → A_e, float64; empty before the first epoch.
        epochs: e.
    """

    def __init__(self, decay: float) -> None:
        self.decay, self.epochs = decay, 0
        self.total: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = {}

    def add(self, parameters: Parameters) -> None:
        """Count the parameters at the end of another epoch."""
        if not self.decay:
            return
        self.epochs += 1
        for key, now in parameters.items():
            before = self.total.get(key, np.zeros(now.shape))
            self.total[key] = self.decay * before + (1 - self.decay) * now.astype(np.float64)

    @property
    def parameters(self) -> Parameters:
        """The average, float32."""
        correction = 1 - self.decay**self.epochs
        return {key: (a / correction).astype(np.float32) for key, a in self.total.items()}

    @contextmanager
    def used_by(self, learner: Learner) -> Iterator[None]:
        """Give a network the average meanwhile, and its own parameters back at the end."""
        if not self.decay:
            yield
            return
        own = learner.parameters()
        learner.set_parameters(self.parameters)
        try:
            yield
        finally:
            learner.set_parameters(own)
