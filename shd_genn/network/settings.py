"""Settings of the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol

from annotated_types import Ge, Gt, Le, Len

from shd_genn.network.formulas import CONSTANTS, Formula
from shd_genn.network.learned_weight import Form as WeightForm
from shd_genn.network.learned_weight import LearnedWeight
from shd_genn.network.neuron_settings import Lif, NeuronChoice
from shd_genn.network.parts import DelayKind
from shd_genn.network.readouts import Readout
from shd_genn.support.errors import refuse_unless, require
from shd_genn.support.settings import Choice, Cure, Settings, UserPath

Size = Annotated[int, Ge(1), Cure("the thesis uses 64, 128, 256, 512 and 1024")]
Count = Annotated[int, Ge(1), Cure("leave it out: the dataset decides it")]
Tau = Annotated[float, Gt(0), Cure("the papers use 20 ms for membranes and 5 ms for synapses")]
LowestTau = Annotated[float, Gt(0), Cure("the papers use 3 ms for membranes and 1 ms for synapses")]
Delay = Annotated[float, Ge(0), Cure("the papers use up to 150 ms; 0 means no delays")]
Mean = Annotated[float, Cure("the papers use means from 0 to 0.03")]
Deviation = Annotated[float, Ge(0), Cure("0 means that all start the same")]


@dataclass(frozen=True)
class SameTau(Choice, kind="same"):
    """All neurons start with the same time constants."""


@dataclass(frozen=True)
class GammaTau(Choice, kind="gamma"):
    """Each neuron draws its own time constants from Gamma distributions.

    Their means are tau_mem_ms and tau_syn_ms; draws are clipped to 3 times the mean (Nowotny,
    Turner & Knight 2025).
    """

    gamma_shape: Annotated[float, Gt(0), Cure("the papers use 3")] = 3.0
    """Shape of the Gamma distributions; a higher one means less spread."""


TauDistribution = SameTau | GammaTau


@dataclass(frozen=True)
class ReadoutSettings(Choice):
    """Base of all readouts."""

    @property
    def name(self) -> Readout:
        """The readout's name, as in `shd_genn.network.readouts.READOUTS`."""
        return self.kind  # type: ignore[return-value]

    @property
    def weight(self) -> Formula | LearnedWeight | None:
        """The weight of ``weighted``, and what ``learned_weight`` learns; None for all others."""
        return None


@dataclass(frozen=True)
class VoltageReadout(ReadoutSettings):
    """Base of readouts of output voltages, which are learned by the cross-entropy of a softmax."""

    softmax_temperature: Annotated[float, Gt(0), Cure("the papers use 1")] = 1.0
    """The softmax divides output voltages by this number. With the papers' value, 1, averages over
    a trial are too small to matter until output weights have grown a hundredfold; 0.1 or 0.2
    learns faster and better."""


class AvgVar(VoltageReadout, kind="avg_var"):
    """Average of the voltage (the papers' sum)."""


class AvgVarExpWeight(VoltageReadout, kind="avg_var_exp_weight"):
    """Average that weighs early voltages more, exponentially (the papers' sum-exp)."""


class AvgVarLinearWeight(VoltageReadout, kind="avg_var_linear_weight"):
    """Average that weighs early voltages more, linearly."""


class AvgVarSigmoidWeight(VoltageReadout, kind="avg_var_sigmoid_weight"):
    """Average that weighs early voltages more, by a sigmoid."""


class SumVar(VoltageReadout, kind="sum_var"):
    """Sum over the time steps."""


class MaxVar(VoltageReadout, kind="max_var"):
    """Maximum (the papers' max)."""


class Var(VoltageReadout, kind="var"):
    """Cross-entropy of every time step, averaged, which fails on SHD."""


@dataclass(frozen=True)
class FirstSpikeTime(ReadoutSettings, kind="first_spike_time"):
    """Outputs spike, and the first spike decides.

    The papers start output weights with mean 1.2 and standard deviation 0.6.
    """

    first_spike_tau0_ms: Annotated[float, Gt(0), Cure("the papers use 1 ms")] = 1.0
    """First spikes compete by exp(-t/tau0); tau0 in ms."""
    first_spike_alpha: Annotated[float, Ge(0), Cure("0 means no penalty; the papers use 5e-5")] = (
        5e-5
    )
    """Strength of the penalty on late first spikes."""


@dataclass(frozen=True)
class FirstSpikeTimeExp(FirstSpikeTime, kind="first_spike_time_exp"):
    """Outputs spike, and the first spike decides; late ones are penalised exponentially."""

    first_spike_tau1_ms: Annotated[float, Gt(0), Cure("the papers use 100 ms")] = 100.0
    """Time constant in ms of the exponential penalty."""


WeightConstant = Annotated[float, Cure("choose it as the formula needs it")]


@dataclass(frozen=True)
class Weighted(VoltageReadout, kind="weighted"):
    """Average that weighs voltages by a formula of your own."""

    readout_weight: str = "exp(-s)"
    """Weight of the voltage: a formula of s, which runs from 0 to 1 over a trial, for example
    o + d*(s-m)*exp(-(s-m)**2/(2*c**2))."""
    weight_a: WeightConstant | None = None
    """The number a of the formula."""
    weight_b: WeightConstant | None = None
    """The number b of the formula."""
    weight_c: WeightConstant | None = None
    """The number c of the formula."""
    weight_d: WeightConstant | None = None
    """The number d of the formula."""
    weight_m: WeightConstant | None = None
    """The number m of the formula."""
    weight_o: WeightConstant | None = None
    """The number o of the formula."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.weight.check()

    @property
    def weight(self) -> Formula:
        """The formula with its numbers."""
        values = ((name, getattr(self, f"weight_{name}")) for name in CONSTANTS)
        given = tuple((name, value) for name, value in values if value is not None)
        return Formula(self.readout_weight, given)


@dataclass(frozen=True)
class LearnedWeightReadout(VoltageReadout, kind="learned_weight"):
    """Average that learns how to weigh voltages over time."""

    weight_knots: Annotated[int, Ge(4), Le(64), Cure("8 is usual")] = 8
    """Numbers that each curve of the weight is made of: knots of a cubic spline."""
    weight_form: WeightForm = "softmax"
    """softmax: the weight is positive and 1 on average; spline: it may have any value."""
    weight_per_class: bool = False
    """Each word has a curve of its own."""
    weight_attention: bool = False
    """The weight also depends on the output voltages of the trial."""
    weight_smoothness: Annotated[float, Ge(0), Cure("0 means that nothing is smoothed")] = 1e-4
    """Strength of the regularisation that keeps curves smooth: it multiplies the sum of the squared
    second differences of the knots."""
    weight_learning_rate: Annotated[float, Gt(0), Cure("0.0001 is usual")] = 1e-4
    """Adam's step for the knots. Ease-in and schedule change it as they change that of weights.
    With 0.01 training was unstable: a weight moved to the silent end of the trial."""
    weight_start: str = "exp(-s)"
    """Formula of s that all curves start from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.weight

    @property
    def weight(self) -> LearnedWeight:
        """What is learned."""
        return LearnedWeight(
            *(self.weight_knots, self.weight_form, self.weight_per_class, self.weight_attention),
            *(self.weight_smoothness, Formula(self.weight_start)),
        )


ReadoutChoice = (
    AvgVarExpWeight
    | AvgVar
    | AvgVarLinearWeight
    | AvgVarSigmoidWeight
    | SumVar
    | MaxVar
    | Var
    | FirstSpikeTime
    | FirstSpikeTimeExp
    | Weighted
    | LearnedWeightReadout
)


@dataclass(frozen=True)
class ModelConfig(Settings):
    """The network. Defaults are those of Nowotny, Turner & Knight (2025)."""

    model: Annotated[str, UserPath()] = "recurrent"
    """recurrent, feedforward, or the path of your own file with a function build(config)."""
    hidden_sizes: Annotated[tuple[Size, ...], Len(1)] = (256,)
    """Neurons of each hidden layer."""
    n_inputs: Count | None = None
    """Input channels; by default the dataset decides."""
    n_classes: Count | None = None
    """Output neurons; by default the dataset decides."""
    neuron: NeuronChoice = field(default_factory=Lif)
    """The neuron of hidden layers."""
    tau_mem_ms: Tau = 20.0
    """Membrane time constant of hidden neurons in ms."""
    tau_syn_ms: Tau = 5.0
    """Synaptic time constant in ms."""
    synapse: Literal["exponential", "delta"] = "exponential"
    """exponential: a spike adds its weight to a current that decays with tau_syn_ms; delta: to V at
    once, which surrogate gradients and e-prop can train. Weights that suit one are too small or too
    large for the other: an exponential synapse moves V by about tau_syn/tau_mem of its weight."""
    tau_mem_out_ms: Tau = 20.0
    """Membrane time constant of output neurons in ms."""
    tau_distribution: TauDistribution = field(default_factory=SameTau)
    """How both time constants of hidden neurons start."""
    train_tau: bool = False
    """Learn both time constants of every hidden neuron."""
    train_tau_out: bool = False
    """Learn both time constants of every output neuron."""
    tau_mem_min_ms: LowestTau = 3.0
    """Shortest membrane time constant that is drawn or learned, in ms."""
    tau_syn_min_ms: LowestTau = 1.0
    """Shortest synaptic time constant that is drawn or learned, in ms."""
    v_thresh: Annotated[float, Gt(0), Cure("the papers use 1")] = 1.0
    """Firing threshold of hidden neurons, and of outputs that spike."""
    v_thresh_sd: Deviation = 0.0
    """Standard deviation of the thresholds of hidden neurons at the start; 0: all are the same."""
    v_thresh_min: Annotated[float, Gt(0), Cure("0.1 is usual")] = 0.1
    """Lowest threshold that is drawn or learned."""
    train_v_thresh: bool = False
    """Learn the threshold of every hidden neuron."""
    delay_in_ms: Delay = 0.0
    """Delays of synapses from the input start evenly distributed from 0 to this, in ms; the papers
    use 150 in recurrent and 100 in feed-forward networks."""
    delay_rec_ms: Delay = 0.0
    """The same for synapses inside a recurrent layer."""
    delay_hidden_ms: Delay = 0.0
    """The same for synapses from one hidden layer to the next."""
    train_delays: tuple[Literal["input", "recurrent", "hidden"], ...] = ()
    """Connections whose delays are learned (Mészáros et al. 2025): input, recurrent (inside a
    layer), hidden (from one layer to the next)."""
    delay_kind: DelayKind = "synaptic"
    """synaptic: each synapse has its own delay; axonal: a presynaptic neuron has one for all its
    synapses of a connection; dendritic: a postsynaptic neuron has one. Delays that neurons share
    take less time and memory, and neuromorphic chips have them."""
    max_delay_ms: Delay = 1000.0
    """Longest delay that is drawn or learned, in ms."""
    readout: ReadoutChoice = field(default_factory=AvgVarExpWeight)
    """How outputs are read and learned: from voltages over the trial, or from first spikes."""
    w_in_mean: Mean = 0.03
    """Mean of the initial weights from the input to the first hidden layer."""
    w_in_sd: Deviation = 0.01
    """Standard deviation of these weights."""
    w_rec_mean: Mean = 0.0
    """Mean of the initial weights inside a recurrent layer."""
    w_rec_sd: Deviation = 0.02
    """Standard deviation of these weights."""
    w_hidden_mean: Mean = 0.02
    """Mean of the initial weights from one hidden layer to the next."""
    w_hidden_sd: Deviation = 0.03
    """Standard deviation of these weights."""
    w_out_mean: Mean = 0.0
    """Mean of the initial weights from the last hidden layer to the output."""
    w_out_sd: Deviation = 0.03
    """Standard deviation of these weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for lowest, name in (
            ("tau_mem_min_ms", "tau_mem_ms"),
            ("tau_syn_min_ms", "tau_syn_ms"),
            ("tau_mem_min_ms", "tau_mem_out_ms"),
            ("v_thresh_min", "v_thresh"),
        ):
            low, value = getattr(self, lowest), getattr(self, name)
            require(
                low <= value or not self._is_bounded(name),
                f"{lowest} <= {name}",
                f"{low} and {value}",
                f"lower {lowest}",
            )
        refuse_unless(
            self.synapse == "exponential" or not (self.train_tau or self.train_tau_out),
            "synapse delta has no tau_syn that train_tau and train_tau_out could learn",
            "leave them out, or use synapse=exponential",
        )
        refuse_unless(
            self.neuron.has_threshold or not (self.train_v_thresh or self.v_thresh_sd),
            f"neuron {self.neuron.kind} has no v_thresh that could differ or be learned",
            "leave v_thresh_sd and train_v_thresh out, or use neuron=lif",
        )
        for name in ("delay_in_ms", "delay_rec_ms", "delay_hidden_ms"):
            require(
                getattr(self, name) <= self.max_delay_ms,
                f"{name} <= max_delay_ms",
                f"{getattr(self, name)} and {self.max_delay_ms}",
                "raise max_delay_ms",
            )
        self._check_connections("recurrent", self.delay_rec_ms, self.model != "feedforward")
        several = len(self.hidden_sizes) > 1 or self.model not in ("recurrent", "feedforward")
        self._check_connections("hidden", self.delay_hidden_ms, several)
        refuse_unless(
            self.has_delays or self.delay_kind == "synaptic",
            f"delay_kind is {self.delay_kind}, but no connection has delays",
            "set delay_in_ms, delay_rec_ms, delay_hidden_ms or train_delays, or leave delay_kind "
            "out",
        )
        refuse_unless(
            0 < self.max_delay_ms or not self.train_delays,
            f"delays of {', '.join(self.train_delays)} connections are learned, but max_delay_ms "
            f"is {self.max_delay_ms}",
            "raise max_delay_ms",
        )

    @property
    def has_delays(self) -> bool:
        """Whether any connections have delays, fixed or learned."""
        drawn = self.delay_in_ms or self.delay_rec_ms or self.delay_hidden_ms
        return bool(drawn or self.train_delays)

    def _check_connections(self, where: str, longest_ms: float, exists: bool) -> None:
        refuse_unless(
            exists or not (longest_ms or where in self.train_delays),
            f"model {self.model} with hidden_sizes {' '.join(map(str, self.hidden_sizes))} has no "
            f"{where} connections, but delays of them are set",
            "use model=recurrent for recurrent ones, and several hidden_sizes for hidden ones",
        )

    def _is_bounded(self, name: str) -> bool:
        """Whether the lowest value of a parameter matters: whether it is drawn or learned."""
        if name == "tau_mem_out_ms":
            return self.train_tau_out
        if name == "v_thresh":
            return self.train_v_thresh or self.v_thresh_sd > 0
        shared = name == "tau_syn_ms" and self.train_tau_out
        return self.train_tau or shared or isinstance(self.tau_distribution, GammaTau)


class NetworkSettings(Protocol):
    """The part of a run's settings that model files read; a `shd_genn.config.Config` has it."""

    @property
    def model(self) -> ModelConfig:
        """Settings of the network."""

    @property
    def dt_ms(self) -> float:
        """Length of a time step in ms."""
