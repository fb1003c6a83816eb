"""Where a loss is worked out: on the host, or on the GPU if it is of the voltages of all steps.

An engine shows a loss every part of a batch that it has run forward, then asks for what the
backward pass of each part begins with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.cuda.device import Device, Forward
from shd_genn.backends.cuda.store import FloatArray
from shd_genn.backends.protocols import CompileConfig, Parameters
from shd_genn.learning.learned_readout import LearnedReadout
from shd_genn.learning.objective import cross_entropy, loss_and_drive, needs_voltages
from shd_genn.network import Network

Labels = NDArray[np.integer]


class Loss(Protocol):
    """The loss of a network's output.

    Attributes:
        of_voltages: Whether it is of the voltages of all steps, not of the readout.
        reads_voltages: Whether the readout itself needs them.
        on_host: Whether it needs them on the host.
    """

    of_voltages: bool
    reads_voltages: bool
    on_host: bool

    def read(self, forward: Forward) -> Forward:
        """The same trials, which were last run forward, with the network's readout."""

    def of(self, forward: Forward, labels: Labels) -> FloatArray:
        """The loss of the trials that were last run forward, (n_samples,)."""

    def begin(self, forward: Forward, labels: Labels) -> None:
        """A backward pass will follow, of trials that were all run forward, in parts."""

    def drive(self, part: slice) -> FloatArray | None:
        """What the backward pass of the part that was last run begins with; None: it is there."""

    def end(self) -> tuple[FloatArray, Parameters]:
        """The loss, (n_samples,), and the gradient of what the readout learns."""


def loss_of(
    network: Network, config: CompileConfig, device: Device, learned: LearnedReadout
) -> Loss:
    """The loss of a network, where it is worked out fastest."""
    if learned and not learned.weight.attention:
        return CurvesOnGpu(config, device, learned)
    if needs_voltages(network.readout) and not learned:
        return StepsOnGpu(config, device)
    return OnHost(network, config, learned)


class OnHost:
    """In NumPy: losses of a readout, and of a weight that depends on the trial."""

    def __init__(self, network: Network, config: CompileConfig, learned: LearnedReadout) -> None:
        self._network, self._config, self._learned = network, config, learned
        self.of_voltages = self.reads_voltages = self.on_host = bool(learned)

    def read(self, forward: Forward) -> Forward:
        """The same, with the readout whose weight is learned, if there is one."""
        if not self._learned:
            return forward
        assert forward.voltages is not None
        readout = self._learned.read(forward.voltages).astype(np.float32)
        return replace(forward, readout=readout)

    def of(self, forward: Forward, labels: Labels) -> FloatArray:
        """See `Loss`."""
        return self._of(forward, labels)[0].astype(np.float32)

    def begin(self, forward: Forward, labels: Labels) -> None:
        """See `Loss`."""
        self._loss, drive, self._gradient = self._of(forward, labels)
        self._drive = drive.astype(np.float32) / np.float32(len(labels))

    def drive(self, part: slice) -> FloatArray:
        """See `Loss`."""
        return self._drive[part]

    def end(self) -> tuple[FloatArray, Parameters]:
        """See `Loss`."""
        return self._loss.astype(np.float32), self._gradient

    def _of(self, forward: Forward, labels: Labels) -> tuple[FloatArray, FloatArray, Parameters]:
        if not self._learned:
            return *loss_and_drive(self._network, self._config, forward.readout, labels), {}
        voltages = forward.voltages
        assert voltages is not None
        _, loss, drive, by_readout = self._learned.loss_and_drive(self._config, voltages, labels)
        return loss, drive, self._learned.gradient(by_readout, voltages)


class StepsOnGpu:
    """The cross-entropy in every step; see loss.cuh."""

    of_voltages, reads_voltages, on_host = True, False, False

    def __init__(self, config: CompileConfig, device: Device) -> None:
        self._objective, self._device = config.objective, device

    def read(self, forward: Forward) -> Forward:
        """See `Loss`."""
        return forward

    def of(self, forward: Forward, labels: Labels) -> FloatArray:
        """See `Loss`."""
        return self._of(labels, len(labels), to_drive=False)

    def begin(self, forward: Forward, labels: Labels) -> None:
        """See `Loss`."""
        self._labels = labels
        self._losses: list[FloatArray] = []

    def drive(self, part: slice) -> None:
        """See `Loss`."""
        self._losses.append(self._of(self._labels[part], len(self._labels), to_drive=True))

    def end(self) -> tuple[FloatArray, Parameters]:
        """See `Loss`."""
        return np.concatenate(self._losses), {}

    def _of(self, labels: Labels, n_samples: int, to_drive: bool) -> FloatArray:
        if len(labels) == 0:
            return np.empty(0, np.float32)
        objective = self._objective
        constants = objective.temperature, objective.label_smoothing
        totals, rights = self._device.step_loss(labels, *constants, n_samples, to_drive)
        mean: FloatArray = (np.log(totals) - rights).mean(axis=1)
        return mean


class CurvesOnGpu:
    """A learned weight over time: the GPU reads by it, and adds up its gradient; see loss.cuh."""

    of_voltages, reads_voltages, on_host = True, True, False

    def __init__(self, config: CompileConfig, device: Device, learned: LearnedReadout) -> None:
        self._config, self._device, self._learned = config, device, learned

    def read(self, forward: Forward) -> Forward:
        """See `Loss`."""
        learned, n = self._learned, len(forward.readout)
        curves = np.stack(learned.weight.both(learned.value, self._config.n_steps))
        self._n_curves = curves.shape[1]
        return replace(forward, readout=self._device.read_curves(n, curves)) if n else forward

    def of(self, forward: Forward, labels: Labels) -> FloatArray:
        """See `Loss`."""
        return self._of(forward, labels)[0]

    def begin(self, forward: Forward, labels: Labels) -> None:
        """See `Loss`."""
        self._loss, drive = self._of(forward, labels)
        self._by_readout = drive / np.float32(len(labels))

    def drive(self, part: slice) -> None:
        """See `Loss`."""
        self._device.drive_curves(self._by_readout[part], self._n_curves, part.start == 0)

    def end(self) -> tuple[FloatArray, Parameters]:
        """See `Loss`."""
        by_weight = -self._device.curve_gradient().T / np.float32(self._config.n_steps)
        return self._loss, self._learned.gradient_of_weights(by_weight)

    def _of(self, forward: Forward, labels: Labels) -> tuple[FloatArray, FloatArray]:
        objective = self._config.objective
        loss, drive = cross_entropy(
            forward.readout, labels, objective.temperature, objective.label_smoothing
        )
        return loss.astype(np.float32), drive.astype(np.float32)
