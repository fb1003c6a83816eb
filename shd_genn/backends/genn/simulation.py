"""A compiled mlGeNN network on its device: loading, input, time steps and readout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ml_genn.utils.data import PreprocessedSpikes
from numpy.typing import NDArray

from shd_genn.backends.genn.build import build
from shd_genn.network import Network
from shd_genn.network.readouts import READOUTS

FloatArray = NDArray[np.float32]
Spikes = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Spikes of a trial: the step and the neuron of each; a neuron spikes at most once in a step."""

NEVER_SPIKES = -1e30
"""A voltage so low that no current reaches the threshold within a step."""


@dataclass(frozen=True)
class Trials:
    """Results of a forward pass.

    Attributes:
        readout: (n_trials, n_classes).
        spikes: Name of a spiking population → its spikes in each trial.
        voltages: Output voltage after each step, (n_trials, n_steps, n_classes); None if it was
            not recorded.
    """

    readout: FloatArray
    spikes: dict[str, list[Spikes]]
    voltages: FloatArray | None = None


class Simulation:
    """A compiled mlGeNN network that is loaded onto its device.

    Attributes:
        compiled: mlGeNN's ``CompiledNetwork``.
        model: The ``GeNNModel`` of ``compiled``.
        batch_size: Number of trials that are simulated at once.
    """

    def __init__(self, network: Network, compiled: Any, n_steps: int, key: str) -> None:
        self.network, self.n_steps = network, n_steps
        self.compiled, self.model = compiled, compiled.genn_model
        self.batch_size = int(self.model.batch_size)
        self._populations = {p.name: p for p in compiled.neuron_populations}
        self._connections = {c.name: g for c, g in compiled.connection_populations.items()}
        self._folder = build(self.model, key)
        self._capacity = 0
        self._load(1)

    def close(self) -> None:
        """Free the device's memory and delete the generated code."""
        if self._capacity:
            self._capacity = 0
            self.model.unload()
            self._folder.cleanup()

    def _load(self, capacity: int) -> None:
        """Load with room for ``capacity`` input spikes of a batch; this resets all variables."""
        inputs = self.neurons(self.network.input.name)
        inputs.extra_global_params["SpikeTimes"].set_init_values(np.zeros(capacity, np.float32))
        if self._capacity:
            self.model.unload()
        self.model.load(num_recording_timesteps=self.n_steps)
        self._capacity = capacity

    def fits(self, inputs: Sequence[Spikes]) -> bool:
        """Whether there is room for the input spikes of a batch."""
        return sum(len(steps) for steps, _ in inputs) <= self._capacity

    def make_room(self, inputs: Sequence[Spikes]) -> None:
        """Load with room for 1.5 times the input spikes of a batch; this resets all variables."""
        self._load(sum(len(steps) for steps, _ in inputs) * 3 // 2 + 1)

    def neurons(self, population: str) -> Any:
        """GeNN's neuron group of a population."""
        return self.compiled.neuron_populations[self._populations[population]]

    def synapses(self, connection: str) -> Any:
        """GeNN's synapse group of a connection."""
        return self._connections[connection]

    def write(self, variable: Any, values: Any) -> None:
        """Set a variable on the device."""
        variable.view[...] = np.reshape(values, variable.view.shape) if np.ndim(values) else values
        variable.push_to_device()

    def read(self, variable: Any) -> FloatArray:
        """A copy of a variable of the device, (copies, elements)."""
        variable.pull_from_device()
        values: FloatArray = variable.values
        return values.reshape(-1, values.shape[-1])

    def variable(self, key: str, delay: str = "d", weight: str = "g") -> Any:
        """The GeNN variable of a parameter: a connection's delays or weights."""
        connection, dot, _ = key.partition(".")
        return self.synapses(connection).vars[delay if dot else weight]

    def write_parameters(self, parameters: Mapping[str, FloatArray]) -> None:
        """Set weights and delays."""
        for key, values in parameters.items():
            variable = self.variable(key)
            whole = np.issubdtype(variable.view.dtype, np.integer)
            self.write(variable, np.floor(values + 0.5) if whole else values)

    def forward(self, inputs: Sequence[Spikes], voltages: bool = False) -> Trials:
        """Simulate up to `batch_size` trials from rest.

        Args:
            inputs: The input spikes of each trial.
            voltages: Whether to record output voltages.
        """
        self.model.custom_update("Reset")
        self._set_inputs(inputs)
        self.model.timestep = 0
        shape = (len(inputs), self.n_steps, self.network.output.size)
        kept = np.empty(shape, np.float32) if voltages else None
        if kept is None:
            self.steps(self.n_steps)
        else:
            v = self.neurons(self.network.output.name).vars["V"]
            for step in range(self.n_steps):
                self.steps(1)
                kept[:, step] = self.read(v)[: len(inputs)]
        spikes = self._spikes(len(inputs))
        return Trials(self._readout(spikes)[: len(inputs)], spikes, kept)

    def steps(self, count: int) -> None:
        """Simulate ``count`` time steps."""
        step_time = self.model.step_time
        for _ in range(count):
            step_time()

    def silent_step(self) -> None:
        """Simulate a step in which the last spikes arrive, but no neuron spikes."""
        for population in self.network.spiking:
            self.write(self.neurons(population.name).vars["V"], NEVER_SPIKES)
        self.model.step_time()

    def kernel_times(self) -> dict[str, float]:
        """Kernel → time in s since the network was loaded, as GeNN measures it."""
        groups = {update.update_group_name for update in self.model.custom_updates.values()}
        return {
            "neuron_update": self.model.neuron_update_time,
            "presynaptic_update": self.model.presynaptic_update_time,
            **{name: self.model.get_custom_update_time(name) for name in sorted(groups)},
        }

    def _set_inputs(self, inputs: Sequence[Spikes]) -> None:
        population = self._populations[self.network.input.name]
        spikes = [self._preprocessed(*trial) for trial in inputs]
        group = self.neurons(population.name)
        population.neuron.set_input(group, self.batch_size, population.shape, spikes)

    def _preprocessed(
        self, steps: NDArray[np.intp], neurons: NDArray[np.intp]
    ) -> PreprocessedSpikes:
        """The same as mlGeNN's `preprocess_spikes`, without sorting: spikes are sorted already."""
        # half a step early, so that rounding cannot move a spike to another step
        times = (steps - 0.5) * self.model.dt
        return PreprocessedSpikes(
            np.cumsum(np.bincount(neurons, minlength=self.network.input.size)), times
        )

    def _spikes(self, n_trials: int) -> dict[str, list[Spikes]]:
        self.model.pull_recording_buffers_from_device()
        return {
            p.name: [
                (np.rint(times / self.model.dt).astype(np.intp), neurons.astype(np.intp))
                for times, neurons in self.neurons(p.name).spike_recording_data[:n_trials]
            ]
            for p in self.network.spiking
        }

    def _readout(self, spikes: Mapping[str, list[Spikes]]) -> FloatArray:
        output = self._populations[self.network.output.name]
        if READOUTS[self.network.readout].spiking:
            return self._first_spikes(spikes[output.name])
        group = self.neurons(output.name)
        readout = output.neuron.get_readout(group, self.batch_size, output.shape)
        return np.array(readout, np.float32)

    def _first_spikes(self, trials: list[Spikes]) -> FloatArray:
        """Minus the time in ms of each output's first spike, or of the trial's end without one."""
        first = np.full((len(trials), self.network.output.size), self.n_steps)
        for row, (steps, neurons) in zip(first, trials, strict=True):
            np.minimum.at(row, neurons, steps)
        times: FloatArray = (-first * np.float32(self.model.dt)).astype(np.float32)
        return times


class Inference(Simulation):
    """Forward passes of a network that mlGeNN's InferenceCompiler compiled."""

    def forward(self, inputs: Sequence[Spikes], voltages: bool = False) -> Trials:
        """Simulate up to `batch_size` trials from rest."""
        trials = super().forward(inputs, voltages)
        self.silent_step()  # spikes of the last step must not reach the next trial
        return trials
