"""One setting of the comparison, and the batch that all peers receive."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
from shd_genn.spikes.events import Events

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
    """

    topology: Topology
    hidden: int
    n_steps: int
    threads: int
    learning_rate: float = 1e-7
    spikes_per_neuron: float = SPIKES_PER_NEURON

    @property
    def dt_ms(self) -> float:
        """Length of a step in ms."""
        return TRIAL_MS / self.n_steps

    @property
    def model(self) -> ModelConfig:
        """The network's settings: the project's defaults."""
        return synthetic_model(self.topology, self.hidden)

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

    def dense(self, n_steps: int) -> NDArray[np.float32]:
        """The input as an array (n_steps, n_samples, channels): 1 where a spike arrives, else 0.

        As in this project's engines, a channel emits at most one spike a step; further spikes wait
        for the next steps. A spike arrives one step after it was emitted.
        """
        config = CompileConfig(n_steps=n_steps, dt_ms=TRIAL_MS / n_steps)
        arrives = np.zeros((n_steps, len(self), N_CHANNELS), np.float32)
        for sample in range(len(self)):
            emitted = steps_of_input(*self.events.sample(sample), config)
            for step, channels in enumerate(emitted[:-1], start=1):
                arrives[step, sample, channels] = 1
        return arrives
