"""A study whose workers are those of a Dask cluster."""

import psutil
import pytest
from helpers import sweeping
from helpers.sweeping import run_folders, trials

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as started:
        yield started


def test_trials_run_on_all_workers_of_the_cluster(space, data, cluster):
    options = ["--dask", cluster.scheduler_address, "--epochs", 3, "--trials", 6]
    study = sweeping.finished(space, data, *options)
    assert len(study.trials) == 6 and len(trials(study)) >= 1
    begun = [trial.datetime_start for trial in study.trials]
    ended = [trial.datetime_complete for trial in study.trials]
    assert begun[1] < ended[0]  # two at a time


@pytest.mark.slow
def test_a_killed_worker_of_the_cluster_loses_nothing(space, data, cluster):
    options = ["--dask", cluster.scheduler_address, "--epochs", 60, "--pruner", "none"]
    process = sweeping.start(space, data, *options, "--trials", 2)
    sweeping.wait_until(
        lambda: len([f for f in run_folders(space) if (f / "last.npz").exists()]) == 2, process
    )
    psutil.Process(next(iter(cluster.workers.values())).pid).kill()
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    study = sweeping.load(space)
    states = [(trial.state.name, trial.user_attrs.get("failure")) for trial in study.trials]
    assert states == [("COMPLETE", None)] * 2
    assert len(run_folders(space)) == 2  # resumed, not begun anew


def test_a_scheduler_that_is_not_there_is_said(space, data, monkeypatch):
    from shd_genn.support.errors import ConfigError
    from shd_genn.sweep import cluster

    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 0.5)
    with pytest.raises(ConfigError, match="a Dask scheduler must answer at tcp"):
        cluster.DaskWorkers("tcp://127.0.0.1:1", None)
