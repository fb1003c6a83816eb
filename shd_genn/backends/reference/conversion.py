"""A network of rates that is trained, then evaluated as the spiking network it becomes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import (
    BatchResult,
    CompileConfig,
    Parameters,
    Recording,
    require_samples,
)
from shd_genn.backends.reference.converted import Spikes, few_spike, integrate_and_fire
from shd_genn.learning.methods import Method
from shd_genn.learning.methods.conversion import Conversion
from shd_genn.learning.objective import cross_entropy
from shd_genn.learning.optimisers import LearningRate, rate_of
from shd_genn.learning.rate_network import Units, activities, gradient, import_torch
from shd_genn.network import Connection, Network, Population
from shd_genn.spikes.events import Events
from shd_genn.support.errors import refuse_unless, require

Array = NDArray[np.float32]
FORGOTTEN = 0.02
"""Part of a scale that each update replaces by the percentile of the batch's activities."""


class ConvertedNetwork:
    """A `Learner` of a network that is converted; see `shd_genn.backends.Learner`.

    Its ``network`` and ``config`` are those of the spiking network: the input is a number for each
    bin, and the steps are those of the simulation.

    Args:
        network: The network, of which layers and sizes are used.
        config: Steps of a trial, seed, optimiser.
        method: The conversion.
    """

    def __init__(self, network: Network, config: CompileConfig, method: Method) -> None:
        assert isinstance(method, Conversion)
        if config.batch_size is not None:
            import_torch()
        self.method, self._channels = method, network.input.size
        self._bins = math.ceil(config.trial_ms / method.bin_ms)
        self._groups = math.ceil(network.input.size / method.bin_channels)
        self._trial_ms = config.trial_ms
        self.network = _with_inputs(network, self._bins * self._groups)
        self.config = replace(config, n_steps=method.steps)
        self._order = (*self.network.hidden, self.network.output)
        self.layers = [
            Units(
                self.network.inputs_of(p)[0].name,
                f"{p.name}.bias",
                f"{p.name}.scale" if p != self.network.output else "",
            )
            for p in self._order
        ]
        self._parameters = self._initial()
        learned = [k for k in self._parameters if not k.endswith(".scale") or self._levels]
        learned.remove(self._input_scale) if self._levels else None
        if not method.rate_bias:
            learned = [k for k in learned if not k.endswith(".bias")]
        self._m = {k: np.zeros_like(self._parameters[k]) for k in learned}
        self._v = {k: np.zeros_like(self._parameters[k]) for k in learned}
        self._step = 0

    @property
    def _levels(self) -> int:
        """Steps of an activity while it is trained; 0: it is not in steps."""
        return self.method.qcfs_levels if self.method.conversion == "qcfs" else 0

    @property
    def _input_scale(self) -> str:
        return f"{self.network.input.name}.scale"

    def _initial(self) -> dict[str, Array]:
        """He et al.'s (2015) weights, no biases, and scales that the first batch replaces."""
        found: dict[str, Array] = {}
        for layer, p in zip(self.layers, self._order, strict=True):
            shape = self.network.inputs_of(p)[0].shape
            rng = np.random.default_rng([self.config.seed, *layer.weight.encode()])
            found[layer.weight] = (rng.standard_normal(shape) * (2 / shape[0]) ** 0.5).astype("f4")
            found[layer.bias] = np.zeros(p.size, np.float32)
            if layer.scale:
                found[layer.scale] = np.ones(1, np.float32)
        found[self._input_scale] = np.ones(1, np.float32)
        return found

    def __enter__(self) -> Self:
        """Nothing to do: it owns no device."""
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to do."""

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """One update of the network of rates; the result is that of the spiking one before it.

        Raises:
            ConfigError: if there are no samples.
        """
        require_samples(labels)
        counts = self._binned(events)
        if self._step == 0:
            typical = np.percentile(counts[counts > 0], 99) if counts.any() else 1.0
            self._parameters[self._input_scale][:] = typical
        x = counts / self._parameters[self._input_scale]
        self._follow_scales(x)
        result = self._result(x, labels)
        rng = np.random.default_rng([self.config.seed, self._step, *b"dropout"])
        kept = np.float32(1 - self.method.rate_dropout)
        masks = [
            ((rng.random((len(x), p.size)) < kept) / kept).astype(np.float32)
            for p in self.network.hidden
        ]
        smoothing = self.config.objective.label_smoothing
        found = gradient(self.layers, self._parameters, x, labels, masks, self._levels, smoothing)
        self._step += 1
        for key in self._m:
            w, m, v = self.config.adam.update(
                self._parameters[key],
                found[key],
                self._m[key],
                self._v[key],
                self._step,
                rate_of(learning_rate, self.layers[0].weight),
            )
            self._parameters[key] = w.astype(np.float32)
            self._m[key], self._v[key] = m.astype(np.float32), v.astype(np.float32)
            if key.endswith(".scale"):
                self._parameters[key] = np.maximum(self._parameters[key], np.float32(1e-3))
        return result

    def _follow_scales(self, x: Array) -> None:
        """Let scales follow the percentile of the activities; those of QCFS only begin there."""
        if self._levels and self._step:
            return
        part = np.float32(FORGOTTEN if self._step else 1)
        for layer, a in zip(self.layers[:-1], self._rates(x)[:-1], strict=True):
            typical = np.float32(np.percentile(a, self.method.percentile))
            scale = self._parameters[layer.scale]
            scale[:] = np.maximum(scale + part * (typical - scale), np.float32(1e-3))

    def evaluate(self, events: Events, labels: NDArray[np.integer] | None = None) -> BatchResult:
        """Forward pass of the spiking network; the parameters stay."""
        return self._result(self._input(events), labels)

    def answers_of_rates(self, events: Events) -> Array:
        """What the network of rates answers before it is converted, (n_samples, n_classes)."""
        return self._rates(self._input(events))[-1]

    def answers_by_step(self, events: Events, n_steps: int) -> NDArray[np.float64]:
        """What the spiking network answers after each step, (n_steps, n_samples, n_classes).

        Few-spike neurons have one answer, after all steps: (1, n_samples, n_classes).
        """
        return self._simulate(self._input(events), n_steps)[0]

    def judged_after(
        self, events: Events, labels: NDArray[np.integer], n_steps: Sequence[int]
    ) -> dict[int, tuple[int, int]]:
        """How the spiking network does if it is simulated for other times.

        Args:
            events: The input.
            labels: (n_samples,).
            n_steps: Numbers of steps.

        Returns:
            Steps → right answers and spikes of hidden neurons, of all samples together.
        """
        x, found = self._input(events), {}
        few = self.method.conversion == "few-spike"  # its code depends on the number of steps
        answers, spikes = self._simulate(x, max(n_steps))
        for n in n_steps:
            if few:
                answers, spikes = self._simulate(x, n)
            right = int((answers[-1 if few else n - 1].argmax(axis=1) == labels).sum())
            found[n] = right, sum(int(fired[:n].sum()) for fired in spikes)
        return found

    def record(self, events: Events) -> Recording:
        """Spikes of hidden neurons, one step a ``dt_ms``, and the answer after each step."""
        answers, spikes = self._simulate(self._input(events), self.method.steps)
        times = np.arange(self.method.steps) * self.config.dt_ms
        found = {}
        for p, fired in zip(self.network.hidden, spikes, strict=True):
            where = [np.nonzero(fired[:, i]) for i in range(len(events))]
            found[p.name] = Events.of([(times[steps], neurons) for steps, neurons in where])
        found[self.network.input.name] = events
        shape = (self.method.steps, *answers.shape[1:])
        return Recording(found, np.broadcast_to(answers, shape).swapaxes(0, 1).astype(np.float32))

    def parameters(self) -> Parameters:
        """A copy of all parameters: weights, ``POPULATION.bias`` and ``POPULATION.scale``."""
        return {key: array.copy() for key, array in self._parameters.items()}

    def set_parameters(self, parameters: Mapping[str, NDArray[np.float32]]) -> None:
        """Replace all parameters.

        Raises:
            ConfigError: if they do not fit this network.
        """
        own = {key: array.shape for key, array in self._parameters.items()}
        given = {key: array.shape for key, array in parameters.items()}
        refuse_unless(
            own == given and all(np.isfinite(a).all() for a in parameters.values()),
            f"conversion has finite parameters of shapes {own}, but got {given}",
            "load parameters of a network of the same sizes, trained by the same method",
        )
        self._parameters = {key: np.array(a, np.float32) for key, a in parameters.items()}

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of the optimiser's state: ``m_KEY``, ``v_KEY`` as the parameters, and ``step``."""
        state: dict[str, NDArray[np.generic]] = {"step": np.array(self._step)}
        state |= {f"m_{key}": array.copy() for key, array in self._m.items()}
        return state | {f"v_{key}": array.copy() for key, array in self._v.items()}

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the optimiser's state; moments that are not given become 0."""
        self._step = int(state["step"])
        for name, moments in (("m", self._m), ("v", self._v)):
            for key, before in moments.items():
                saved = state.get(f"{name}_{key}", np.zeros_like(before))
                moments[key] = np.array(saved, np.float32)

    def kernel_times(self) -> dict[str, float]:
        """Nothing is measured."""
        return {}

    def _binned(self, events: Events) -> Array:
        """Spikes of each group of channels in each bin, (n_samples, bins · groups)."""
        highest = int(events.channels.max(initial=0))
        require(
            highest < self._channels,
            "channel < number of input neurons",
            f"channel {highest} of {self._channels}",
            "build the network for as many channels as the dataset has",
        )
        counts = np.zeros((len(events), self._bins * self._groups), np.float32)
        for i in range(len(events)):
            times_ms, channels = events.sample(i)
            inside = times_ms < self._trial_ms
            bins = (times_ms[inside] // np.float32(self.method.bin_ms)).astype(np.int64)
            where = bins * self._groups + channels[inside] // self.method.bin_channels
            counts[i] = np.bincount(where, minlength=counts.shape[1])
        return counts

    def _input(self, events: Events) -> Array:
        return self._binned(events) / self._parameters[self._input_scale]

    def _rates(self, x: Array) -> list[Array]:
        return activities(self.layers, self._parameters, x, self._levels)

    def _simulate(self, x: Array, n_steps: int) -> tuple[NDArray[np.float64], list[Spikes]]:
        if self.method.conversion == "few-spike":
            return few_spike(self.layers, self._parameters, x, n_steps)
        start = 0.5 if self._levels else 0.0
        return integrate_and_fire(self.layers, self._parameters, x, n_steps, start)

    def _result(self, x: Array, labels: NDArray[np.integer] | None) -> BatchResult:
        answers, spikes = self._simulate(x, self.method.steps)
        readout = answers[-1].astype(np.float32)
        loss = np.full(len(readout), np.nan, np.float32)
        if labels is not None:
            loss = cross_entropy(readout, labels, 1.0)[0].astype(np.float32)
        counts = {
            p.name: fired.sum(axis=0, dtype=np.int32)
            for p, fired in zip(self.network.hidden, spikes, strict=True)
        }
        return BatchResult(readout, loss, counts, np.count_nonzero(x, axis=1).astype(np.int32))


def _with_inputs(network: Network, n_inputs: int) -> Network:
    """The same network with another number of inputs."""
    inputs = replace(network.input, size=n_inputs)

    def own(population: Population) -> Population:
        return inputs if population == network.input else population

    return Network(
        tuple(own(p) for p in network.populations),
        tuple(
            Connection(own(c.source), c.target, c.connectivity, c.synapse)
            for c in network.connections
        ),
    )
