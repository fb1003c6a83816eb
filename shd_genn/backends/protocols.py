"""What a backend is: it compiles a network, and what comes out simulates and trains it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.capabilities import Capabilities, Status
from shd_genn.learning.methods import Method
from shd_genn.learning.objective import Objective
from shd_genn.learning.optimisers import Adam, LearningRate
from shd_genn.network import Network
from shd_genn.present.delay_line import DelayLine
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError, require

Parameters = dict[str, NDArray[np.float32]]
"""All that a run may learn, float32, under flat keys, which are those of checkpoints too:

| key                  | kind       | unit  | shape                            |
|----------------------|------------|-------|----------------------------------|
| `CONNECTION`         | `weight`   |       | (source neurons, target neurons) |
| `CONNECTION.delay`   | `delay`    | steps | (source neurons, target neurons) |
| `POPULATION.tau_mem` | `tau_mem`  | ms    | (neurons,)                       |
| `POPULATION.tau_syn` | `tau_syn`  | ms    | (neurons,)                       |
| `POPULATION.v_thresh`| `v_thresh` |       | (neurons,)                       |

Axonal delays have the shape (source neurons,), dendritic ones (target neurons,). Weights are always
there; the others where the network has a number for each neuron or synapse.
"""


@dataclass(frozen=True)
class CompileConfig:
    """What a backend needs to know besides the network.

    Attributes:
        n_steps: Time steps of a trial; later spikes are left out.
        dt_ms: Length of a time step in ms.
        seed: Draws the initial weights.
        n_threads: Threads to compute with; 0 means all cores the process may use.
        batch_size: Samples of the largest batch that will be learned from, None if none will; a
            backend may generate code for it.
        kernel_times: Measure kernels on a GPU too, where every step then waits for the device.
        adam: The optimiser.
        objective: What is minimised.
        delay_line: The delay line that the input comes through, if its spikes are on the time grid
            (`binarise`); a backend may know how to compute it faster.
    """

    n_steps: int
    dt_ms: float = 1.0
    seed: int = 0
    n_threads: int = 0
    batch_size: int | None = None
    kernel_times: bool = False
    adam: Adam = field(default_factory=Adam)
    objective: Objective = field(default_factory=Objective)
    delay_line: DelayLine | None = None

    def __post_init__(self) -> None:
        require(1 <= self.n_steps, "1 <= n_steps", self.n_steps, "lengthen the trial or shorten dt")
        require(0 < self.dt_ms < math.inf, "0 < dt_ms < inf", self.dt_ms, "1 ms is usual")
        require(0 <= self.n_threads, "0 <= n_threads", self.n_threads, "0 means all cores")
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

    @cached_property
    def lag_steps(self) -> int | None:
        """Steps between copies of the delay line; None if there is none, or they vary."""
        line = self.delay_line
        return None if line is None else line.lag_steps(self.n_steps, self.dt_ms)


@dataclass(frozen=True)
class BatchResult:
    """What came out of a number of samples.

    Attributes:
        readout: float32, (n_samples, n_classes).
        loss: float32, (n_samples,), see `shd_genn.learning.objective`; without the regulariser,
            and nan without labels.
        spike_counts: Hidden population name → int32, (n_samples, neurons): spikes in the trial.
        input_spikes: int32, (n_samples,): input spikes emitted within the trial.
        near_steps: Hidden population name → int64, (n_samples,): in how many steps its neurons,
            all together, had a surrogate derivative that is not 0. Only of trials that were
            learned from with a bounded surrogate, and of leaky integrate-and-fire neurons.
    """

    readout: NDArray[np.float32]
    loss: NDArray[np.float32]
    spike_counts: dict[str, NDArray[np.int32]]
    input_spikes: NDArray[np.int32]
    near_steps: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

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


@runtime_checkable
class Simulator(Protocol):
    """A network on a device, which simulates it; a context manager that owns the device.

    A trial starts from rest and knows nothing of the trials before it.
    """

    network: Network
    config: CompileConfig

    def __enter__(self) -> Self:
        """Give the simulator itself."""
        ...

    def __exit__(self, *error: object) -> None:
        """Free the device."""
        ...

    def evaluate(self, events: Events, labels: NDArray[np.integer] | None = None) -> BatchResult:
        """Forward pass only; the parameters stay."""
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
            ConfigError: if they do not fit this network.
        """
        ...

    def kernel_times(self) -> dict[str, float]:
        """Seconds that parts of the computation have taken; empty if the backend measures none."""
        ...


@runtime_checkable
class OnGpu(Protocol):
    """What a simulator has, too, that knows what it keeps on a GPU."""

    def peak_gpu_memory(self) -> int:
        """Bytes of its arrays on the GPU: the most that there have been at a time."""
        ...


@runtime_checkable
class Learner(Simulator, Protocol):
    """A simulator that learns, with the state of its optimiser."""

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """One update of all that is learned; the result is that of the parameters before it.

        Raises:
            ConfigError: if there are no samples.
        """
        ...

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of the optimiser's state: ``m_KEY``, ``v_KEY`` as the parameters, and ``step``."""
        ...

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the optimiser's state; moments that are not given become 0."""
        ...


@runtime_checkable
class Differentiable(Learner, Protocol):
    """A learner whose method follows the gradient of the loss."""

    def gradient(self, events: Events, labels: NDArray[np.integer]) -> Parameters:
        """dLoss/dp of the batch's mean loss, regulariser included; parameters stay.

        The keys are those of the parameters that are learned. In the limit dt → 0 this is the
        derivative itself. What Adam is given is mlGeNN's ``Gradient``, which is smaller by
        `shd_genn.learning.methods.eventprop.gradient_scale`.

        Raises:
            ConfigError: if there are no samples.
        """
        ...


class Backend(Protocol):
    """A module that compiles networks."""

    CAPABILITIES: Capabilities

    def status(self) -> Status:
        """What it finds on this machine; nothing large is imported for it."""
        ...

    def describe(self) -> dict[str, Any]:
        """What a run records of it: versions, compiler, device."""
        ...

    def compile(self, network: Network, method: Method, config: CompileConfig) -> Simulator:
        """Make a network ready to run, its weights as drawn from the seed.

        Returns:
            A `Learner` if the method learns, and a `Differentiable` if it has a gradient.

        Raises:
            ConfigError: if the backend or the method cannot do it.
            BuildError: if generated code does not compile.
        """
        ...


def require_learner(simulator: Simulator) -> Learner:
    """The same simulator, which can learn.

    Raises:
        ConfigError: if it cannot.
    """
    if not isinstance(simulator, Learner):
        raise ConfigError(
            f"{type(simulator).__name__} simulates this network, but cannot train it; take another "
            "backend or training method"
        )
    return simulator


def require_gradient(simulator: Simulator) -> Differentiable:
    """The same simulator, which has a gradient.

    Raises:
        ConfigError: if it has none.
    """
    if not isinstance(simulator, Differentiable):
        raise ConfigError(
            f"{type(simulator).__name__} has no gradient of the loss; take another backend or "
            "training method"
        )
    return simulator


def require_samples(labels: NDArray[np.integer]) -> None:
    """Refuse to learn from a batch without samples, whose mean loss is no number.

    Raises:
        ConfigError: if there are none.
    """
    require(len(labels) > 0, "1 <= samples of a batch", len(labels), "leave empty batches out")


def require_channels(events: Events, network: Network) -> None:
    """Refuse spikes of channels that a network does not have.

    Raises:
        ConfigError: if there are any.
    """
    highest, n_inputs = int(events.channels.max(initial=0)), network.input.size
    require(
        highest < n_inputs,
        "channel < number of input neurons",
        f"channel {highest} of {n_inputs}",
        "build the network for as many channels as the dataset has",
    )
