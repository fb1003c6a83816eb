"""Drop-out of hidden neurons, with one mask a trial (Srivastava et al. 2014)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.network import Network
from shd_genn.support.errors import require

Masks = dict[str, NDArray[np.bool_]]
"""Hidden population → (n_samples, neurons): the neurons that are silent in a trial."""


@dataclass(frozen=True)
class Dropout:
    """Every hidden neuron is silent in a training trial with some probability.

    A silent neuron emits no spike in the whole trial, so that it gets no gradient from it. The
    weights of all spikes that hidden neurons send are larger by `scale` in training, so that what
    arrives is the same on average (inverted drop-out). Evaluation silences nothing and scales
    nothing, and neither does `gradient`. The regulariser sees the spikes that are left.

    Attributes:
        probability: That a neuron is silent, 0 to less than 1.
    """

    probability: float = 0.0

    def __post_init__(self) -> None:
        p = self.probability
        require(0 <= p < 1, "0 <= drop-out probability < 1", p, "0.1 to 0.3 is usual")

    @property
    def scale(self) -> float:
        """What the weights of hidden spikes are multiplied by in training."""
        return 1 / (1 - self.probability)

    def masks(self, network: Network, n_samples: int, seed: int, step: int) -> Masks:
        """The silent neurons of a batch; none at all without drop-out.

        They depend on the seed and the number of the update alone, so that a resumed run has the
        same ones.

        Args:
            network: Its hidden populations have the masks.
            n_samples: Samples of the batch.
            seed: The run's seed.
            step: Updates before this one.
        """
        if not self.probability:
            return {}
        rng = np.random.default_rng([seed, step, *b"dropout"])
        return {p.name: rng.random((n_samples, p.size)) < self.probability for p in network.hidden}

    def scales(self, network: Network) -> dict[str, float]:
        """Connection → what its weights are multiplied by in training; only of hidden sources."""
        if not self.probability:
            return {}
        return {c.name: self.scale for c in network.connections if c.source in network.hidden}
