"""Optimisers and their learning rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shd_genn.network import kind_of
from shd_genn.support.errors import require

LearningRate = float | Mapping[str, float]
"""One rate for everything that is learned, or one for each kind of parameter."""


@dataclass(frozen=True)
class Adam:
    """The Adam optimiser (Kingma & Ba 2015) in mlGeNN's form.

    m = β1 m + (1-β1) g;  v = β2 v + (1-β2) g²;
    w -= rate · m/(1-β1^k) / (sqrt(v/(1-β2^k)) + epsilon) at update k = 1, 2, …
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name, beta in (("beta1", self.beta1), ("beta2", self.beta2)):
            require(0 <= beta < 1, f"0 <= {name} < 1", beta, "Adam's usual values: 0.9 and 0.999")
        require(0 < self.epsilon, "0 < epsilon", self.epsilon, "Adam's usual value is 1e-8")


def rate_of(learning_rate: LearningRate, key: str) -> float:
    """The learning rate of one of the `Parameters`.

    Raises:
        ConfigError: if rates are given by kind, but not for this one.
    """
    if not isinstance(learning_rate, Mapping):
        return learning_rate
    kind = kind_of(key)
    require(
        kind in learning_rate,
        f"a learning rate for each kind of parameter that is learned, among them {kind},",
        dict(learning_rate),
        "name it, or give one number for all",
    )
    return learning_rate[kind]
