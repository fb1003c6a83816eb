"""What a backend is: it compiles a network, and what comes out trains and evaluates it.

| backend     | is                                                     |
|-------------|--------------------------------------------------------|
| `native`    | generated C++, samples in parallel over the cores      |
| `reference` | NumPy, equation by equation: the readable specification |
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from shd_genn.errors import ConfigError, require
from shd_genn.events import Events
from shd_genn.network import Network, kind_of
from shd_genn.readouts import READOUTS

BACKENDS = ("native", "reference")

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

LearningRate = float | Mapping[str, float]
"""One rate for everything that is learned, or one for each kind of parameter."""


@dataclass(frozen=True)
class Adam:
    """The Adam optimiser (Kingma & Ba 2015) in mlGeNN's form.

    m = β1 m + (1-β1) g;  v = β2 v + (1-β2) g²;
    w -= rate · m/(1-β1^k) / (sqrt(v/(1-β2^k)) + epsilon) at update k = 1, 2, …
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name, beta in (("beta1", self.beta1), ("beta2", self.beta2)):
            require(0 <= beta < 1, f"0 <= {name} < 1", beta, "Adam's usual values: 0.9 and 0.999")
        require(0 < self.epsilon, "0 < epsilon", self.epsilon, "Adam's usual value is 1e-8")


@dataclass(frozen=True)
class Regulariser:
    """Pulls the spike count of each hidden neuron towards a target (mlGeNN's, same strengths).

    At each of a neuron's own spikes the adjoint jumps: λ_V -= (strength / B) (c - target) with c
    the neuron's spikes per trial averaged over the batch of B samples.

    Attributes:
        upper: Strength where c > target (mlGeNN ``reg_lambda_upper``).
        lower: Strength elsewhere (mlGeNN ``reg_lambda_lower``).
        target: Spikes per neuron and trial (mlGeNN ``reg_nu_upper``).
    """

    upper: float = 0.0
    lower: float = 0.0
    target: float = 14.0

    def __post_init__(self) -> None:
        for name in ("upper", "lower", "target"):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"0 <= regulariser {name} < inf", value, "0 means none")


def rate_of(learning_rate: LearningRate, key: str) -> float:
    """The learning rate of one of the `Parameters`.

    Raises:
        ConfigError: if rates are given by kind, but not for this one.
    """
    if not isinstance(learning_rate, Mapping):
        return learning_rate
    kind = kind_of(key)
    require(
        kind in learning_rate,
        f"a learning rate for each kind of parameter that is learned, among them {kind},",
        dict(learning_rate),
        "name it, or give one number for all",
    )
    return learning_rate[kind]


@dataclass(frozen=True)
class FirstSpikeLoss:
    """Constants of the losses of first spikes (Nowotny, Turner & Knight 2025); see `losses`.

    Attributes:
        tau0_ms: Spikes compete by exp(-t/tau0); mlGeNN's ``softmax_temperature``.
        tau1_ms: Time constant of the exponential penalty of late spikes.
        alpha: Strength of the penalty; mlGeNN's ``ttfs_alpha``.
    """

    tau0_ms: float = 1.0
    tau1_ms: float = 100.0
    alpha: float = 5e-5

    def __post_init__(self) -> None:
        for name in ("tau0_ms", "tau1_ms"):
            value = getattr(self, name)
            require(0 < value < math.inf, f"0 < first spike {name} < inf", value, "it is in ms")
        require(
            0 <= self.alpha < math.inf, "0 <= first spike alpha < inf", self.alpha, "0 means none"
        )


@dataclass(frozen=True)
class CompileConfig:
    """What a backend needs to know besides the network.

    Attributes:
        n_steps: Time steps of a trial; spikes that come later are not seen.
        dt_ms: Length of a time step in ms.
        seed: Draws the initial weights.
        n_threads: Threads to compute with; 0 means all cores the process may use.
        adam: The optimiser.
        regulariser: Of the hidden spike counts.
        first_spike: Constants of the loss, if first spikes are read.
    """

    n_steps: int
    dt_ms: float = 1.0
    seed: int = 0
    n_threads: int = 0
    adam: Adam = field(default_factory=Adam)
    regulariser: Regulariser = field(default_factory=Regulariser)
    first_spike: FirstSpikeLoss = field(default_factory=FirstSpikeLoss)

    def __post_init__(self) -> None:
        require(1 <= self.n_steps, "1 <= n_steps", self.n_steps, "lengthen the trial or shorten dt")
        require(0 < self.dt_ms < math.inf, "0 < dt_ms < inf", self.dt_ms, "1 ms is usual")
        require(0 <= self.n_threads, "0 <= n_threads", self.n_threads, "0 means all cores")

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


class Compiled(Protocol):
    """A network on a device, with its optimiser; a context manager that owns the device.

    A trial starts from rest and knows nothing of the trials before it.
    """

    network: Network
    config: CompileConfig

    def __enter__(self) -> Self:
        """Take the device."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give back device and memory."""
        ...

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """One update of all that is learned; the result is that of the parameters before it."""
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


class Backend(Protocol):
    """A module that compiles networks."""

    def compile(self, network: Network, config: CompileConfig) -> Compiled:
        """Make a network ready to run, its weights as drawn from the seed.

        Raises:
            ConfigError: if the backend cannot run it.
            BuildError: if generated code does not compile.
        """
        ...


def get(name: str) -> Backend:
    """The backend of a name; never another one in its place.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in BACKENDS:
        raise ConfigError(f"backend in {', '.join(BACKENDS)} must hold, but got {name!r}")
    backend: Backend = importlib.import_module(f"shd_genn.backends.{name}")
    return backend


def gradient_scale(network: Network, n_steps: int) -> float:
    """dLoss/dw divided by mlGeNN's ``Gradient``, in the limit dt → 0.

    mlGeNN leaves out a factor tau_mem of an output that is read by its voltage, and drives
    ``sum_var`` and ``max_var`` as if they were averages over the trial, N times too little.
    Regularisation strengths are published relative to that scale, so training keeps it.
    """
    kind = READOUTS[network.readout]
    if kind.spiking:
        return 1.0
    return network.tau_mem_out * (1 if kind.averaged else n_steps)
