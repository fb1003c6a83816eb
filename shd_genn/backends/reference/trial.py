"""A trial in time steps: its input, what the forward pass keeps, and how the loss acts on it.

That depends on where the loss acts, see `shd_genn.learning.objective`: on a voltage, λV and λI
decay towards a drive instead of 0; on the first spike, λV jumps there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.derived_neurons import Neurons
from shd_genn.network import Network, Population
from shd_genn.network.readouts import READOUTS

Array = NDArray[np.floating]


def steps_of_input(
    times_ms: NDArray[np.float32], channels: NDArray[np.uint16], config: CompileConfig
) -> list[NDArray[np.intp]]:
    """Which input neurons spike in which step (mlGeNN `SpikeInput`).

    A spike appears in the first step n with float32(n dt) ≥ its time. A neuron emits at most one
    spike a step; the others follow in the steps after. What comes after the last step is dropped.
    """
    grid = (np.arange(config.n_steps) * np.float32(config.dt_ms)).astype(np.float32)
    emitted: list[list[int]] = [[] for _ in range(config.n_steps)]
    free_from: dict[int, int] = {}
    for step, channel in zip(np.searchsorted(grid, times_ms), channels.tolist(), strict=True):
        step = max(int(step), free_from.get(channel, 0))
        if step < config.n_steps:
            emitted[step].append(channel)
            free_from[channel] = step + 1
    return [np.array(sorted(neurons), np.intp) for neurons in emitted]


@dataclass(frozen=True)
class Trial:
    """What the forward pass leaves behind.

    Attributes:
        spikes: Population name → the neurons that spiked, ascending, for each step.
        slopes: Population name → I/S - V at those spikes; not for the input.
        voltages: (n_steps, n_classes): output voltage after each step, and after its reset.
        readout: (n_classes,).
        final_x: Connection name → x after the last step.
        sensitivities: ``POPULATION.KIND`` of what is learned of neurons → e in each step, see
            `sensitivities`: of the neurons that spiked, or of all of an output that does not spike.
        final_e: Likewise, e of all neurons after the last step.
        derived: Names of the populations whose neurons are computed by what is derived of their
            equations → their forward pass.
        silent: Hidden population → its neurons that drop-out kept from spiking, bool (neurons,).
    """

    spikes: dict[str, list[NDArray[np.intp]]]
    slopes: dict[str, list[Array]]
    voltages: Array
    readout: Array
    final_x: dict[str, Array]
    sensitivities: dict[str, list[Array]]
    final_e: dict[str, Array]
    derived: dict[str, Neurons] = field(default_factory=dict)
    silent: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def counts(self, population: Population) -> NDArray[np.int32]:
        """Spikes of each neuron of a population, (neurons,)."""
        neurons = np.concatenate(self.spikes[population.name])
        return np.bincount(neurons, minlength=population.size).astype(np.int32)


def read_out(
    network: Network,
    config: CompileConfig,
    voltages: Array,
    spikes: Mapping[str, list[NDArray[np.intp]]],
) -> Array:
    """The readout of a trial, (n_classes,), given its output voltages and all spikes."""
    form = READOUTS[network.readout].form
    if form == "first_spike":
        steps = _first_spikes(spikes[network.output.name], network.output.size)
        return (-steps * config.dt_ms).astype(voltages.dtype)
    if form == "max":
        highest: Array = np.maximum(voltages.max(axis=0), 0)
        return highest
    weights = network.read_weights(len(voltages)).astype(voltages.dtype)
    total: Array = np.zeros_like(voltages[0])
    for weight, voltage in zip(weights, voltages, strict=True):
        total += weight * voltage
    return total


def output_drive(
    network: Network, config: CompileConfig, trial: Trial, drive: Array
) -> tuple[Array, Array]:
    """How the loss acts on the output's adjoint, in every step.

    Returns:
        What λV and λI decay towards, (n_steps, n_classes), and what the loss has by the time of a
        spike in that step, (n_steps + 1, n_classes); the row beyond the last step is the kick at
        the end of the trial.
    """
    n_steps, size, form = config.n_steps, network.output.size, READOUTS[network.readout].form
    held, jumps = np.zeros((n_steps, size), drive.dtype), np.zeros((n_steps + 1, size), drive.dtype)
    if form == "first_spike":
        first = _first_spikes(trial.spikes[network.output.name], size)
        jumps[first, np.arange(size)] = drive
        return held, jumps
    weights = network.drive_weights(n_steps, config.dt_ms)
    held[:] = weights.astype(drive.dtype)[:, np.newaxis] * drive
    if form == "max":
        best = np.where(trial.readout > 0, trial.voltages.argmax(axis=0), 0)
        held[np.arange(n_steps)[:, np.newaxis] != best] = 0
    return held, jumps


def _first_spikes(fired: list[NDArray[np.intp]], n_neurons: int) -> NDArray[np.intp]:
    """(neurons,): the step of each neuron's first spike; the number of steps if it has none."""
    first = np.full(n_neurons, len(fired))
    for step in reversed(range(len(fired))):
        first[fired[step]] = step
    return first
