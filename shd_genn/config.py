"""All settings of a run: frozen dataclasses, checked when made.

Every field becomes an option of `python -m shd_genn.run`; its docstring is the option's help.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from typing import Literal

from shd_genn.errors import require
from shd_genn.readouts import READOUTS, Readout

BackendOption = Literal["auto", "genn", "native", "reference"]


@dataclass(frozen=True)
class DataConfig:
    """What is learned, and how much of it is kept apart."""

    dataset: str = "spoken-digits"
    """spoken-digits (synthesised, embedded), shd, ssc, or a folder that holds train.h5 and test.h5
    (and optionally valid.h5) in SHD's layout."""
    data_dir: str | None = None
    """Where the files of shd or ssc lie; by default where python -m shd_genn.datasets puts them."""
    trial_ms: float = 1000.0
    """Length of a trial in ms; later spikes are not seen."""
    validation: Literal["auto", "random", "speaker", "none"] = "auto"
    """How validation samples are found; never in the test set. auto: valid.h5 where there is one,
    else random; random: a part of the training set; speaker: leave-one-speaker-out
    cross-validation, one training for each speaker of the training set, and a last one with all."""
    validation_fraction: float = 0.1
    """Part of the training set that validation=random keeps apart."""
    validation_speaker: str | None = None
    """The only one to leave out by validation=speaker, instead of each in turn: a name or index of
    the dataset."""
    test: bool = True
    """Judge the chosen epoch on the test set, once, at the end. False while settings are still
    being chosen: so the test set cannot choose them."""
    binarise: bool = False
    """Merge spikes of a channel that fall into one time step, as the papers' own code; otherwise
    the second one enters in the next step, as in mlGeNN. Training and test alike."""
    delay_copies: int = 0
    """Delay line: so many delayed copies of the input, each with channels of its own, are presented
    beside it, in training and test alike; the papers use 10."""
    delay_step_ms: float = 30.0
    """Delay of each copy of the delay line against the one before, in ms."""

    def __post_init__(self) -> None:
        _positive("trial_ms", self.trial_ms, "SHD's words last up to 1370 ms")
        require(
            0 < self.validation_fraction < 1,
            "0 < validation_fraction < 1",
            self.validation_fraction,
            "0.1 keeps a tenth apart; for none use validation=none",
        )
        require(
            self.validation == "speaker" or self.validation_speaker is None,
            "validation = speaker where a validation_speaker is named",
            f"validation {self.validation} and validation_speaker {self.validation_speaker}",
            "say validation=speaker",
        )
        require(0 <= self.delay_copies, "0 <= delay_copies", self.delay_copies, "0 means none")
        _positive("delay_step_ms", self.delay_step_ms, "the papers use 30 ms")


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to training samples only, anew in every epoch, in the order of the options."""

    blend: float = 0.0
    """Samples that are added by blending two of the same word, as a part of the training set: 1
    doubles it, as in the papers. 0: none."""
    blend_keep: float = 0.5
    """Probability that a spike of either sample is kept in their blend."""
    dilation: float = 1.0
    """Time is stretched by a random factor between 1/dilation and dilation, evenly on a logarithmic
    scale. 1: none."""
    shift_channels: float = 20.0
    """Each sample is shifted by a random whole number of channels, up to this many either way; the
    papers use 40 on SHD. 0: no shift."""
    jitter_channels: float = 0.0
    """Standard deviation, in channels, of a normal shift of each single spike. 0: none."""
    dropout: float = 0.0
    """Probability that a spike is left out. 0: none."""
    normalise_spikes: bool = False
    """Thin every sample at random to about as many spikes as the training sample with fewest
    has."""

    def __post_init__(self) -> None:
        for name, cure in (
            ("shift_channels", "0 means no shift, 40 is the papers' value"),
            ("jitter_channels", "0 means none, the papers tried 5 to 20"),
        ):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"0 <= {name} < inf", value, cure)
        require(0 <= self.blend <= 100, "0 <= blend <= 100", self.blend, "the papers use 1")
        require(0 < self.blend_keep <= 1, "0 < blend_keep <= 1", self.blend_keep, "usual: 0.5")
        require(1 <= self.dilation < math.inf, "1 <= dilation < inf", self.dilation, "1 means none")
        require(0 <= self.dropout < 1, "0 <= dropout < 1", self.dropout, "0 means none")


DELAYED = ("input", "recurrent", "hidden")
"""Kinds of connections that may have delays."""


@dataclass(frozen=True)
class ModelConfig:
    """The network; defaults are those of Nowotny, Turner & Knight (2025)."""

    model: str = "recurrent"
    """recurrent, feedforward, or the path of your own file with a function build(config)."""
    hidden_sizes: tuple[int, ...] = (256,)
    """Neurons of each hidden layer."""
    n_inputs: int | None = None
    """Input channels; taken from the dataset if not given."""
    n_classes: int | None = None
    """Output neurons; taken from the dataset if not given."""
    tau_mem_ms: float = 20.0
    """Membrane time constant of the hidden neurons in ms."""
    tau_syn_ms: float = 5.0
    """Synaptic time constant in ms."""
    tau_mem_out_ms: float = 20.0
    """Membrane time constant of the output neurons in ms."""
    tau_distribution: Literal["same", "gamma"] = "same"
    """How both time constants of hidden neurons start. same: as above; gamma: each neuron draws its
    own from Gamma distributions of shape 3 with these means, clipped to 3 times the mean."""
    train_tau: bool = False
    """Learn both time constants of every hidden neuron."""
    train_tau_out: bool = False
    """Learn both time constants of every output neuron."""
    tau_mem_min_ms: float = 3.0
    """Shortest membrane time constant that is drawn or learned, in ms."""
    tau_syn_min_ms: float = 1.0
    """Shortest synaptic time constant that is drawn or learned, in ms."""
    v_thresh: float = 1.0
    """Firing threshold of the hidden neurons, and of outputs that spike."""
    v_thresh_sd: float = 0.0
    """Standard deviation of the thresholds of hidden neurons at the start; 0: all are the same."""
    v_thresh_min: float = 0.1
    """Lowest threshold that is drawn or learned."""
    train_v_thresh: bool = False
    """Learn the threshold of every hidden neuron."""
    delay_in_ms: float = 0.0
    """Delays of synapses from the input start evenly spread from 0 to this, in ms; the papers use
    150 in recurrent and 100 in feed-forward networks."""
    delay_rec_ms: float = 0.0
    """Likewise of synapses inside a recurrent layer."""
    delay_hidden_ms: float = 0.0
    """Likewise of synapses from one hidden layer to the next."""
    train_delays: tuple[Literal["input", "recurrent", "hidden"], ...] = ()
    """Connections whose delays are learned (Mészáros et al. 2025): input, recurrent (inside a
    layer), hidden (from one layer to the next)."""
    max_delay_ms: float = 1000.0
    """Longest delay that is learned, in ms."""
    readout: Readout = "avg_var_exp_weight"
    """How the output is read and learned. Averages of its voltage: avg_var (the papers' sum),
    avg_var_exp_weight (sum-exp), avg_var_linear_weight, avg_var_sigmoid_weight; sum_var; max_var
    (max). var: the cross-entropy of every time step, averaged, which fails on SHD.
    first_spike_time and first_spike_time_exp: outputs that spike, the first one decides; the papers
    start them with output weights of mean 1.2 and standard deviation 0.6."""
    w_in_mean: float = 0.03
    """Mean of the initial weights from the input to the first hidden layer."""
    w_in_sd: float = 0.01
    """Their standard deviation."""
    w_rec_mean: float = 0.0
    """Mean of the initial weights inside a recurrent layer."""
    w_rec_sd: float = 0.02
    """Their standard deviation."""
    w_hidden_mean: float = 0.02
    """Mean of the initial weights from one hidden layer to the next."""
    w_hidden_sd: float = 0.03
    """Their standard deviation."""
    w_out_mean: float = 0.0
    """Mean of the initial weights from the last hidden layer to the output."""
    w_out_sd: float = 0.03
    """Their standard deviation."""

    def __post_init__(self) -> None:
        require(
            len(self.hidden_sizes) > 0 and all(size >= 1 for size in self.hidden_sizes),
            "1 <= every hidden size, and at least one of them,",
            self.hidden_sizes,
            "the thesis uses 64, 128, 256, 512 and 1024",
        )
        for name in ("tau_mem_ms", "tau_syn_ms", "tau_mem_out_ms", "v_thresh"):
            _positive(name, getattr(self, name), "the papers use 20 ms, 5 ms and a threshold of 1")
        for name in ("tau_mem_min_ms", "tau_syn_min_ms", "v_thresh_min"):
            _positive(name, getattr(self, name), "the papers use 3 ms and 1 ms")
        for low, name in (
            (self.tau_mem_min_ms, "tau_mem_ms"),
            (self.tau_syn_min_ms, "tau_syn_ms"),
            (self.tau_mem_min_ms, "tau_mem_out_ms"),
            (self.v_thresh_min, "v_thresh"),
        ):
            require(
                low <= getattr(self, name) or not self._bounded(name),
                f"its lowest value <= {name}",
                f"lowest {low}, {name} {getattr(self, name)}",
                "lower tau_mem_min_ms, tau_syn_min_ms or v_thresh_min",
            )
        for name in ("delay_in_ms", "delay_rec_ms", "delay_hidden_ms"):
            require(
                0 <= getattr(self, name) <= self.max_delay_ms < math.inf,
                f"0 <= {name} <= max_delay_ms < inf",
                f"{getattr(self, name)} and {self.max_delay_ms}",
                "raise max_delay_ms",
            )
        wrong = [where for where in self.train_delays if where not in DELAYED]
        require(not wrong, f"train_delays in {', '.join(DELAYED)}", wrong, "choose some of them")
        self._require_delayed("recurrent", self.delay_rec_ms, self.model != "feedforward")
        several = len(self.hidden_sizes) > 1 or self.model not in ("recurrent", "feedforward")
        self._require_delayed("hidden", self.delay_hidden_ms, several)
        require(
            0 < self.max_delay_ms or not self.train_delays,
            "0 < max_delay_ms where delays are learned",
            self.max_delay_ms,
            "say how long delays may become",
        )
        require(
            0 <= self.v_thresh_sd < math.inf, "0 <= v_thresh_sd < inf", self.v_thresh_sd, "0: none"
        )
        names = ", ".join(READOUTS)
        require(self.readout in READOUTS, f"readout in {names}", self.readout, "choose one of them")

    def _require_delayed(self, where: str, longest_ms: float, exists: bool) -> None:
        require(
            exists or not (longest_ms or where in self.train_delays),
            f"no delays of {where} connections where there are none",
            f"model {self.model} with hidden_sizes {self.hidden_sizes}",
            "recurrent ones are in model=recurrent, hidden ones between several hidden_sizes",
        )

    def _bounded(self, name: str) -> bool:
        """Whether a number is only where values start that are drawn or learned."""
        if name == "tau_mem_out_ms":
            return self.train_tau_out
        if name == "v_thresh":
            return self.train_v_thresh or self.v_thresh_sd > 0
        shared = name == "tau_syn_ms" and self.train_tau_out
        return self.train_tau or shared or self.tau_distribution != "same"


@dataclass(frozen=True)
class TrainConfig:
    """How the weights are learned."""

    epochs: int = 100
    """Passes through the training set."""
    batch_size: int = 32
    """Samples per update of the weights; what is left over at an epoch's end makes a smaller
    batch."""
    learning_rate: float = 1e-3
    """Adam's step."""
    tau_learning_rate: float | None = None
    """Adam's step for time constants, in ms; that of the weights if not given. Ease-in and schedule
    change it, and those below, in proportion."""
    v_thresh_learning_rate: float | None = None
    """Adam's step for thresholds; that of the weights if not given."""
    delay_learning_rate: float = 0.1
    """Adam's step for delays, in time steps; 0.1 is the papers' value."""
    ease_in: float = 1.0
    """Part of the learning rate that training starts with; the papers use 0.001. 1: no ease-in."""
    ease_in_growth: float = 1.05
    """Factor by which an eased-in learning rate grows with every batch until it is whole."""
    schedule: Literal["constant", "plateau", "cosine", "step"] = "constant"
    """How the learning rate falls. plateau: it is multiplied by decay when the accuracy (of
    validation, else of training) no longer grows, but not before decay_epochs have passed; step:
    every decay_epochs; cosine: to 0 at the last epoch."""
    decay: float = 0.5
    """Factor of schedule=plateau and schedule=step."""
    decay_epochs: int = 50
    """Epochs that a learning rate lasts: at least (plateau) or always (step)."""
    beta1: float = 0.9
    """Adam's decay of the mean gradient."""
    beta2: float = 0.999
    """Adam's decay of the mean squared gradient."""
    epsilon: float = 1e-8
    """Adam's guard against division by zero."""
    reg_lambda: float = 2.5e-10
    """Strength that pulls each hidden neuron towards reg_nu spikes a trial; mlGeNN's scale."""
    reg_nu: float = 14.0
    """Spikes a hidden neuron should emit per trial."""
    revive_silent: float = 0.0
    """After each epoch this is added to the input weights of hidden neurons that did not spike in
    it, which no gradient could bring back; the papers use 0.002. 0: nothing."""
    best_by: Literal["validation", "training"] = "validation"
    """Accuracy that chooses the epoch whose weights are judged; where there are no validation
    samples, it is that of training."""
    softmax_temperature: float = 1.0
    """What the softmax divides output voltages by. The papers have 1, which leaves averages over a
    trial too small to matter until output weights have grown a hundredfold; 0.1 or 0.2 learns
    faster and better. First spikes have first_spike_tau0_ms instead."""
    first_spike_tau0_ms: float = 1.0
    """First spikes compete by exp(-t/tau0); tau0 in ms."""
    first_spike_tau1_ms: float = 100.0
    """Time constant in ms at which late spikes cost more with first_spike_time_exp."""
    first_spike_alpha: float = 5e-5
    """Strength of what late first spikes cost."""
    patience: int = 0
    """Stop after so many epochs in which the accuracy of best_by has not risen; 0: never."""
    seed: int = 0
    """The one seed of everything random in a run."""

    def __post_init__(self) -> None:
        for name, usual in (("epochs", 100), ("batch_size", 32), ("decay_epochs", 50)):
            value = getattr(self, name)
            require(1 <= value, f"1 <= {name}", value, f"the papers use {usual}")
        _positive("learning_rate", self.learning_rate, "1e-3 is the papers' value")
        _positive("softmax_temperature", self.softmax_temperature, "1 is the papers' value")
        _positive("delay_learning_rate", self.delay_learning_rate, "0.1 is the papers' value")
        for name in ("tau_learning_rate", "v_thresh_learning_rate"):
            if getattr(self, name) is not None:
                _positive(name, getattr(self, name), "leave it out for that of the weights")
        require(0 < self.ease_in <= 1, "0 < ease_in <= 1", self.ease_in, "1 means none")
        require(
            1 < self.ease_in_growth < math.inf,
            "1 < ease_in_growth < inf",
            self.ease_in_growth,
            "1.05 is the papers' value",
        )
        require(0 < self.decay < 1, "0 < decay < 1", self.decay, "0.5 is the papers' value")
        for name in ("patience", "seed"):
            require(0 <= getattr(self, name), f"0 <= {name}", getattr(self, name), "0 is usual")
        for name in ("first_spike_tau0_ms", "first_spike_tau1_ms"):
            _positive(name, getattr(self, name), "the papers use 1 ms and 100 ms")
        for name in ("reg_lambda", "reg_nu", "first_spike_alpha", "revive_silent"):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"0 <= {name} < inf", value, "0 means none")

    def rates(self, learning_rate: float) -> dict[str, float]:
        """Learning rates of all kinds of parameters, when that of the weights has become this."""
        part = learning_rate / self.learning_rate
        tau = self.learning_rate if self.tau_learning_rate is None else self.tau_learning_rate
        thresh = self.v_thresh_learning_rate
        return {
            "weight": learning_rate,
            "tau_mem": part * tau,
            "tau_syn": part * tau,
            "delay": part * self.delay_learning_rate,
            "v_thresh": part * (self.learning_rate if thresh is None else thresh),
        }


@dataclass(frozen=True)
class Config:
    """A whole run."""

    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    dt_ms: float = 1.0
    """Length of a time step in ms."""
    backend: BackendOption = "auto"
    """What computes: genn (mlGeNN's EventProp on a GPU), native (generated C++ on all cores),
    reference (NumPy, slow). auto: genn if it is installed and has a GPU, else native."""
    n_threads: int = 0
    """Threads of the native backend; 0: all cores. Results do not depend on it."""
    kernel_times: bool = False
    """Keep how long GeNN's kernels take on a GPU, which slows it down; on a CPU, and by the native
    backend, they are always kept."""

    def __post_init__(self) -> None:
        _positive("dt_ms", self.dt_ms, "1 ms is usual")
        require(0 <= self.n_threads, "0 <= n_threads", self.n_threads, "0 means all cores")
        require(
            self.dt_ms <= self.data.trial_ms,
            "dt_ms <= trial_ms",
            f"dt_ms {self.dt_ms}, trial_ms {self.data.trial_ms}",
            "a trial needs at least one step",
        )
        steps = self.data.trial_ms / self.dt_ms
        require(steps <= 1e6, "trial_ms / dt_ms <= 1e6", steps, "SHD has 1000 steps of 1 ms")
        if self.model.readout == "first_spike_time_exp":
            tau1 = self.train.first_spike_tau1_ms
            require(
                self.data.trial_ms <= 80 * tau1,
                "trial_ms <= 80 first_spike_tau1_ms",
                f"trial_ms {self.data.trial_ms}, first_spike_tau1_ms {tau1}",
                "exp(trial/tau1) is not a float32 any more; the papers use 100 ms",
            )

    @property
    def n_steps(self) -> int:
        """Time steps of a trial."""
        return round(self.data.trial_ms / self.dt_ms)

    def digest(self) -> str:
        """Eight hexadecimal digits that name these settings; what changes no result is left out."""
        left_out = ("n_threads", "kernel_times")
        settings = {key: value for key, value in asdict(self).items() if key not in left_out}
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]


def _positive(name: str, value: float, cure: str) -> None:
    require(0 < value < math.inf, f"0 < {name} < inf", value, cure)
