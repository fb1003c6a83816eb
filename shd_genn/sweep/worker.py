"""The work of a sweep's worker: it trains the runs of a trial, one after the other."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shd_genn.config import Config
from shd_genn.config.compare import on_this_machine
from shd_genn.datasets.kept_files import Read
from shd_genn.record.rows import EpochRow, Split
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support.errors import BusyError, PrunedError, ShdGennError
from shd_genn.support.interruption import interruptible
from shd_genn.train import loop

Ask = Callable[[str, int, Any], Any]
"""``ask(what, run, content)`` reports on a run to the study and returns the study's answer:

* ``begin``: a run is to begin → the folder in which it was begun before, or None
* ``folder``: its folder → nothing
* ``epoch``: new rows of ``metrics.csv`` → whether to go on
* ``result``: its numbers → whether to go on
"""
SECONDS_UNTIL_FREE = 60.0
"""Seconds that a worker waits for a run folder that a worker of a killed study still has."""


@dataclass(frozen=True)
class Job:
    """A trial's runs: one for each fold and seed.

    Attributes:
        configs: Their settings.
        runs: The folder that their folders go into.
        command: What a run's ``environment.json`` says it was started by.
    """

    configs: tuple[Config, ...]
    runs: Path
    command: tuple[str, ...]


def work(job: Job, ask: Ask, n_threads: int, read: Read = read_spikes) -> dict[str, str]:
    """Train a trial's networks; runs that were begun before go on from their last checkpoint.

    Args:
        job: The trial's runs.
        ask: Reports to the study; see `Ask`.
        n_threads: Threads to compute with.
        read: Reads spike files; a worker keeps them for its next trial.

    Returns:
        ``state``: complete, pruned, failed, crashed or interrupted; ``reason``, if not complete;
        ``error``, the class of the error, if failed.
    """
    sys.argv = list(job.command)  # the study's command may have a password in it
    try:
        with interruptible():
            return _train_all(job, ask, n_threads, read)
    except KeyboardInterrupt:
        return {"state": "interrupted", "reason": "interrupted"}
    except PrunedError as error:
        return {"state": "pruned", "reason": str(error)}
    except ShdGennError as error:
        return {"state": "failed", "reason": str(error), "error": type(error).__name__}
    except Exception as error:  # a bug, or a machine in trouble
        traceback.print_exc()
        return {"state": "crashed", "reason": f"{type(error).__name__}: {error}"}


def _train_all(job: Job, ask: Ask, n_threads: int, read: Read) -> dict[str, str]:
    """Train one run after the other, until the study has seen enough."""
    for i, config in enumerate(job.configs):
        folder = _train(replace(config, n_threads=n_threads), job.runs, i, ask, read)
        if not ask("result", i, outcome(folder)) and i + 1 < len(job.configs):
            return {"state": "pruned", "reason": f"after run {i + 1} of {len(job.configs)}"}
    return {"state": "complete"}


def _train(config: Config, runs: Path, run: int, ask: Ask, read: Read) -> RunFolder:
    """Begin a run, or go on with it."""
    _forget_peak_memory()
    known = ask("begin", run, None)
    folder = RunFolder(Path(known)) if known is not None else None
    reported = folder is not None

    def on_epoch(folder: RunFolder, rows: Sequence[EpochRow]) -> None:
        nonlocal reported
        if not reported:
            ask("folder", run, str(folder.path))
            reported = True
        # Optuna's steps count from 0
        numbers = [{"epoch": r.epoch - 1, "split": r.split, "accuracy": r.accuracy} for r in rows]
        if numbers and not ask("epoch", run, numbers):
            raise PrunedError(f"after epoch {rows[-1].epoch} of run {run + 1}")

    # killed so early that there is nothing to go on with: it begins anew
    if folder is None or not folder.begun:
        reported = False
        return loop.start(config, runs, on_epoch, read=read)
    summary = folder.summary
    if summary is not None and summary.complete:
        return folder
    settings = on_this_machine(folder.config, config)
    # the study is the user's own, whatever machine began the run
    _when_free(lambda: loop.resume(folder, settings, on_epoch, trust_model=True, read=read))
    return folder


def _when_free(resume: Callable[[], None]) -> None:
    end = time.monotonic() + SECONDS_UNTIL_FREE
    while True:
        try:
            return resume()
        except BusyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def outcome(folder: RunFolder) -> dict[str, float]:
    """The results of a complete run; spikes and operations are means over samples."""
    result = folder.result
    summary = folder.summary
    assert summary is not None
    rows = {row.split: row for row in folder.epochs if row.epoch == result.best_epoch}
    numbers: dict[str, float] = {}
    parts: tuple[tuple[Split, str], ...] = (("valid", ""), ("test", "test_"))
    for split, prefix in parts:
        if row := rows.get(split):
            numbers |= {
                f"{prefix}accuracy": row.accuracy,
                f"{prefix}loss": row.loss,
                f"{prefix}hidden_spikes": row.hidden_spikes_mean * summary.n_hidden,
                f"{prefix}synaptic_operations": row.synaptic_operations,
            }
    for key in ("best_epoch", "epochs", "seconds_per_epoch", "peak_memory_mb"):
        numbers[key] = float(getattr(result, key))
    if result.gpu_memory_mb is not None:
        numbers["gpu_memory_mb"] = float(result.gpu_memory_mb)
    return numbers


def _forget_peak_memory() -> None:
    """Let Linux measure the peak anew: a worker trains many networks."""
    with suppress(OSError):  # elsewhere the peak is that of the worker so far
        Path("/proc/self/clear_refs").write_text("5")
