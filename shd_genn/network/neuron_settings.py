"""Settings of hidden neurons: which neuron, and the options that only it has.

Time constants of the membrane, and thresholds, are settings of the network, because most neurons
have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from shd_genn.network.neurons.izhikevich import Cell
from shd_genn.network.neurons.leaky_integrate_fire import Reset
from shd_genn.network.neurons.paralif import Spikes
from shd_genn.network.neurons.sliding_psn import LONGEST
from shd_genn.support.settings import Choice, Cure

Refractory = Annotated[float, Ge(0), Lt(1000), Cure("0 means no refractory time; 2 to 5 are usual")]
Tau = Annotated[float, Gt(0), Cure("the papers use 30 to 2000 ms")]
Gain = Annotated[float, Gt(0), Cure("10 to 15 suit weights that suit LIF neurons")]


@dataclass(frozen=True)
class NeuronSettings(Choice):
    """Base of all hidden neurons.

    Attributes:
        has_tau_mem: Whether ``tau_mem_ms`` is a constant of it.
        has_threshold: Whether ``v_thresh`` is.
    """

    has_tau_mem: ClassVar[bool] = True
    has_threshold: ClassVar[bool] = True

    @property
    def learned(self) -> tuple[str, ...]:
        """Which of the parameters that only it has are learned."""
        learned: tuple[str, ...] = getattr(self, "train_neuron", ())
        return learned


@dataclass(frozen=True)
class Lif(NeuronSettings, kind="lif"):
    """Leaky integrate-and-fire."""

    reset: Reset = "zero"
    """What a spike does to V: zero sets it to 0, subtract subtracts the threshold."""
    tau_refrac_ms: Refractory = 0.0
    """For how many ms after a spike V is held where the reset has put it."""


@dataclass(frozen=True)
class Alif(NeuronSettings, kind="alif"):
    """Leaky integrate-and-fire with an adaptive threshold (Bellec et al. 2018, 2020)."""

    tau_adapt_ms: Tau = 2000.0
    """Time constant in ms with which the threshold falls back."""
    threshold_jump: Annotated[float, Gt(0), Cure("the papers use 0.0174")] = 0.0174
    """How much a spike raises the threshold (the papers' beta)."""
    alif_reset: Reset = "subtract"
    """What a spike does to V, as reset of lif."""
    tau_refrac_ms: Refractory = 0.0
    """For how many ms after a spike V is held where the reset has put it."""
    train_neuron: tuple[Literal["tau_adapt", "beta"], ...] = ()
    """Which parameters of the neuron's own are learned, each for every hidden neuron."""


@dataclass(frozen=True)
class Adlif(NeuronSettings, kind="adlif"):
    """Leaky integrate-and-fire with an adaptation current (Bittar & Garner 2022)."""

    tau_w_ms: Tau = 100.0
    """Time constant of the adaptation current in ms; the papers use 30 to 300."""
    adapt_a: Annotated[float, Gt(-1), Cure("the papers use -1 to 1")] = 0.2
    """How much the voltage drives the adaptation current."""
    adapt_b: Annotated[float, Cure("the papers use 0 to 2")] = 0.2
    """How much a spike raises the adaptation current."""
    train_neuron: tuple[Literal["tau_w", "a", "b"], ...] = ()
    """Which parameters of the neuron's own are learned, each for every hidden neuron."""


@dataclass(frozen=True)
class Qif(NeuronSettings, kind="qif"):
    """Quadratic integrate-and-fire."""

    has_threshold: ClassVar[bool] = False

    v_crit: Annotated[float, Gt(0), Cure("1 is usual")] = 1.0
    """Beyond this voltage V rises by itself."""
    v_peak: Annotated[float, Gt(0), Cure("10 is usual")] = 10.0
    """The voltage of a spike."""
    v_reset: Annotated[float, Lt(0), Cure("-1 is usual")] = -1.0
    """The voltage after a spike."""
    train_neuron: tuple[Literal["v_crit", "v_peak", "v_reset"], ...] = ()
    """Which parameters of the neuron's own are learned, each for every hidden neuron."""


@dataclass(frozen=True)
class IzhikevichNeuron(NeuronSettings, kind="izhikevich"):
    """Izhikevich's neuron (2003)."""

    has_tau_mem: ClassVar[bool] = False
    has_threshold: ClassVar[bool] = False

    cell: Cell = "RS"
    """The kind of cell: RS regular spiking, IB intrinsically bursting, CH chattering, FS fast
    spiking, LTS low-threshold spiking."""
    current_gain: Gain = 10.0
    """The current, in the neuron's unit, that a synaptic current of 1 stands for."""
    train_neuron: tuple[Literal["a", "b", "c", "d", "gain"], ...] = ()
    """Which parameters of the neuron's own are learned, each for every hidden neuron."""


@dataclass(frozen=True)
class HodgkinHuxleyNeuron(NeuronSettings, kind="hodgkin_huxley"):
    """Hodgkin and Huxley's neuron (1952)."""

    has_tau_mem: ClassVar[bool] = False
    has_threshold: ClassVar[bool] = False

    current_gain: Gain = 10.0
    """The current, in the neuron's unit, that a synaptic current of 1 stands for."""
    train_neuron: tuple[Literal["g_Na", "g_K", "g_L", "gain"], ...] = ()
    """Which parameters of the neuron's own are learned, each for every hidden neuron."""


@dataclass(frozen=True)
class Klif(NeuronSettings, kind="klif"):
    """Leaky integrate-and-fire with a learned factor of the voltage (Jiang & Zhang 2023)."""

    klif_factor: Annotated[float, Gt(0), Cure("the paper starts with 1")] = 1.0
    """The factor k with which V is compared with the threshold, at the start."""
    reset: Reset = "zero"
    """What a spike does to V: zero sets it to 0, subtract subtracts the threshold."""
    scale_reset: bool = True
    """Divide V by k after each step; the paper does not, which is for few or long steps."""
    train_neuron: tuple[Literal["k"], ...] = ("k",)
    """Which parameters of the neuron's own are learned, each for every hidden neuron."""


@dataclass(frozen=True)
class Ltmd(NeuronSettings, kind="ltmd"):
    """Leaky integrate-and-fire with the threshold tanh(k_thresh), learned (Wang et al. 2022)."""

    has_threshold: ClassVar[bool] = False

    k_thresh: Annotated[float, Gt(0), Cure("the paper's code starts with 0.5")] = 0.5
    """The threshold is tanh(k_thresh) at the start: 0.46 with 0.5."""
    train_neuron: tuple[Literal["k_thresh"], ...] = ("k_thresh",)
    """Which parameters of the neuron's own are learned, each for every hidden neuron."""


@dataclass(frozen=True)
class Paralif(NeuronSettings, kind="paralif"):
    """Leaky integrator that no spike resets (Yarga & Wood 2025)."""

    spikes: Spikes = "threshold"
    """When it spikes: threshold (in every step with V above it), delta (V has risen by it since the
    step before) or bernoulli (at random, with probability 1 / (1 + exp(v_thresh - V)))."""


@dataclass(frozen=True)
class SlidingPsn(NeuronSettings, kind="sliding_psn"):
    """Sliding parallel spiking neuron: weighs the currents of the last steps (Fang et al. 2023)."""

    has_tau_mem: ClassVar[bool] = False

    psn_order: Annotated[int, Ge(1), Le(LONGEST), Cure("32 is usual")] = 32
    """How many steps a neuron weighs, this one included."""
    train_neuron: tuple[Literal["w"], ...] = ("w",)
    """Which parameters of the neuron's own are learned, each for every hidden neuron."""


NeuronChoice = (
    Lif
    | Alif
    | Adlif
    | Qif
    | IzhikevichNeuron
    | HodgkinHuxleyNeuron
    | Klif
    | Ltmd
    | Paralif
    | SlidingPsn
)
