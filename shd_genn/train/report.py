"""What a finished run or cross-validation came to, in lines for people."""

from __future__ import annotations

import statistics

from shd_genn.datasets import NOT_SHD, SPOKEN_DIGITS
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import CrossValidationResult, RunResult, TestResult


def report(folder: RunFolder) -> list[str]:
    """The main numbers of a complete run or cross-validation, a line each."""
    summary = folder.summary
    assert summary is not None and summary.result is not None
    if isinstance(summary.result, CrossValidationResult):
        lines = _cross_validation(folder, summary.result)
    else:
        lines = _run(folder, summary.result)
    return [*lines, *(f"note                {note}" for note in summary.notes)]


def _run(folder: RunFolder, result: RunResult) -> list[str]:
    lines = [
        f"dataset             {result.dataset}",
        f"chosen epoch        {result.best_epoch} of {result.epochs}, "
        f"by {result.chosen_by} ({result.best_accuracy:.2%})",
    ]
    if result.test is not None:
        lines += _test(result.test)
    lines.append(f"time per epoch      {result.seconds_per_epoch:.2f} s")
    lines += _energy(folder)
    if result.spikes_after_trial > 0:
        lines.append(
            f"spikes not used     {result.spikes_after_trial:.2%}, later than the trial's end"
        )
    lines.append(f"run folder          {folder.path}")
    if result.dataset == SPOKEN_DIGITS:
        lines.append(NOT_SHD)
    return lines


def _energy(folder: RunFolder) -> list[str]:
    """Median energy of an epoch's training, or why it is not known, in one line."""
    training = [row for row in folder.epochs if row.split == "train"]
    parts = []
    for name in ("cpu", "dram", "gpu"):
        values = [getattr(row, f"{name}_joules") for row in training]
        if counted := [value for value in values if value is not None]:
            parts.append(f"{name.upper()} {statistics.median(counted):.1f} J")
    if parts:
        return [f"energy per epoch    {', '.join(parts)}"]
    why = folder.environment.energy
    return [f"energy per epoch    {why}"] if why else []


def _test(test: TestResult) -> list[str]:
    lines = [f"test accuracy       {test.accuracy:.2%} of {test.samples} samples"]
    if test.accuracy_seen is not None and test.accuracy_unseen is not None:
        lines += [
            f"  speakers seen     {test.accuracy_seen:.2%}",
            f"  speakers unseen   {test.accuracy_unseen:.2%}",
        ]
    if test.untrained_samples:
        lines.append(f"  left out          {test.untrained_samples} samples of untrained words")
    return [*lines, f"hidden spikes       {test.hidden_spikes_mean:.2f} per neuron and trial"]


def _cross_validation(folder: RunFolder, result: CrossValidationResult) -> list[str]:
    lines = [f"dataset             {result.dataset}"]
    lines += [
        f"  without {row.speaker:12}{row.accuracy:.2%} of {row.samples} samples in epoch "
        f"{row.best_epoch}, by {result.chosen_by}"
        for row in folder.folds
    ]
    common = result.common_epoch
    lines += [
        f"speakers left out   {result.accuracy:.2%} ± {result.accuracy_sd:.2%}, "
        f"mean and standard deviation over {result.folds} of them",
        f"epoch {common.epoch:<4} in all      {common.accuracy:.2%} ± "
        f"{common.accuracy_sd:.2%}, the best on average",
    ]
    if result.test is not None:
        lines.append(
            f"trained on all      {result.test.accuracy:.2%} of {result.test.samples} test samples"
        )
    return [*lines, f"folder              {folder.path}"]
