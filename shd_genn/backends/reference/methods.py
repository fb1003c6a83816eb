"""Engines of the training methods that differentiate time steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.feedback import followed
from shd_genn.backends.protocols import BatchResult, CompileConfig
from shd_genn.backends.reference import bptt, eprop_online
from shd_genn.backends.reference.engine import Reference
from shd_genn.backends.reference.trial import Trial
from shd_genn.learning.methods import EProp, Method, Surrogate
from shd_genn.learning.methods.feedback import Feedback
from shd_genn.learning.optimisers import LearningRate
from shd_genn.network import Network
from shd_genn.spikes.events import Events

Array = NDArray[np.floating]


class SurrogateReference(Reference):
    """Backpropagation through time with surrogate gradients; see `bptt`."""

    method: Surrogate | EProp
    gradients = staticmethod(bptt.backward)

    def __init__(
        self,
        network: Network,
        config: CompileConfig,
        dtype: type[np.floating] = np.float64,
        method: Method | None = None,
    ) -> None:
        super().__init__(network, config, dtype, Surrogate() if method is None else method)

    def _trial_gradient(
        self,
        parameters: Mapping[str, Array],
        trial: Trial,
        drive: Array,
        jumps: Mapping[str, Array],
    ) -> dict[str, Array]:
        rule = self._rule()
        return self.gradients(self.network, self.config, parameters, trial, drive, jumps, rule)

    def _near_steps(
        self, parameters: Mapping[str, Array], trials: list[Trial]
    ) -> dict[str, NDArray[np.int64]]:
        rule = self._rule()
        if not (rule.transports and rule.derivative.bounded):
            return {}
        counted = [
            bptt.near_steps(self.network, self.config, parameters, trial, rule.derivative)
            for trial in trials
        ]
        return {name: np.array([of[name] for of in counted], np.int64) for name in counted[0]}

    def _rule(self) -> bptt.Rule:
        """What is differentiated, and how."""
        assert isinstance(self.method, Surrogate)
        return bptt.Rule(self.method.derivative, self.method.detach_reset)


class EPropReference(SurrogateReference):
    """e-prop, computed backwards in time; see `bptt`. Arguments as of `Reference`."""

    method: EProp

    def __init__(
        self,
        network: Network,
        config: CompileConfig,
        dtype: type[np.floating] = np.float64,
        method: Method | None = None,
    ) -> None:
        super().__init__(network, config, dtype, EProp() if method is None else method)
        self.feedback = Feedback(network, self.method, config.seed)

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """One update of all that is learned; the result is that of the parameters before it."""
        return followed(
            self,
            self.feedback,
            learning_rate,
            lambda: super(EPropReference, self).train_batch(events, labels, learning_rate),
        )

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """As of `Reference`, with ``feedback_POPULATION`` where feedback weights are learned."""
        return super().optimiser_state() | self.feedback.state()

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the optimiser's state; moments that are not given become 0."""
        super().set_optimiser_state(state)
        self.feedback.set_state(state)

    def _rule(self) -> bptt.Rule:
        weights = dict(self.feedback.weights)
        return bptt.Rule(self.method.derivative, transports=False, feedback=weights)


class EPropOnlineReference(EPropReference):
    """e-prop, computed forwards in time with a trace for each synapse; see `eprop_online`."""

    gradients = staticmethod(eprop_online.gradients)
