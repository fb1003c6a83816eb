"""All settings of a run: frozen dataclasses, checked when made.

Every field becomes an option of `python -m shd_genn.run`; its docstring is the option's help.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from shd_genn.backends.choice import BackendOption
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.present.batches import Batching
from shd_genn.present.presentation import Presentation
from shd_genn.present.settings import AugmentConfig
from shd_genn.support.errors import require, require_positive

__all__ = ["AugmentConfig", "Config", "DataConfig", "ModelConfig", "TrainConfig"]


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
        require_positive("dt_ms", self.dt_ms, "1 ms is usual")
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

    @property
    def batching(self) -> Batching:
        """How training batches are made."""
        return Batching(self.augment, self.train.batch_size, self.data.trial_ms, self.train.seed)

    def presentation(self, n_channels: int) -> Presentation:
        """How recordings of so many channels are shown to a network."""
        return Presentation.of(self.data, self.dt_ms, n_channels)

    def digest(self) -> str:
        """Eight hexadecimal digits that name these settings; what changes no result is left out."""
        left_out = ("n_threads", "kernel_times")
        settings = {key: value for key, value in asdict(self).items() if key not in left_out}
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]
