"""``summary.json``: the state of a run or cross-validation, and the final numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from shd_genn.record.rows import SplitResult
from shd_genn.record.typed_json import convert, plain, read_json, write_json

State = Literal["running", "interrupted", "complete", "failed", "pruned"]
"""running: a program works on it, or was killed; interrupted: by Ctrl-C or SIGTERM, can be resumed;
complete; failed: an error ended it; pruned: a sweep ended it because other trials did better."""
STATES: tuple[State, ...] = get_args(State)

ChosenBy = Literal["validation accuracy", "training accuracy"]
"""The accuracy that chooses the epoch whose parameters are used."""


@dataclass(frozen=True)
class TestResult(SplitResult):
    """Numbers of the chosen epoch on the test set.

    Attributes:
        accuracy_seen: Accuracy on speakers that the network was trained on; None unless the test
            set has both kinds.
        accuracy_unseen: Accuracy on the other speakers.
        untrained_samples: Samples that are left out because their words were never trained.
        dense_operations: Products of all inputs with all weights in all steps of a trial; this and
            the next four as NeuroBench defines them, see `shd_genn.network.operations`.
        activation_sparsity: Part of the neurons × steps without a spike; None if outputs spike.
        connection_sparsity: Part of the weights that are 0.
        footprint_bytes: Bytes of all parameters.
        membrane_updates: Neurons × steps in which the voltage changed, per trial: mean over up to
            five samples. None if not all neurons are leaky integrators, or there are delays.
    """

    accuracy_seen: float | None = None
    accuracy_unseen: float | None = None
    untrained_samples: int = 0
    dense_operations: int | None = None
    activation_sparsity: float | None = None
    connection_sparsity: float | None = None
    footprint_bytes: int | None = None
    membrane_updates: float | None = None


@dataclass(frozen=True)
class RunResult:
    """What a complete run came to.

    Attributes:
        dataset: The dataset's name.
        epochs: Epochs that were trained.
        best_epoch: The chosen epoch, counted from 1.
        chosen_by: What it was chosen by.
        best_accuracy: That accuracy in the chosen epoch.
        seconds_per_epoch: Median time of an epoch's training, in s.
        backend: The backend that computed.
        spikes_after_trial: Part of the training spikes that come after the trial's end.
        peak_memory_mb: Peak memory of the process, in MiB.
        updates: Updates of the weights in all epochs.
        training_operations: Synaptic operations of training, per trial: mean over all epochs.
        test: The test set's numbers; None if it was not evaluated.
        kernel_seconds: Part of the computation → its time in s; None if it was not measured.
        gpu_memory_mb: Peak memory of the network's arrays on the GPU, in MiB; None if the backend
            does not count them.
        gpu_boards_memory_mb: Memory in use on all GPUs at the end, in MiB, as the driver counts it:
            that of other programs is in it, too. None if the run used no GPU, or the driver cannot
            be asked.
    """

    dataset: str
    epochs: int
    best_epoch: int
    chosen_by: ChosenBy
    best_accuracy: float
    seconds_per_epoch: float
    backend: str
    spikes_after_trial: float
    peak_memory_mb: int
    updates: int | None = None
    training_operations: float | None = None
    test: TestResult | None = None
    kernel_seconds: dict[str, float] | None = None
    gpu_memory_mb: int | None = None
    gpu_boards_memory_mb: int | None = None


@dataclass(frozen=True)
class MeanAccuracy:
    """Mean and standard deviation of the accuracy over the left-out speakers."""

    accuracy: float
    accuracy_sd: float


@dataclass(frozen=True)
class CommonEpoch(MeanAccuracy):
    """The epoch, counted from 1, that is best on average over all folds."""

    epoch: int


@dataclass(frozen=True)
class CrossValidationResult:
    """What a complete cross-validation came to.

    Attributes:
        dataset: The dataset's name.
        folds: Speakers that were left out in turn.
        chosen_by: What each fold chose its epoch by.
        accuracy: Mean over the folds of the accuracy in each one's chosen epoch.
        accuracy_sd: Standard deviation over the folds (n - 1).
        common_epoch: The best epoch that is the same for all folds.
        test: Numbers of the run on all speakers; None if there is no test set.
    """

    dataset: str
    folds: int
    chosen_by: ChosenBy
    accuracy: float
    accuracy_sd: float
    common_epoch: CommonEpoch
    test: TestResult | None = None


@dataclass(frozen=True)
class Status:
    """The state of a run or a cross-validation, whatever it is.

    Attributes:
        state: See `State`.
        reason: Why it failed or was pruned.
        hidden: Hidden population → its number of neurons, as the network has them.
        notes: What was noted about data, settings and training; see `shd_genn.train.notes`.
    """

    state: State
    reason: str | None = None
    hidden: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether it has come to its end."""
        return self.state == "complete"

    @property
    def n_hidden(self) -> int:
        """Hidden neurons of all layers."""
        return sum(self.hidden.values())


@dataclass(frozen=True)
class Summary(Status):
    """The content of ``summary.json``.

    Attributes:
        result: The final numbers of a complete one; in the file they lie beside the state.
    """

    result: RunResult | CrossValidationResult | None = None


def write_summary(path: Path, summary: Summary) -> None:
    """Write ``summary.json``."""
    content = plain(replace(summary, result=None))
    write_json(path, content | ({} if summary.result is None else plain(summary.result)))


def read_summary(path: Path) -> Summary | None:
    """Read ``summary.json``; None if the file does not exist.

    Raises:
        DataError: if it cannot be read, or lacks something.
    """
    content = read_json(path)
    if content is None:
        return None
    status = convert(path, content, Status)
    result: RunResult | CrossValidationResult | None = None
    if status.complete and "folds" in content:
        result = convert(path, content, CrossValidationResult)
    elif status.complete:
        result = convert(path, content, RunResult)
    return Summary(status.state, status.reason, status.hidden, status.notes, result)
