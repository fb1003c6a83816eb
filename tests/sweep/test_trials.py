"""The trials of a study, counted and queued again."""

import warnings
from datetime import datetime

import optuna
import pytest
from helpers import sweeping
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState, create_trial

from shd_genn.config import Config
from shd_genn.support.errors import ConfigError
from shd_genn.sweep import trials
from shd_genn.sweep.space import load_space
from shd_genn.sweep.storage import opened
from shd_genn.sweep.study import Plan, StudyLoop


def trial(state, history=(), **attributes):
    value = 1.0 if state == TrialState.COMPLETE else None
    system = {"failed_trial": history[0], "retry_history": list(history)} if history else {}
    return create_trial(state=state, value=value, user_attrs=attributes, system_attrs=system)


def test_a_trial_that_was_tried_again_counts_once():
    """Optuna's function warns in each call: a study of 10,000 trials would spend its time on it."""
    found = [
        *(trial(TrialState.COMPLETE) for _ in range(20)),
        trial(TrialState.FAIL),
        trial(TrialState.COMPLETE, [20]),
        trial(TrialState.FAIL, failure="the loss must stay finite"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts = trials.count(found)
    assert (counts.asked, counts.complete, counts.failed) == (22, 21, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in found:
            expected = RetryHeartbeatStaleTrialCallback.retry_history(each)
            assert trials._tried_before(each) == expected


def test_what_was_interrupted_is_queued_once():
    study = optuna.create_study()
    for each in (
        trial(TrialState.COMPLETE),
        trial(TrialState.FAIL),
        trial(TrialState.FAIL, failure="no"),
        trial(TrialState.FAIL),
        trial(TrialState.RUNNING, [3]),
    ):
        study.add_trial(each)
    assert study.trials[1].datetime_complete <= datetime.now()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            trials.queue_again(study, study.get_trials(deepcopy=False), older_than=0.0)
    waiting = [each for each in study.trials if each.state == TrialState.WAITING]
    assert [trials._tried_before(each) for each in waiting] == [[1]]


class Dying:
    """Two workers that die at once, as with a library that ends the process."""

    def __init__(self):
        self.messages = []

    def __len__(self):
        return 2

    def submit(self, i, job):
        reason = f"its worker ended by signal 11 (SIGSEGV); see worker_{i}.log"
        self.messages.append((i, "died", 0, reason))

    def events(self, timeout):
        messages, self.messages = self.messages, []
        return iter(messages)

    def interrupt(self):
        """Nothing is being worked on."""


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_study_stops_when_its_workers_only_die(tmp_path):
    """Each reason names another worker's log; the error is the same."""
    space = load_space(str(sweeping.write_space(tmp_path)))
    plan = Plan(space, Config(), 1, (), "none", 40, tmp_path)
    with opened(tmp_path / "study.db", 20) as storage:
        study = optuna.create_study(study_name="one", storage=storage)
        loop = StudyLoop(study, storage, plan, Dying(), lambda counts, running: None)
        with pytest.raises(ConfigError, match=r"all 5 trials failed with: 3 times in a row its"):
            loop.run()
