"""A study whose workers are those of a Dask cluster."""

import numpy as np
import psutil
import pytest
import soundfile
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
    result = sweeping.sweep(space, data, *options)
    assert result.returncode == 0, result.stderr
    study = sweeping.load(space)
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
    from shd_genn.support import dask
    from shd_genn.support.errors import ConfigError
    from shd_genn.sweep import cluster

    monkeypatch.setattr(dask, "SECONDS_TO_CONNECT", 0.5)
    with pytest.raises(ConfigError, match="a Dask scheduler must answer at tcp"):
        cluster.DaskWorkers("tcp://127.0.0.1:1", None)


def test_a_cluster_encodes_the_same_file(cluster, tmp_path, monkeypatch):
    """Parts that workers of a cluster encode, in any order, against threads of this process."""
    from shd_genn.encode import corpus
    from shd_genn.encode.cluster import on_cluster
    from shd_genn.encode.options import EncoderOptions
    from shd_genn.encode.recordings import find_recordings
    from shd_genn.spikes.hdf5 import write_spikes

    monkeypatch.setattr(corpus, "MOST_RECORDINGS", 2)
    rng = np.random.default_rng(0)
    for i in range(9):
        path = tmp_path / "sounds" / f"word {i % 3}" / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.normal(size=4000).clip(-3, 3) / 4, 16_000)
    options = EncoderOptions("rate", highest_rate_hz=150.0)
    recordings = find_recordings(tmp_path / "sounds").recordings
    whole = corpus.Corpus.of(recordings, options.make(), seed=2)
    files = []
    for encoding in (corpus.on_threads(1), on_cluster(cluster.scheduler_address, options)):
        files.append(tmp_path / f"{len(files)}.h5")
        with corpus.encoded(whole, files[-1], encoding) as dataset:
            write_spikes(files[-1], dataset)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_recording_that_a_cluster_cannot_use_is_named(cluster, tmp_path):
    from shd_genn.encode.cluster import on_cluster
    from shd_genn.encode.corpus import Corpus
    from shd_genn.encode.options import EncoderOptions
    from shd_genn.encode.recordings import Recording
    from shd_genn.support.errors import DataError

    path = tmp_path / "a.wav"
    path.write_bytes(b"no sound")
    whole = Corpus([Recording(path, "yes")], [1], EncoderOptions("rate").make())
    with pytest.raises(DataError, match=r"a\.wav must be a sound file"):
        list(on_cluster(cluster.scheduler_address, EncoderOptions("rate"))(whole, whole.parts))
