"""e-prop's feedback weights beside an engine that learns: they follow its updates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import BatchResult, Learner
from shd_genn.learning.methods.feedback import Feedback
from shd_genn.learning.optimisers import LearningRate, rate_of


def followed(
    learner: Learner,
    feedback: Feedback,
    learning_rate: LearningRate,
    update: Callable[[], BatchResult],
) -> BatchResult:
    """Make an update, and let feedback weights follow it if they do.

    Args:
        learner: The engine that is updated.
        feedback: Its feedback weights.
        learning_rate: Of the update.
        update: Makes it.
    """
    if not feedback.follows:
        return update()
    before = learner.parameters()
    result = update()
    after = learner.parameters()
    rate = rate_of(learning_rate, next(iter(before)))
    decayed: dict[str, NDArray[np.float32]] = feedback.follow(before, after, rate)
    learner.set_parameters(after | decayed)
    return result
