"""What engines share to learn the weight of a readout: its parameter, gradient and Adam's state.

The engines need to know nothing of it: they give the output voltages of all steps and take a drive
for each step, as for the loss ``var``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.learning.objective import LossSettings, cross_entropy
from shd_genn.learning.optimisers import Adam
from shd_genn.network import Network
from shd_genn.network.learned_weight import LearnedWeight

Array = NDArray[np.floating]


class LearnedReadout:
    """The learned weight of a network's readout; without one, everything here is empty.

    Args:
        network: The network.
        dtype: What is computed in; what is kept is a float32.

    Attributes:
        key: The parameter's key; empty if the readout learns nothing.
        value: The parameter; see `LearnedWeight.shape`.
    """

    def __init__(self, network: Network, dtype: type[np.floating] = np.float32) -> None:
        parameter = network.readout_parameter
        self._dtype, self._network = dtype, network
        self.key = "" if parameter is None else parameter.key
        shape = () if parameter is None else parameter.shape
        self.value, self._m, self._v = (np.zeros(shape, dtype) for _ in range(3))

    def __bool__(self) -> bool:
        """Whether anything is learned."""
        return bool(self.key)

    @property
    def weight(self) -> LearnedWeight:
        """What can be learned."""
        weight = self._network.learned_weight
        assert weight is not None
        return weight

    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """A copy of the parameter by its key."""
        return {self.key: self.value.astype(np.float32)} if self else {}

    def set(self, parameters: Mapping[str, Array]) -> None:
        """Replace the parameter, if it is given."""
        if self.key in parameters:
            self.value = parameters[self.key].astype(self._dtype)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of Adam's moments."""
        moments = {f"m_{self.key}": self._m.copy(), f"v_{self.key}": self._v.copy()}
        return dict(moments) if self else {}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace Adam's moments; those that are not given become 0."""
        shape = self.value.shape
        self._m, self._v = (
            np.asarray(state.get(f"{name}_{self.key}", np.zeros(shape)), self._dtype)
            for name in ("m", "v")
        )

    def read(self, voltages: Array) -> Array:
        """The readout, (n_samples, n_classes), of the output voltages of all steps."""
        return self.weight.read(self.value, voltages)

    def loss_and_drive(
        self, config: LossSettings, voltages: Array, labels: NDArray[np.integer]
    ) -> tuple[Array, Array, Array, Array]:
        """What the engine needs, and what `gradient` needs.

        Args:
            config: Constants of the loss.
            voltages: (n_samples, n_steps, n_classes).
            labels: (n_samples,).

        Returns:
            The readout, (n_samples, n_classes); the loss, (n_samples,); the drive of each step,
            (n_samples, n_steps, n_classes); and -∂L/∂readout, (n_samples, n_classes).
        """
        objective, readout = config.objective, self.read(voltages)
        loss, drive = cross_entropy(
            readout, labels, objective.temperature, objective.label_smoothing
        )
        each_step = self.weight.drive(self.value, drive, voltages)
        return readout, loss, each_step.astype(voltages.dtype), drive

    def gradient(self, drive: Array, voltages: Array) -> dict[str, Array]:
        """∂L/∂parameter of the batch's mean loss by its key, in the engines' scale.

        Args:
            drive: From `loss_and_drive`.
            voltages: (n_samples, n_steps, n_classes).
        """
        if not self:
            return {}
        return self._scaled(self.weight.gradient(self.value, drive / len(drive), voltages))

    def gradient_of_weights(self, by_weight: Array) -> dict[str, Array]:
        """The same, given what the batch's mean loss has by each weight, (n_classes, n_steps)."""
        return self._scaled(self.weight.gradient_of_weights(self.value, by_weight))

    def _scaled(self, gradient: Array) -> dict[str, Array]:
        scale = self._network.tau_mem_out  # see `gradient_scale`
        return {self.key: (gradient / scale).astype(self._dtype)}

    def update(self, gradient: Array, adam: Adam, step: int, learning_rate: float) -> None:
        """One update; the result is a number that a checkpoint can hold."""
        value, self._m, self._v = adam.update(
            self.value, gradient, self._m, self._v, step, learning_rate
        )
        self.value = value.astype(np.float32).astype(self._dtype)
        self._m, self._v = self._m.astype(self._dtype), self._v.astype(self._dtype)
