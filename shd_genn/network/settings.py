"""Settings of the network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from shd_genn.network.readouts import READOUTS, Readout
from shd_genn.support.errors import require, require_positive

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
            require_positive(
                name, getattr(self, name), "the papers use 20 ms, 5 ms and a threshold of 1"
            )
        for name in ("tau_mem_min_ms", "tau_syn_min_ms", "v_thresh_min"):
            require_positive(name, getattr(self, name), "the papers use 3 ms and 1 ms")
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


class NetworkSettings(Protocol):
    """The part of a run's settings that model files read; a `shd_genn.config.Config` has it."""

    @property
    def model(self) -> ModelConfig:
        """Settings of the network."""

    @property
    def dt_ms(self) -> float:
        """Length of a time step in ms."""
