"""The trials of a study, counted and queued again."""

import itertools
import warnings
from datetime import datetime

import optuna
import pytest
import sqlalchemy
from helpers import sweeping
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState, create_trial

from shd_genn.config import Config
from shd_genn.support.errors import ConfigError
from shd_genn.sweep import command, trials
from shd_genn.sweep.space import load_space
from shd_genn.sweep.storage import opened, set_user_attributes
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
    for number, each in enumerate(found):
        each.number = number
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts = trials.Tally().count(found)
    assert (counts.asked, counts.complete, counts.failed) == (22, 21, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in found:
            expected = RetryHeartbeatStaleTrialCallback.retry_history(each)
            assert trials._tried_before(each) == expected


def test_a_trial_that_has_ended_is_looked_at_once(monkeypatch):
    """A study must not become slower with each trial that has ended."""
    looked, real = [], trials._tried_before
    monkeypatch.setattr(trials, "_tried_before", lambda t: looked.append(t.number) or real(t))
    found = [trial(TrialState.COMPLETE) for _ in range(500)]
    found += [trial(TrialState.RUNNING), trial(TrialState.WAITING), trial(TrialState.RUNNING)]
    for number, each in enumerate(found):
        each.number = number
    tally = trials.Tally()
    first = tally.count(found, mine={500})
    assert first == trials.Counts(asked=503, complete=500, waiting=1, elsewhere=1)
    looked.clear()
    assert tally.count(found, mine={500}) == first
    assert set(looked) == {500, 501, 502}
    found[500].state = TrialState.PRUNED
    found[502].state = TrialState.FAIL  # interrupted: neither finished nor to be tried for long
    expected = trials.Counts(asked=503, complete=500, pruned=1, waiting=1)
    assert tally.count(found) == tally.count(found) == expected
    assert list(tally.interrupted) == [502]


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
        tally = trials.Tally()
        for _ in range(2):
            tally.count(study.get_trials(deepcopy=False))
            trials.queue_again(study, tally, older_than=0.0)
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


class Answering:
    """One worker that reports two epochs of its trial and a result at once."""

    def __init__(self):
        self.messages = []

    def __len__(self):
        return 1

    def submit(self, i, job):
        rows = [{"epoch": epoch, "split": "valid", "accuracy": 0.5} for epoch in range(2)]
        self.messages += [(i, "begin", 0, None), (i, "folder", 0, "runs/x")]
        self.messages += [(i, "epoch", 0, [row]) for row in [*rows, rows[1]]]  # one comes twice
        self.messages += [(i, "result", 0, dict.fromkeys(NUMBERS, 0.5))]
        self.messages += [(i, "end", 0, {"state": "complete"})]

    def answer(self, i, content):
        """Nothing waits for it."""

    def events(self, timeout):
        messages, self.messages = self.messages, []
        return iter(messages)


NUMBERS = ("accuracy", "loss", "epochs", "best_epoch", "peak_memory_mb", "hidden_spikes")


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_trial_takes_few_transactions(tmp_path, monkeypatch):
    """Each takes a disk or a server some time: few, and as many for the last trial as before."""
    monkeypatch.setattr(StudyLoop, "_look_after", lambda loop: None)  # goes by the clock
    space = load_space(str(sweeping.write_space(tmp_path)))
    commits, ended = [], []
    with opened(tmp_path / "study.db", 3600) as storage:
        study = optuna.create_study(
            study_name="one", storage=storage, sampler=optuna.samplers.RandomSampler(0),
            pruner=optuna.pruners.MedianPruner(),
        )  # fmt: skip
        plan = Plan(space, Config(), 1, (), "median", 14, tmp_path)
        sqlalchemy.event.listen(storage.engine, "commit", lambda connection: commits.append(1))

        def show(counts, running):
            if counts.complete > len(ended):
                ended.append(len(commits))

        StudyLoop(study, storage, plan, Answering(), show).run()
    each = [after - before for before, after in itertools.pairwise(ended)][:-1]  # none follows
    assert len(each) == 12
    assert len(set(each[5:])) == 1  # before, the pruner has too few trials to compare with
    assert each[5] <= 20  # there were 34
    last = study.get_trials(deepcopy=False)[-1]
    assert last.intermediate_values == {0: 0.5, 1: 0.5}
    assert set(last.user_attrs) == {"process", "run_folders", *NUMBERS}


def test_attributes_of_a_trial_that_has_ended_are_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with opened(tmp_path / "study.db", 20) as storage:
            study = optuna.create_study(storage=storage)
            asked = study.ask()
            for values in ({"a": 1, "key": [2]}, {"a": {"b": 0.5}}):
                set_user_attributes(storage, asked._trial_id, values)
            assert study.trials[0].user_attrs == {"a": {"b": 0.5}, "key": [2]}
            study.tell(asked, 1.0)
            with pytest.raises(UpdateFinishedTrialError):
                set_user_attributes(storage, asked._trial_id, {"a": 3})
            assert study.trials[0].user_attrs["a"] == {"b": 0.5}


def test_the_note_of_progress_takes_a_small_part_of_the_time(monkeypatch):
    """The best trial is searched for among all: the more there are, the less often."""
    now, looks = [0.0], []

    def best(study):
        looks.append(now[0])
        now[0] += 1.0  # it takes a second
        return "best accuracy 90.00% (trial 1)"

    monkeypatch.setattr(command, "best", best)
    monkeypatch.setattr(command.time, "monotonic", lambda: now[0])
    note = command.BestSoFar(None)
    for _ in range(100):
        now[0] += 1.0
        assert note.text() == "best accuracy 90.00% (trial 1)"
    assert len(looks) <= 6
