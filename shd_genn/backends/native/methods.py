"""Engines of the training methods that differentiate time steps; see surrogate.h."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.feedback import followed
from shd_genn.backends.native.constants import is_derived
from shd_genn.backends.native.engine import NativeEngine
from shd_genn.backends.native.layout import padded
from shd_genn.backends.native.store import FloatArray, aligned_zeros
from shd_genn.backends.protocols import BatchResult, CompileConfig
from shd_genn.backends.reference.neurons import constants_of
from shd_genn.learning.methods import EProp, EPropOnline, Method, Surrogate
from shd_genn.learning.methods.feedback import Feedback
from shd_genn.learning.methods.surrogate import voltage_weights
from shd_genn.learning.optimisers import LearningRate
from shd_genn.network import Network, Population
from shd_genn.spikes.events import Events
from shd_genn.support.errors import refuse_unless


class SurrogateEngine(NativeEngine):
    """Backpropagation through time with surrogate gradients; see `NativeEngine`."""

    method: Surrogate | EProp

    def __init__(
        self, network: Network, config: CompileConfig, method: Method | None = None
    ) -> None:
        for population in network.hidden:
            _check_undivided(population, config.dt_ms)
            if isinstance(method, EPropOnline):
                _check_synapse(network, population)
        super().__init__(network, config, Surrogate() if method is None else method)

    def _jump(self, population: Population, counts: NDArray[np.int32]) -> FloatArray:
        if is_derived(population):  # the kernel divides by how fast an input makes V rise
            return super()._jump(population, counts)
        values = self._store.unpadded(self._store.values)
        tau_mem = constants_of(self.network, population, values, self.config.dt_ms).tau_mem
        return (tau_mem * super()._jump(population, counts)).astype(np.float32)

    def _drive_weights(self) -> NDArray[np.floating]:
        return voltage_weights(self.network, self.config.n_steps)

    def _surrogate(self) -> tuple[float, float]:
        return self.method.derivative.slope, self.method.derivative.scale


class EPropEngine(SurrogateEngine):
    """e-prop, computed backwards in time; see `NativeEngine`."""

    method: EProp

    def __init__(
        self, network: Network, config: CompileConfig, method: Method | None = None
    ) -> None:
        super().__init__(network, config, EProp() if method is None else method)
        self.feedback = Feedback(network, self.method, config.seed)

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """One update of all that is learned; the result is that of the parameters before it."""
        return followed(
            self,
            self.feedback,
            learning_rate,
            lambda: super(EPropEngine, self).train_batch(events, labels, learning_rate),
        )

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """As of `NativeEngine`, with ``feedback_POPULATION`` where feedback is learned."""
        return super().optimiser_state() | self.feedback.state()

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the optimiser's state; moments that are not given become 0."""
        super().set_optimiser_state(state)
        self.feedback.set_state(state)

    def _feedback_weights(self) -> Mapping[str, FloatArray]:
        found = {}
        for name, weights in self.feedback.weights.items():
            found[name] = aligned_zeros((len(weights), padded(weights.shape[1])))
            found[name][:, : weights.shape[1]] = weights
        return found


def _check_synapse(network: Network, population: Population) -> None:
    """Refuse a synaptic time constant of each neuron, as sources have one trace of their spikes.

    Raises:
        ConfigError: if the neurons of the population have different ones.
    """
    tau_syn = network.values_of(population)["tau_syn"]
    refuse_unless(
        isinstance(tau_syn, int | float),
        "the native engine has online e-prop with one tau_syn for all neurons of a population, but "
        f"{population.name} has {tau_syn}",
        "take a number, --backend reference, or method=eprop, whose gradients are the same",
    )


def _check_undivided(population: Population, dt_ms: float) -> None:
    """Refuse neurons whose steps are divided into sub-steps.

    Raises:
        ConfigError: if the population has such neurons.
    """
    if not is_derived(population):
        return
    substeps = population.neuron.derived.substeps(dt_ms)
    refuse_unless(
        substeps == 1,
        "the native engine differentiates whole time steps, but those of population "
        f"{population.name} are divided into {substeps} sub-steps with dt = {dt_ms:g} ms",
        "take --backend reference, EventProp, or steps as short as the sub-steps",
    )
