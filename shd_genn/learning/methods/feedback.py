"""Feedback weights of e-prop: how errors of the output reach hidden neurons."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.learning.methods.eprop import EProp
from shd_genn.network import Network

Arrays = Mapping[str, NDArray[np.float32]]


class Feedback:
    """Feedback weights that are not the output weights; none of them if feedback is symmetric.

    They are drawn from a normal distribution with mean 0. Its standard deviation is that of the
    initial output weights of the same population, because the size of the feedback decides how fast
    hidden neurons learn; 1/sqrt(neurons) where a population does not feed the output.

    Args:
        network: The network.
        method: e-prop, with the kind of feedback.
        seed: The run's seed; weights depend on it and on the population's name alone.

    Attributes:
        weights: Hidden population → float32, (neurons, classes).
    """

    def __init__(self, network: Network, method: EProp, seed: int) -> None:
        self._method = method
        self.weights: dict[str, NDArray[np.float32]] = {}
        if method.feedback == "symmetric":
            return
        initial = network.initial_parameters(seed)
        self._outgoing = {
            p.name: c.name
            for p in network.hidden
            for c in network.outputs_of(p)
            if c.target == network.output
        }
        for p in network.hidden:
            deviation = p.size**-0.5
            if p.name in self._outgoing:
                deviation = float(initial[self._outgoing[p.name]].std())
            rng = np.random.default_rng([seed, *b"feedback", *p.name.encode()])
            drawn = rng.normal(0, deviation, (p.size, network.output.size))
            self.weights[p.name] = drawn.astype(np.float32)

    @property
    def follows(self) -> bool:
        """Whether they get the output weights' updates."""
        return self._method.feedback == "adaptive"

    def follow(
        self, before: Arrays, after: Arrays, learning_rate: float
    ) -> dict[str, NDArray[np.float32]]:
        """Give feedback weights the update of the output weights; then both decay.

        Kolen & Pollack (1994): weights that get the same updates and decay become the same.

        Args:
            before: All parameters before an update.
            after: All parameters after it.
            learning_rate: That of the weights.

        Returns:
            Connection → its weights, those of the output after their decay.
        """
        kept = np.float32(1 - learning_rate * self._method.feedback_decay)
        decayed: dict[str, NDArray[np.float32]] = {}
        for population, connection in self._outgoing.items():
            update = after[connection] - before[connection]
            self.weights[population] = kept * (self.weights[population] + update)
            decayed[connection] = kept * after[connection]
        return decayed

    def state(self) -> dict[str, NDArray[np.generic]]:
        """``feedback_POPULATION`` → a copy of what changes, for checkpoints."""
        if not self.weights or not self.follows:
            return {}
        return {f"feedback_{name}": array.copy() for name, array in self.weights.items()}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace what changes."""
        for name in self.weights if self.follows else ():
            self.weights[name] = np.asarray(state[f"feedback_{name}"], np.float32)
