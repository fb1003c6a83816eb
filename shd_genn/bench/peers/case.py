"""One setting of the comparison, and the batch that all peers receive."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.trial import steps_of_input
from shd_genn.bench.activity import SPIKES_PER_NEURON, Topology, synthetic_model
from shd_genn.config import Config
from shd_genn.datasets.noise import N_CHANNELS, TRIAL_MS, synthetic_batch
from shd_genn.network import Network
from shd_genn.network.model_files import build_network
from shd_genn.network.settings import ModelConfig
from shd_genn.present.delay_line import DelayedEvents, DelayLine
from shd_genn.spikes.events import Events

LAG_MS = 30.0
"""Delay between copies, as in Nowotny, Turner & Knight (2025)."""
Weights = dict[str, NDArray[np.float32]]
"""``input_hidden0`` (channels, hidden), ``hidden0_hidden0`` (hidden, hidden) of recurrent networks,
``hidden0_output`` (hidden, classes): what a spike adds to the synaptic current."""


@dataclass(frozen=True)
class Setting:
    """The work that all peers do: a network, its time steps and the number of cores.

    Attributes:
        topology: Whether hidden neurons feed each other.
        hidden: Number of hidden neurons.
        n_steps: Time steps in the trial's second.
        threads: Number of cores.
        learning_rate: Adam's learning rate. It is so small that activity does not change while
            time is measured.
        spikes_per_neuron: Input weights are scaled until each hidden neuron spikes this often in a
            sample, on average.
        copies: Delayed copies of each input channel, as a delay line makes them; each has weights
            of its own.
    """

    topology: Topology
    hidden: int
    n_steps: int
    threads: int
    learning_rate: float = 1e-7
    spikes_per_neuron: float = SPIKES_PER_NEURON
    copies: int = 0

    @property
    def n_inputs(self) -> int:
        """Input neurons: the channels and their copies."""
        return N_CHANNELS * (1 + self.copies)

    @property
    def line(self) -> DelayLine | None:
        """The delay line; None if there are no copies."""
        return DelayLine(self.copies, LAG_MS, N_CHANNELS, TRIAL_MS) if self.copies else None

    @property
    def dt_ms(self) -> float:
        """Length of a step in ms."""
        return TRIAL_MS / self.n_steps

    @cached_property
    def model(self) -> ModelConfig:
        """The network's settings: the project's defaults; copies share the mean input."""
        model, share = synthetic_model(self.topology, self.hidden), 1 / (1 + self.copies)
        return replace(
            model,
            n_inputs=self.n_inputs,
            w_in_mean=share * model.w_in_mean,
            w_in_sd=share * model.w_in_sd,
        )

    @property
    def network(self) -> Network:
        """The network as this project describes it."""
        return build_network(Config(model=self.model))

    @property
    def decay_mem(self) -> float:
        """Factor by which a membrane voltage decays in a step."""
        return math.exp(-self.dt_ms / self.model.tau_mem_ms)

    @property
    def decay_syn(self) -> float:
        """Factor by which a synaptic current decays in a step."""
        return math.exp(-self.dt_ms / self.model.tau_syn_ms)

    @property
    def gain(self) -> float:
        """Factor from synaptic current to the voltage that it adds in a step, as in mlGeNN."""
        scale = self.model.tau_syn_ms / self.dt_ms * (1 - self.decay_syn)
        return (1 - self.decay_mem) * scale


@dataclass(frozen=True)
class Batch:
    """Samples to train on.

    Attributes:
        events: Input spikes.
        labels: int32, (n_samples,).
    """

    events: Events
    labels: NDArray[np.int32]

    @staticmethod
    def synthetic(n_samples: int) -> Batch:
        """Random spikes of SHD's density, and labels."""
        return Batch(*synthetic_batch(n_samples))

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.events)

    def through(self, setting: Setting) -> Batch:
        """The batch on the time grid and through the setting's delay line, if it has one."""
        if setting.line is None:
            return self
        config = CompileConfig(n_steps=setting.n_steps, dt_ms=setting.dt_ms)
        steps = [steps_of_input(*self.events.sample(i), config) for i in range(len(self))]
        on_grid = Events.of(
            [
                (
                    np.repeat(np.arange(setting.n_steps) * setting.dt_ms, [len(c) for c in sample]),
                    np.concatenate(sample),
                )
                for sample in steps
            ]
        )
        return Batch(DelayedEvents(on_grid, setting.line), self.labels)

    def dense(self, n_steps: int, n_inputs: int = N_CHANNELS) -> NDArray[np.float32]:
        """The input as an array (n_steps, n_samples, inputs): 1 where a spike arrives, else 0.

        As in this project's engines, a channel emits at most one spike a step; further spikes wait
        for the next steps. A spike arrives one step after it was emitted.
        """
        config = CompileConfig(n_steps=n_steps, dt_ms=TRIAL_MS / n_steps)
        arrives = np.zeros((n_steps, len(self), n_inputs), np.float32)
        for sample in range(len(self)):
            emitted = steps_of_input(*self.events.sample(sample), config)
            for step, channels in enumerate(emitted[:-1], start=1):
                arrives[step, sample, channels] = 1
        return arrives
