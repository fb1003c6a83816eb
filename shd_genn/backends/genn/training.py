"""Forward and backward passes of EventProp in GeNN, and learning from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.genn.compiler import NO_LABEL
from shd_genn.backends.genn.simulation import FloatArray, Simulation, Spikes, Trials
from shd_genn.network.readouts import READOUTS


class Training(Simulation):
    """A batch is run forward with its input, then backward with none, with the same weights."""

    def forward(self, inputs: Sequence[Spikes], voltages: bool = False) -> Trials:
        """Simulate up to `batch_size` trials from rest, and keep the tape of their spikes."""
        self._drive_output(False)
        # with the Reset to come, this one leaves nothing for a backward pass to read
        self.model.custom_update("Reset")
        return super().forward(inputs, voltages)

    def backward(
        self, trials: Trials, drive: NDArray[np.floating], jumps: Mapping[str, NDArray[np.floating]]
    ) -> None:
        """The backward pass of the last `forward`; leaves ``Gradient``, summed over the trials.

        Args:
            trials: What `forward` returned.
            drive: From `shd_genn.learning.objective.loss_and_drive`.
            jumps: Hidden population → the regulariser's jump.
        """
        for name, jump in jumps.items():
            self.write(self.neurons(name).vars["Jump"], jump)
        output = self.neurons(self.network.output.name)
        spiking = READOUTS[self.network.readout].spiking
        spiked = trials.readout > -self.n_steps * self.model.dt if spiking else False
        if spiking:
            self.write(output.vars["LossJump"], self._padded(np.where(spiked, drive, 0)))
            self.write(output.vars["Kick"], self._padded(np.where(spiked, 0, drive)))
        else:
            self.write(output.vars["YTrue"], NO_LABEL)
        self.model.custom_update("Reset")
        self._silence_input()
        self.model.timestep = 0
        self.silent_step()  # arms the spikes of the last step, and takes up those on the way
        self.model.custom_update("ZeroOutPost")
        for population in self.network.spiking:
            self.write(self.neurons(population.name).vars["V"], 0)
        self._drive_output(True)
        if drive.ndim == 3:  # a loss of each step
            for step in reversed(range(self.n_steps)):
                self._write_drive(drive[:, step])
                self.steps(1)
        else:
            if not spiking:
                self._write_drive(drive)
            self.steps(self.n_steps)

    def _drive_output(self, driven: bool) -> None:
        if not READOUTS[self.network.readout].spiking:
            # mlGeNN drives the adjoint in all trials but the first
            output = self.neurons(self.network.output.name)
            output.set_dynamic_param_value("Trial", int(driven))

    def _write_drive(self, drive: NDArray[np.floating]) -> None:
        # mlGeNN divides by the batch size and by a trial of a step more; as no neuron has the
        # label, it changes the sign
        factor = -self.batch_size * (self.n_steps + 1) / self.n_steps
        softmax = self.neurons(self.network.output.name).vars["Softmax"]
        self.write(softmax, self._padded(drive * factor))

    def _padded(self, values: NDArray[np.floating]) -> FloatArray:
        """With rows of zeros for the trials that a full batch would have."""
        full = np.zeros((self.batch_size, values.shape[1]), np.float32)
        full[: len(values)] = values
        return full

    def _silence_input(self) -> None:
        """Let the input emit nothing; its spikes would begin anew after a Reset."""
        variables = self.neurons(self.network.input.name).vars
        variables["StartSpike"].view[:] = variables["EndSpike"].view
        variables["StartSpike"].push_to_device()

    def learn(self, rates: Mapping[str, float], step: int) -> None:
        """Update what is learned with mlGeNN's Adam; ``Gradient`` is 0 afterwards.

        Args:
            rates: Key of a parameter → learning rate.
            step: Updates that were made before.
        """
        for key, optimiser, update in self._updates():
            optimiser.alpha = rates[key]
            optimiser.set_step(update, step)
        if self.batch_size > 1:
            self.model.custom_update("GradientBatchReduce")
        self.model.custom_update("GradientLearn")

    def gradient(self) -> dict[str, FloatArray]:
        """``Gradient`` of every parameter, summed over the trials; it is 0 afterwards."""
        gradient = {
            key: self.read(self.variable(key, "DelayGradient", "Gradient")).sum(axis=0)
            for key, _, _ in self._updates()
        }
        self.model.custom_update("ZeroGradient")
        return {key: g.reshape(self._shapes[key]) for key, g in gradient.items()}

    def parameters(self) -> dict[str, FloatArray]:
        """A copy of weights and delays."""
        return {
            key: self.read(self.variable(key)).reshape(self._shapes[key])
            for key, _, _ in self._updates()
        }

    def moments(self, variable: str) -> dict[str, FloatArray]:
        """A copy of Adam's ``M`` or ``V``."""
        return {
            key: self.read(update.vars[variable]).reshape(self._shapes[key])
            for key, _, update in self._updates()
        }

    def write_moments(self, variable: str, moments: Mapping[str, FloatArray]) -> None:
        """Set Adam's ``M`` or ``V``."""
        for key, _, update in self._updates():
            self.write(update.vars[variable], moments[key])

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {p.key: p.shape for p in self.network.parameters}

    def _updates(self) -> list[tuple[str, Any, Any]]:
        """Parameter, its optimiser and custom update; mlGeNN keeps the order of connections."""
        keys = (
            [c.name for c in self.network.connections],
            [f"{c.name}.delay" for c in self.network.connections if c.delayed],
        )
        return [
            (key, optimiser, update)
            for of_kind, (optimiser, updates) in zip(keys, self.compiled.optimisers, strict=False)
            for key, update in zip(of_kind, updates, strict=True)
        ]
