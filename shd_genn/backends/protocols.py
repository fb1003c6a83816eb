"""What a backend is: it compiles a network, and what comes out trains and evaluates it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shd_genn.learning.objective import FirstSpikeLoss, Regulariser
from shd_genn.learning.optimisers import Adam, LearningRate
from shd_genn.network import Network
from shd_genn.spikes.events import Events
from shd_genn.support.errors import require

Parameters = dict[str, NDArray[np.float32]]
"""All that a run may learn, float32, under flat keys, which are those of checkpoints too:

| key                  | kind       | unit  | shape                            |
|----------------------|------------|-------|----------------------------------|
| `CONNECTION`         | `weight`   |       | (source neurons, target neurons) |
| `CONNECTION.delay`   | `delay`    | steps | (source neurons, target neurons) |
| `POPULATION.tau_mem` | `tau_mem`  | ms    | (neurons,)                       |
| `POPULATION.tau_syn` | `tau_syn`  | ms    | (neurons,)                       |
| `POPULATION.v_thresh`| `v_thresh` |       | (neurons,)                       |

Weights are always there; the others where the network has a number for each neuron or synapse.
"""


@dataclass(frozen=True)
class CompileConfig:
    """What a backend needs to know besides the network.

    Attributes:
        n_steps: Time steps of a trial; spikes that come later are not seen.
        dt_ms: Length of a time step in ms.
        seed: Draws the initial weights.
        n_threads: Threads to compute with; 0 means all cores the process may use.
        batch_size: Samples of the largest batch that will be learned from, None if none will;
            genn generates code for it, the others take any.
        kernel_times: Measure kernels on a GPU too, where every step then waits for the device.
        adam: The optimiser.
        regulariser: Of the hidden spike counts.
        temperature: Of the softmax over outputs that are read by their voltage, in its unit.
        first_spike: Constants of the loss, if first spikes are read.
    """

    n_steps: int
    dt_ms: float = 1.0
    seed: int = 0
    n_threads: int = 0
    batch_size: int | None = None
    kernel_times: bool = False
    adam: Adam = field(default_factory=Adam)
    regulariser: Regulariser = field(default_factory=Regulariser)
    temperature: float = 1.0
    first_spike: FirstSpikeLoss = field(default_factory=FirstSpikeLoss)

    def __post_init__(self) -> None:
        require(1 <= self.n_steps, "1 <= n_steps", self.n_steps, "lengthen the trial or shorten dt")
        require(0 < self.dt_ms < math.inf, "0 < dt_ms < inf", self.dt_ms, "1 ms is usual")
        require(0 <= self.n_threads, "0 <= n_threads", self.n_threads, "0 means all cores")
        require(
            0 < self.temperature < math.inf,
            "0 < temperature < inf",
            self.temperature,
            "1 is the papers' value",
        )
        require(
            self.batch_size is None or 1 <= self.batch_size,
            "1 <= batch_size",
            self.batch_size,
            "the papers use 32",
        )

    @property
    def trial_ms(self) -> float:
        """T, the length of a trial in ms."""
        return self.n_steps * self.dt_ms


@dataclass(frozen=True)
class BatchResult:
    """What came out of a number of samples.

    Attributes:
        readout: float32, (n_samples, n_classes).
        loss: float32, (n_samples,): see `losses`, without the regulariser; nan without labels.
        spike_counts: Hidden population name → int32, (n_samples, neurons): spikes in the trial.
        input_spikes: int32, (n_samples,): input spikes emitted within the trial.
    """

    readout: NDArray[np.float32]
    loss: NDArray[np.float32]
    spike_counts: dict[str, NDArray[np.int32]]
    input_spikes: NDArray[np.int32]

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The class of the largest readout, (n_samples,)."""
        best: NDArray[np.int64] = np.argmax(self.readout, axis=1)
        return best


@dataclass(frozen=True)
class Recording:
    """Everything that a raster plot shows.

    Attributes:
        spikes: Population name (input, hidden, and an output that spikes) → its spikes; times are
            those of steps, in ms.
        voltages: float32, (n_samples, n_steps, n_classes): output voltage after each step, and
            after its reset.
    """

    spikes: dict[str, Events]
    voltages: NDArray[np.float32]


class Compiled(AbstractContextManager["Compiled"], Protocol):
    """A network on a device, with its optimiser; a context manager that owns the device.

    A trial starts from rest and knows nothing of the trials before it.
    """

    network: Network
    config: CompileConfig

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """One update of all that is learned; the result is that of the parameters before it.

        Raises:
            ConfigError: if there are no samples; `gradient`, too.
        """
        ...

    def evaluate(self, events: Events, labels: NDArray[np.integer] | None = None) -> BatchResult:
        """Forward pass only; the parameters stay."""
        ...

    def gradient(self, events: Events, labels: NDArray[np.integer]) -> Parameters:
        """dLoss/dp of the batch's mean loss, regulariser included; parameters stay.

        The keys are those of the parameters that are learned. In the limit dt → 0 this is the
        derivative itself. What Adam is given is mlGeNN's ``Gradient``, which is smaller by
        `gradient_scale`.
        """
        ...

    def record(self, events: Events) -> Recording:
        """All spikes and output voltages of some samples."""
        ...

    def parameters(self) -> Parameters:
        """A copy of all parameters."""
        ...

    def set_parameters(self, parameters: Mapping[str, NDArray[np.float32]]) -> None:
        """Replace the weights, and those other parameters that are given.

        Raises:
            ConfigError: if they are not of this network.
        """
        ...

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of the optimiser's state: ``m_KEY``, ``v_KEY`` as the parameters, and ``step``."""
        ...

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the optimiser's state; moments that are not given become 0."""
        ...

    def kernel_times(self) -> dict[str, float]:
        """Seconds that parts of the computation have taken; empty if the backend measures none."""
        ...


class Backend(Protocol):
    """A module that compiles networks."""

    def compile(self, network: Network, config: CompileConfig) -> Compiled:
        """Make a network ready to run, its weights as drawn from the seed.

        Raises:
            ConfigError: if the backend cannot run it.
            BuildError: if generated code does not compile.
        """
        ...


def require_samples(labels: NDArray[np.integer]) -> None:
    """Refuse to learn from a batch without samples, whose mean loss is no number.

    Raises:
        ConfigError: if it is one.
    """
    require(len(labels) > 0, "1 <= samples of a batch", len(labels), "leave empty batches out")
