"""Optimisers and their learning rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.network import kind_of
from shd_genn.support.errors import refuse_unless, require

Array = NDArray[np.floating]

LearningRate = float | Mapping[str, float]
"""One rate for everything that is learned, or one for each kind of parameter."""


@dataclass(frozen=True)
class Adam:
    """The Adam optimiser (Kingma & Ba 2015) in mlGeNN's form.

    m = β1 m + (1-β1) g;  v = β2 v + (1-β2) g²;
    w -= rate · m/(1-β1^k) / (sqrt(v/(1-β2^k)) + epsilon) at update k = 1, 2, …

    `update` is the specification of the generated code's Adam.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name, beta in (("beta1", self.beta1), ("beta2", self.beta2)):
            require(
                0 <= beta < 1, f"0 <= {name} < 1", beta, "Adam's usual values are 0.9 and 0.999"
            )
        require(0 < self.epsilon, "0 < epsilon", self.epsilon, "Adam's usual value is 1e-8")

    def bias_corrections(self, step: int) -> tuple[float, float]:
        """1-β1^k and 1-β2^k of update number k = 1, 2, …, which m and v are divided by."""
        return 1 - self.beta1**step, 1 - self.beta2**step

    def update(
        self, w: Array, gradient: Array, m: Array, v: Array, step: int, learning_rate: float
    ) -> tuple[Array, Array, Array]:
        """Parameters and moments after an update, in the precision of what is given.

        Args:
            w: Parameters.
            gradient: Their gradient, of the same shape.
            m: Moving mean of the gradient, before.
            v: Moving mean of its square, before.
            step: The update's number: 1, 2, …
            learning_rate: Its rate.

        Returns:
            w, m and v after the update.
        """
        m = self.beta1 * m + (1 - self.beta1) * gradient
        v = self.beta2 * v + (1 - self.beta2) * gradient**2
        of_m, of_v = self.bias_corrections(step)
        m_hat, v_hat = m / of_m, v / of_v
        return w - learning_rate * m_hat / (np.sqrt(v_hat) + self.epsilon), m, v


def rate_of(learning_rate: LearningRate, key: str) -> float:
    """The learning rate of one of the `Parameters`.

    Raises:
        ConfigError: if rates are given by kind, but not for this one.
    """
    if not isinstance(learning_rate, Mapping):
        return learning_rate
    kind = kind_of(key)
    refuse_unless(
        kind in learning_rate,
        f"{key} is learned, but the learning rates {dict(learning_rate)} have none for {kind}",
        f"add {kind}, or give one number for all",
    )
    return learning_rate[kind]
