"""The trials of a study: how many there are of each kind, and queueing interrupted ones again."""

from __future__ import annotations

import statistics
from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState


@dataclass
class Counts:
    """How far a study is.

    Attributes:
        asked: Trials that were begun; one that was tried again counts once.
        complete: Trials that have trained all their runs.
        pruned: Trials that the pruner has ended early.
        failed: Trials that ended with an error.
        waiting: Trials in the queue.
        elsewhere: Trials that other machines train.
    """

    asked: int = 0
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    waiting: int = 0
    elsewhere: int = 0

    @property
    def finished(self) -> int:
        """Trials that have ended."""
        return self.complete + self.pruned + self.failed


class Tally:
    """Counts a study's trials again and again; a trial that has ended is looked at once.

    A study looks for each new trial at how far it is, so this must not take longer the more
    trials have ended. Optuna changes none of these any more.

    Attributes:
        interrupted: Trials that were interrupted, by their number.
        queued: Numbers of the interrupted trials that were queued again.
    """

    def __init__(self) -> None:
        """Begin with no trial."""
        self.interrupted: dict[int, FrozenTrial] = {}
        self.queued: set[int] = set()
        self._ended = Counts()
        self._known: set[int] = set()

    def count(self, trials: list[FrozenTrial], mine: Set[int] = frozenset()) -> Counts:
        """Count trials; one that was interrupted and tried again counts once.

        Args:
            trials: All of the study.
            mine: Numbers of those that run here.
        """
        unfinished = []
        for trial in trials:
            if trial.number in self._known:
                continue
            if trial.state.is_finished():
                self._end(trial)
            else:
                unfinished.append(trial)
        counts = replace(self._ended)
        for trial in unfinished:
            self.queued.update(_tried_before(trial))
            counts.asked += not _tried_before(trial)
            counts.waiting += trial.state == TrialState.WAITING
            counts.elsewhere += trial.state == TrialState.RUNNING and trial.number not in mine
        return counts

    def _end(self, trial: FrozenTrial) -> None:
        """Count a trial that has ended, for good."""
        self._known.add(trial.number)
        self.queued.update(_tried_before(trial))
        self._ended.asked += not _tried_before(trial)
        self._ended.complete += trial.state == TrialState.COMPLETE
        self._ended.pruned += trial.state == TrialState.PRUNED
        if trial.state == TrialState.FAIL:
            self._ended.failed += "failure" in trial.user_attrs
            if "failure" not in trial.user_attrs:
                self.interrupted[trial.number] = trial


def _tried_before(trial: FrozenTrial) -> list[int]:
    """The numbers of the interrupted trials that a trial goes on with.

    It is Optuna's `RetryHeartbeatStaleTrialCallback.retry_history`, which is experimental and warns
    in every call.
    """
    numbers: list[int] = trial.system_attrs.get("retry_history", [])
    return numbers


def attributes(results: list[dict[str, float]]) -> dict[str, Any]:
    """What a trial remembers of its runs: means, and each accuracy if there are several."""
    if not results:
        return {}
    found: dict[str, Any] = {}
    for key in results[0]:
        values = [result[key] for result in results if key in result]
        found[key] = max(values) if key.endswith("memory_mb") else statistics.fmean(values)
    if len(results) > 1:
        for key in ("accuracy", "test_accuracy"):
            if key in results[0]:
                found[f"{key}_of_runs"] = [result[key] for result in results]
    return found


def take_over(study: optuna.Study, storage: RDBStorage) -> None:
    """Queue what a killed process left running, where no other can be working on the study."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    tally = Tally()
    tally.count(study.get_trials(deepcopy=False))
    queue_again(study, tally, older_than=0.0)


def queue_again(study: optuna.Study, tally: Tally, older_than: float) -> None:
    """Queue interrupted trials that have not been, because who had to do it was killed.

    Args:
        study: The study.
        tally: Has counted its trials.
        older_than: Seconds since they were interrupted; another machine may be about to do it.
    """
    for number, trial in tally.interrupted.items():
        if number in tally.queued or trial.datetime_complete is None:
            continue
        age = datetime.now() - trial.datetime_complete
        if age.total_seconds() >= older_than:
            RetryHeartbeatStaleTrialCallback()(study, trial)
