"""Settings of training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from shd_genn.support.errors import require, require_positive


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
        require_positive("learning_rate", self.learning_rate, "1e-3 is the papers' value")
        require_positive("softmax_temperature", self.softmax_temperature, "1 is the papers' value")
        require_positive(
            "delay_learning_rate", self.delay_learning_rate, "0.1 is the papers' value"
        )
        for name in ("tau_learning_rate", "v_thresh_learning_rate"):
            if getattr(self, name) is not None:
                require_positive(name, getattr(self, name), "leave it out for that of the weights")
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
            require_positive(name, getattr(self, name), "the papers use 1 ms and 100 ms")
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
