"""A study of many short trials under load: are all there, once each, and does it stay responsive?

python tests/campaigns/sweep_load.py sqlite --trials 10000
python tests/campaigns/sweep_load.py postgres --trials 10000   (starts a server of its own)

The loop of the study, its database, and the worker processes with their pipes are the real ones.
Only the training of a trial is replaced: a worker reports its epochs and a result at once. On
PostgreSQL two studies with half of the workers each share the trials, as two machines do. Settings
are drawn at random, because TPE's own time grows with the number of trials. Every worker notes each
trial that it worked on, in a file of its own, so that a lost or doubled trial is found.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import optuna
import psutil

from shd_genn.config import Config
from shd_genn.config.flat import update
from shd_genn.sweep import processes
from shd_genn.sweep.command import Options, make_plan, open_study
from shd_genn.sweep.processes import ProcessWorkers
from shd_genn.sweep.space import load_space, probe
from shd_genn.sweep.storage import opened, parse_location
from shd_genn.sweep.study import StudyLoop

SPACE = """
def space(trial):
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "batch_size": trial.suggest_int("batch_size", 1, 64),
    }
"""
NUMBERS = ("best_epoch", "epochs", "seconds_per_epoch", "peak_memory_mb", "loss", "hidden_spikes")


def trivial(job, ask, n_threads, read):
    """In the place of `shd_genn.sweep.worker.work`: what it reports, without a network."""
    rate = job.configs[0].train.learning_rate
    ask("begin", 0, None)
    ask("folder", 0, str(job.runs / f"folder {time.time_ns()}"))
    print(f"worked on {job.command[-1]}", flush=True)
    for epoch in range(job.configs[0].train.epochs):
        row = {"epoch": epoch, "split": "valid", "accuracy": rate * (epoch + 1)}
        if not ask("epoch", 0, [row]):
            return {"state": "pruned", "reason": f"after epoch {epoch + 1}"}
    ask("result", 0, {"accuracy": rate, **dict.fromkeys(NUMBERS, 1.0)})
    return {"state": "complete"}


def serve(connection, log, n_threads):
    """The worker's own loop, with `trivial` in the place of training."""
    processes.work = trivial
    processes._serve(connection, log, n_threads)


class Loaded(ProcessWorkers):
    """The pool of a study; it measures how long a worker waits for its next trial."""

    def __init__(self, n_workers, folder):
        self.waits, self._since = [], {}
        super().__init__(n_workers, folder)

    def _start(self, i):
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._folder / f"worker_{i}.log", 1))
        process.start()
        theirs.close()
        return processes._Worker(process, ours)

    def submit(self, i, job):
        if i in self._since:
            self.waits.append(time.perf_counter() - self._since.pop(i))
        super().submit(i, job)

    def events(self, timeout):
        for event in super().events(timeout):
            if event[1] == "end":
                self._since[event[0]] = time.perf_counter()
            yield event


def study(location, folder: Path, name: str, n_trials: int, n_workers: int, n_epochs: int) -> None:
    """One study's process: works until the study has all its trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = load_space(str(folder / "space.py"))
    options = Options(
        str(folder / "space.py"), settings=update(Config(), {"epochs": n_epochs}),
        trials=n_trials, sampler="random", study="load", runs=folder / name,
    )  # fmt: skip
    found = probe(space, options.settings)
    plan = make_plan(options, space, found)
    begin, process = time.perf_counter(), psutil.Process()
    before = [begin, 0, 0.0]  # time, trials and CPU time at the last line

    def show(counts, running):
        now, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
        since, done = now - before[0], counts.finished - before[1]
        if since > 30 and done:
            print(
                f"{name}: {counts.finished} trials, {now - begin:.0f} s, {done / since:.1f} a "
                f"second, {1000 * (cpu - before[2]) / done:.0f} ms CPU each, "
                f"{process.memory_info().rss / 2**20:.0f} MiB",
                flush=True,
            )
            before[:] = now, counts.finished, cpu

    (folder / name).mkdir()
    with opened(location, 20) as storage:
        loop_study = open_study(storage, "load", plan, found, options)
        with Loaded(n_workers, folder / name) as workers:
            StudyLoop(loop_study, storage, plan, workers, show).run()
            waits = sorted(workers.waits)
    memory = process.memory_info().rss / 2**20
    print(
        f"{name}: {len(waits) + n_workers} trials in {time.perf_counter() - begin:.0f} s; a worker "
        f"waits for its next trial {1000 * statistics.median(waits):.0f} ms (median), "
        f"{1000 * waits[int(0.99 * len(waits))]:.0f} ms (99 %), {1000 * waits[-1]:.0f} ms "
        f"(longest); {memory:.0f} MiB",
        flush=True,
    )


def look(url: str, end: threading.Event, seconds: list[float]) -> None:
    """Read the study from outside now and then, as a dashboard does."""
    while not end.wait(20):
        begin = time.perf_counter()
        try:
            known = optuna.load_study(study_name="load", storage=url)
            n = len(known.get_trials(deepcopy=False))
        except Exception as error:
            print(f"cannot be looked at yet: {type(error).__name__}", flush=True)
            continue
        seconds.append(time.perf_counter() - begin)
        print(f"looked at {n} trials in {seconds[-1]:.2f} s", flush=True)


def check(url: str, folder: Path, n_trials: int) -> None:
    """Every trial is there, complete, and was worked on once."""
    trials = optuna.load_study(study_name="load", storage=url).get_trials(deepcopy=False)
    states = Counter(trial.state.name for trial in trials)
    print(f"{len(trials)} trials: {dict(states)}")
    assert [trial.number for trial in trials] == list(range(len(trials)))
    ended = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(ended) == len(trials) >= n_trials
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert all(trial.value is not None and len(trial.params) == 2 for trial in complete)
    worked = Counter(
        line.split("(trial ")[1].rstrip(")")
        for log in folder.rglob("worker_*.log")
        for line in log.read_text().splitlines()
    )
    assert set(worked) == {str(trial.number) for trial in trials}
    assert set(worked.values()) == {1}
    print(f"none lost, none doubled: {len(worked)} trials were worked on once each")


def postgres(folder: Path):
    """A server of its own; see tests/sweep/test_postgres.py."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    shutil.chown(folder, "postgres", "postgres")
    user = {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": "/"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    made = [binaries / "initdb", "-D", folder / "data", "-U", "sweep", "-A", "trust"]
    subprocess.run(made, check=True, **user, **quiet)
    port = "54329"
    command = [binaries / "postgres", "-D", folder / "data", "-p", port, "-k", folder]
    server = subprocess.Popen(command, **user, **quiet)
    time.sleep(5)
    return server, f"postgresql://sweep@127.0.0.1:{port}/postgres"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", choices=["sqlite", "postgres"])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=3, help="that a trial reports")
    given = parser.parse_args()
    folder, data = (Path(tempfile.mkdtemp(prefix=f"load-{x}-")) for x in ("study", "data"))
    folder.chmod(0o755)
    (folder / "space.py").write_text(SPACE)
    server = SimpleNamespace(terminate=lambda: None)
    if given.database == "sqlite":
        location, url, parts = folder / "study.db", f"sqlite:///{folder / 'study.db'}", 1
    else:
        server, address = postgres(data)
        location, url, parts = (
            parse_location(address), address.replace("postgresql:", "postgresql+psycopg:"), 2,
        )  # fmt: skip
    end, seconds = threading.Event(), []
    looking = threading.Thread(target=look, args=(url, end, seconds))
    looking.start()
    try:
        context = multiprocessing.get_context("spawn")
        started = [
            context.Process(
                target=study,
                args=(
                    location,
                    folder,
                    f"study {i}",
                    given.trials,
                    given.workers // parts,
                    given.epochs,
                ),
            )
            for i in range(parts)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join()
        end.set()
        looking.join()
        check(url, folder, given.trials)
        if seconds:
            print(f"looks from outside: at most {max(seconds):.2f} s")
    finally:
        end.set()
        server.terminate()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)
    sys.exit(max(process.exitcode or 0 for process in started))


if __name__ == "__main__":
    main()
