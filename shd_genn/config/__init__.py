"""All settings of a run, composed of the rooms' settings: frozen dataclasses, checked when made.

Every field is an option of `python -m shd_genn.run`; the text below it is the option's help.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Gt

from shd_genn.backends.choice import BackendOption
from shd_genn.config import compare
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.initialisers import Kind
from shd_genn.network.learned_weight import KEY as READOUT_WEIGHT
from shd_genn.network.settings import (
    FirstSpikeTime,
    FirstSpikeTimeExp,
    LearnedWeightReadout,
    ModelConfig,
)
from shd_genn.present.batches import Batching
from shd_genn.present.presentation import Presentation
from shd_genn.present.settings import CHANNELS_MAX, AugmentConfig, PresentConfig
from shd_genn.support.errors import refuse_unless, require
from shd_genn.support.settings import CHANGES_NO_RESULT, Cure, Settings

__all__ = ["AugmentConfig", "Config", "DataConfig", "ModelConfig", "PresentConfig", "TrainConfig"]

MOST_STEPS = 10**6
"""Time steps that a trial, and a delay, may have; SHD has 1000 steps of 1 ms."""


@dataclass(frozen=True)
class Config(Settings):
    """All settings of a run."""

    data: DataConfig = field(default_factory=DataConfig)
    present: PresentConfig = field(default_factory=PresentConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    dt_ms: Annotated[float, Gt(0), Cure("1 ms is usual")] = 1.0
    """Length of a time step in ms."""
    backend: BackendOption = "auto"
    """Program that simulates and trains: cuda (generated CUDA C++ on an NVIDIA GPU), genn (mlGeNN's
    EventProp on a GPU), native (generated C++ on all cores), reference (NumPy, slow). auto: cuda
    where nvcc and a GPU are, genn if it is installed and has a GPU, else native."""
    n_threads: Annotated[int, Ge(0), Cure("0 means all cores"), CHANGES_NO_RESULT] = 0
    """Threads of the native backend; 0: all cores. Results do not depend on it."""
    kernel_times: Annotated[bool, CHANGES_NO_RESULT] = False
    """Measure how long kernels take on a GPU, which slows it down. On a CPU, and by the
    native backend, they are always measured."""

    def __post_init__(self) -> None:
        super().__post_init__()
        trial_ms, dt_ms = self.data.trial_ms, self.dt_ms
        require(
            dt_ms <= trial_ms,
            "dt_ms <= trial_ms",
            f"dt_ms {dt_ms}, trial_ms {trial_ms}",
            "a trial needs at least one step",
        )
        lengths = [("trial_ms", trial_ms)]
        if self.model.has_delays:
            lengths.append(("max_delay_ms", self.model.max_delay_ms))
        for name, length_ms in lengths:
            require(
                length_ms / dt_ms <= MOST_STEPS,
                f"{name} / dt_ms <= {MOST_STEPS}",
                length_ms / dt_ms,
                "SHD has 1000 steps of 1 ms",
            )
        if isinstance(readout := self.model.readout, FirstSpikeTimeExp):
            tau1 = readout.first_spike_tau1_ms
            require(
                trial_ms <= 80 * tau1,
                "trial_ms <= 80 first_spike_tau1_ms",
                f"trial_ms {trial_ms}, first_spike_tau1_ms {tau1}",
                "the papers use 100 ms; a float32 cannot hold exp(trial_ms / tau1) otherwise",
            )

        refuse_unless(
            not self.train.label_smoothing or not isinstance(self.model.readout, FirstSpikeTime),
            f"label_smoothing = {self.train.label_smoothing:g} is for losses of voltages, but "
            f"readout is {self.model.readout.kind}",
            "set label_smoothing = 0, or choose a readout of voltages",
        )

    def rates(self, learning_rate: float, kinds: Iterable[Kind]) -> dict[str, float]:
        """Learning rates of all kinds of parameters, when that of weights has become this.

        Args:
            learning_rate: That of weights.
            kinds: The kinds of the network's parameters.
        """
        rates = self.train.rates(learning_rate, kinds)
        if isinstance(readout := self.model.readout, LearnedWeightReadout):
            part = learning_rate / self.train.learning_rate
            rates[READOUT_WEIGHT] = part * readout.weight_learning_rate
        return rates

    @property
    def n_steps(self) -> int:
        """Time steps of a trial."""
        return round(self.data.trial_ms / self.dt_ms)

    @property
    def batching(self) -> Batching:
        """How training batches are made."""
        return Batching(self.augment, self.train.batch_size, self.data.trial_ms, self.train.seed)

    def presentation(self, n_channels: int) -> Presentation:
        """How recordings of this many channels are shown to a network.

        Raises:
            ConfigError: if the delay line needs more channels than a 16-bit number can count.
        """
        n_inputs = n_channels * (1 + self.present.delay_copies)
        require(
            n_inputs <= CHANNELS_MAX + 1,
            f"channels * (1 + delay_copies) <= {CHANNELS_MAX + 1}",
            f"{n_channels} channels and {self.present.delay_copies} copies",
            "lower delay_copies; the papers use 10",
        )
        return Presentation.of(self.present, self.data.trial_ms, self.dt_ms, n_channels)

    def digest(self) -> str:
        """Eight hexadecimal digits of the settings, without those that change no result."""
        return compare.digest(self)
