"""Optimisers and their learning rates."""

from __future__ import annotations

import math
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

    Attributes:
        beta1: Decay of the mean gradient.
        beta2: Decay of the mean squared gradient.
        epsilon: Guard against division by zero.
        weight_decay: λ of AdamW (Loshchilov & Hutter 2019): before an update, weights (and nothing
            else that is learned) are multiplied by 1 - rate · λ.
        clip_gradient: Largest norm of the gradient of the batch's mean loss, of all that is learned
            together (Pascanu, Mikolov & Bengio 2013); a longer one is shortened to it. 0: none.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip_gradient: float = 0.0

    def __post_init__(self) -> None:
        for name in ("weight_decay", "clip_gradient"):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"0 <= {name} < inf", value, "0 means none")
        for name, beta in (("beta1", self.beta1), ("beta2", self.beta2)):
            require(
                0 <= beta < 1, f"0 <= {name} < 1", beta, "Adam's usual values are 0.9 and 0.999"
            )
        require(0 < self.epsilon, "0 < epsilon", self.epsilon, "Adam's usual value is 1e-8")

    def bias_corrections(self, step: int) -> tuple[float, float]:
        """1-β1^k and 1-β2^k of update number k = 1, 2, …, which m and v are divided by."""
        return 1 - self.beta1**step, 1 - self.beta2**step

    def kept(self, key: str, learning_rate: float) -> float:
        """What weight decay multiplies a parameter by before an update.

        Args:
            key: The parameter's key.
            learning_rate: Its rate.

        Raises:
            ConfigError: if rate and decay are so large that it would change its sign.
        """
        if not self.weight_decay or kind_of(key) != "weight":
            return 1.0
        part = learning_rate * self.weight_decay
        require(part <= 1, "learning_rate * weight_decay <= 1", part, "lower weight_decay")
        return 1 - part

    def clip(self, gradients: Mapping[str, Array], scale: float) -> float:
        """What all gradients are multiplied by, so that their norm is at most `clip_gradient`.

        Args:
            gradients: Key → gradient, of all that is learned, divided by ``scale``.
            scale: See `shd_genn.learning.methods.eventprop.gradient_scale`.
        """
        if not self.clip_gradient:
            return 1.0
        squares = [np.square(g, dtype=np.float64).sum() for g in gradients.values()]
        return self.clip_norm(scale * math.sqrt(math.fsum(squares)))

    def clip_norm(self, norm: float) -> float:
        """What all gradients are multiplied by, if their norm is this one; see `clip`."""
        return self.clip_gradient / norm if norm > self.clip_gradient > 0 else 1.0

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
