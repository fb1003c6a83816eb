"""The loop of a study: ask Optuna for trials, give them to workers, report their results."""

from __future__ import annotations

import os
import re
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState

from shd_genn.config import Config
from shd_genn.datasets.settings import SpeakerValidation
from shd_genn.support.errors import ConfigError, refuse_unless
from shd_genn.support.interruption import interruptible
from shd_genn.sweep.sampling import PrunerName
from shd_genn.sweep.space import Space
from shd_genn.sweep.storage import (
    MISSED_HEARTBEATS,
    first_heartbeats,
    patiently,
    set_user_attributes,
)
from shd_genn.sweep.trials import Counts, Tally, attributes, queue_again
from shd_genn.sweep.worker import Job

DEATHS = 3
"""A trial has failed when it crashes, or its worker dies, so often without one more epoch."""
SAME_FAILURES = 5
"""If the first trials of a session all fail with the same error, so many are enough to stop."""
TICK = 0.5
"""Seconds between looks at the clock while workers are silent."""
WAIT_FOR_OTHERS = 2.0
"""Seconds between looks at the trials of other machines when there is nothing else to do."""


class Workers(Protocol):
    """Where trials are trained: `ProcessWorkers` or `DaskWorkers`."""

    def __len__(self) -> int: ...

    def submit(self, i: int, job: Job) -> None:
        """Give worker ``i``, which is idle, a trial."""

    def answer(self, i: int, content: Any) -> None:
        """Answer the question of worker ``i``."""

    def events(self, timeout: float) -> Iterator[tuple[int, str, int, Any]]:
        """Messages of the workers within some seconds: (worker, what, run, content).

        ``what`` is what `Ask` lists, or ``end`` with what `work` returned, or ``died`` with the
        reason.
        """
        ...

    def abandon(self, i: int) -> None:
        """End the trial of worker ``i`` without a result."""

    def interrupt(self) -> None:
        """Let all workers stop, with their runs saved."""


@dataclass(frozen=True)
class Plan:
    """What every trial of a study is made of.

    Attributes:
        space: The search space.
        base: Settings that it starts from.
        seeds: A trial trains its settings with so many seeds, the first one being that of ``base``.
        folds: Speakers to leave out in turn; none for no cross-validation.
        pruner: How trials are ended early.
        n_trials: Trials of the whole study.
        runs: The folder of their run folders.
    """

    space: Space
    base: Config
    seeds: int
    folds: tuple[str, ...]
    pruner: PrunerName
    n_trials: int
    runs: Path

    def configs(self, trial: Trial) -> tuple[Config, ...]:
        """The settings of a trial's runs, fold by fold."""
        config = self.space.config(self.base, trial)
        parts = [config.data]
        if self.folds:  # the test set is for what is trained on all speakers
            best_by = config.data.validation.best_by
            parts = [
                replace(config.data, validation=SpeakerValidation(speaker, best_by), test=False)
                for speaker in self.folds
            ]
        return tuple(
            replace(config, data=part, train=replace(config.train, seed=config.train.seed + i))
            for part in parts
            for i in range(self.seeds)
        )

    @property
    def n_runs(self) -> int:
        """Runs of a trial."""
        return self.seeds * max(1, len(self.folds))


@dataclass
class Running:
    """A trial that a worker has.

    Attributes:
        trial: Optuna's trial.
        job: What the worker trains.
        folders: Run folders, run by run.
        steps: Steps for which a value has been reported.
        results: What each run that has ended came to.
        accuracy: The last validation accuracy.
        epoch: The last epoch of the present run.
        deaths: How often its worker has died since its last epoch.
    """

    trial: Trial
    job: Job
    folders: list[str]
    steps: set[int]
    results: list[dict[str, float]] = field(default_factory=list)
    accuracy: float = 0.0
    epoch: int = -1
    deaths: int = 0


class StudyLoop:
    """Trains the trials of a study; see `run`."""

    def __init__(
        self,
        study: optuna.Study,
        storage: RDBStorage,
        plan: Plan,
        workers: Workers,
        show: Callable[[Counts, list[Running]], None],
    ) -> None:
        """Prepare the loop.

        Args:
            study: Optuna's study.
            storage: Its database.
            plan: What trials are made of.
            workers: Where they are trained.
            show: Called now and then with how far the study is, and what is running.
        """
        self.study, self.storage, self.plan, self.workers = study, storage, plan, workers
        self._show = show
        self._running: dict[int, Running] = {}
        self._tally = Tally()
        self._beaten, self._looked_after = 0.0, -TICK
        self._failures: list[str] = []
        self._succeeded = False
        interval = storage.get_heartbeat_interval()
        assert interval is not None
        self._interval = interval

    def run(self) -> None:
        """Train until the study has all its trials, those of other machines included.

        Raises:
            KeyboardInterrupt: after every running trial is saved and queued for another time.
            ConfigError: if the database fails, or every trial fails with the same error.
        """
        try:
            with interruptible():
                self._train()
        except (KeyboardInterrupt, ConfigError):
            self.workers.interrupt()
            for i in list(self._running):
                self._requeue(self._running.pop(i))
            raise

    def _train(self) -> None:
        looked, counts = -TICK, Counts()
        while True:
            # once in a while, not after each epoch, which may be shorter than a look
            if time.monotonic() - looked >= TICK:
                looked, counts = time.monotonic(), self._fill()
                self._show(counts, list(self._running.values()))
            if not self._running:
                if not counts.elsewhere and not counts.waiting:
                    return
                time.sleep(WAIT_FOR_OTHERS)
            for i, what, run, content in self.workers.events(TICK):
                self._handle(i, what, run, content)
                if i not in self._running:
                    looked = -TICK  # a worker has nothing to do
            self._beat()  # before others' missed heartbeats are looked for

    def _fill(self) -> Counts:
        """Give idle workers what is to be done."""
        if time.monotonic() - self._looked_after >= TICK:
            patiently(self._look_after)
            self._looked_after = time.monotonic()
        while True:
            counts = patiently(self._count)
            idle = [i for i in range(len(self.workers)) if i not in self._running]
            if not idle or (counts.asked >= self.plan.n_trials and not counts.waiting):
                return counts
            self._begin(idle[0])
            if len(self._running) == len(self.workers):
                return counts

    def _look_after(self) -> None:
        """Queue again what processes have left running or interrupted that are no more."""
        first_heartbeats(self.storage, self.study._study_id)
        fail_stale_trials(self.study)
        self._count()
        queue_again(self.study, self._tally, older_than=MISSED_HEARTBEATS * self._interval)

    def _count(self) -> Counts:
        mine = {running.trial.number for running in self._running.values()}
        return self._tally.count(self.study.get_trials(deepcopy=False), mine)

    def _begin(self, i: int) -> None:
        trial = patiently(self.study.ask)
        patiently(lambda: self.storage.record_heartbeat(trial._trial_id))
        try:
            configs = patiently(lambda: self.plan.configs(trial))
        except ConfigError as error:
            self._fail(trial, str(error))
            return
        command = ("shd_genn.sweep", str(self.plan.space.path), "--study", self.study.study_name)
        job = Job(configs, self.plan.runs, (*command, f"(trial {trial.number})"))
        known = patiently(lambda: self.storage.get_trial(trial._trial_id))
        folders, steps = known.user_attrs.get("run_folders", []), set(known.intermediate_values)
        self._running[i] = Running(trial, job, list(folders), steps)
        self._attributes(trial, {"process": f"{socket.gethostname()}:{os.getpid()}"})
        self.workers.submit(i, job)

    def _handle(self, i: int, what: str, run: int, content: Any) -> None:
        if i not in self._running:
            return
        running = self._running[i]
        try:
            if what == "end" and content["state"] == "crashed":
                self._died(i, content["reason"])
            elif what == "end":
                self._end(self._running.pop(i), content)
            elif what == "died":
                self._died(i, content)
            else:
                self.workers.answer(i, self._answer(running, what, run, content))
        except UpdateFinishedTrialError:
            # its heartbeats were missing so long that another machine has it: that result counts
            if self._running.pop(i, None) is not None:
                self.workers.abandon(i)

    def _answer(self, running: Running, what: str, run: int, content: Any) -> Any:
        if what == "begin":
            known = running.folders[run] if run < len(running.folders) else None
            return known if known is not None and Path(known).is_dir() else None
        if what == "folder":
            running.folders[run:] = [content]
            self._attributes(running.trial, {"run_folders": running.folders})
            return None
        if what == "result":
            running.results[run:] = [content]
            return self._go_on(running, run, [(run, content.get("accuracy"))], "wilcoxon")
        rows = [row for row in content if row["split"] == "valid"]
        if not rows:
            raise ConfigError(
                "a sweep needs validation samples to compare trials, but this dataset has none; "
                "choose another --validation"
            )
        running.epoch, running.accuracy, running.deaths = rows[-1]["epoch"], rows[-1]["accuracy"], 0
        done = [result["accuracy"] for result in running.results[:run]]
        n_epochs = running.job.configs[run].train.epochs
        values = [
            (run * n_epochs + row["epoch"], statistics.fmean([*done, row["accuracy"]]))
            for row in rows
        ]
        return self._go_on(running, run, values, "median", "hyperband")

    def _go_on(
        self, running: Running, run: int, values: list[tuple[int, Any]], *pruners: str
    ) -> bool:
        """Report values that one of these pruners goes by, and ask it."""
        if self.plan.pruner not in pruners:
            return True
        for step, value in values:
            if step not in running.steps:
                patiently(lambda step=step, value=value: running.trial.report(value, step))  # type: ignore[misc]
                running.steps.add(step)
        return not patiently(running.trial.should_prune)

    def _end(self, running: Running, came: dict[str, str]) -> None:
        state, trial = came["state"], running.trial
        self._attributes(trial, attributes(running.results))
        self._succeeded |= state in ("complete", "pruned")
        if state == "complete":
            values = [
                statistics.fmean(result[name] for result in running.results)
                for name in self.plan.space.objectives
            ]
            self._tell(trial, values=values)
        elif state == "pruned":
            self._attributes(trial, {"pruned": came["reason"]})
            self._tell(trial, state=TrialState.PRUNED)
        elif state == "failed":
            # training may diverge with one trial's settings and not with another's
            self._fail(trial, came["reason"], counts=came.get("error") != "DivergedError")
        else:
            self._requeue(running)

    def _died(self, i: int, reason: str) -> None:
        running = self._running[i]
        running.deaths += 1
        if running.deaths < DEATHS:
            self.workers.submit(i, running.job)  # goes on from its last checkpoint
        else:
            del self._running[i]
            self._fail(running.trial, f"{DEATHS} times in a row {reason}")

    def _fail(self, trial: Trial, reason: str, counts: bool = True) -> None:
        """Note a trial's failure, and end the study if no trial can succeed."""
        self._attributes(trial, {"failure": reason})
        self._tell(trial, state=TrialState.FAIL)
        # each worker names its own log
        self._failures += [re.sub(r"worker_\d+", "worker", reason)] if counts else []
        refuse_unless(
            self._succeeded or len(self._failures) < SAME_FAILURES or len(set(self._failures)) > 1,
            f"the study stops, because all {len(self._failures)} trials failed with: {reason}",
            "correct that, then give the same command again",
        )

    def _requeue(self, running: Running) -> None:
        """Queue a trial that was interrupted, to go on another time."""
        try:
            self._attributes(running.trial, {"interrupted_on": socket.gethostname()})
        except UpdateFinishedTrialError:
            return  # another machine has queued it
        frozen = self._tell(running.trial, state=TrialState.FAIL)
        patiently(lambda: RetryHeartbeatStaleTrialCallback()(self.study, frozen))

    def _tell(self, trial: Trial, **outcome: Any) -> FrozenTrial:
        # twice does no harm: the first message may have arrived before the connection was lost
        return patiently(lambda: self.study.tell(trial, **outcome, skip_if_finished=True))

    def _attributes(self, trial: Trial, values: dict[str, Any]) -> None:
        if values:
            patiently(lambda: set_user_attributes(self.storage, trial._trial_id, values))

    def _beat(self) -> None:
        # not Optuna's thread, which ends with the first connection that is lost
        if time.monotonic() - self._beaten < self._interval:
            return
        for running in self._running.values():
            patiently(lambda r=running: self.storage.record_heartbeat(r.trial._trial_id))  # type: ignore[misc]
        self._beaten = time.monotonic()
