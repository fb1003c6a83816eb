"""CPU time of a study's own work for one trial, when the study has many trials already.

python tests/campaigns/study_growth.py --sizes 100 1000 5000 10000

The loop of the study and its SQLite file are the real ones. Finished trials are copies of one that
Optuna wrote. Then the study does some more, whose workers answer at once, in this process. What is
measured is the CPU time of asking, reporting three epochs, pruning and telling.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.storages import RDBStorage

from shd_genn.config import Config
from shd_genn.sweep.command import Options, make_plan, open_study
from shd_genn.sweep.space import load_space, probe
from shd_genn.sweep.storage import opened
from shd_genn.sweep.study import StudyLoop

SPACE = """
def space(trial):
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "batch_size": trial.suggest_int("batch_size", 1, 64),
    }
"""
NUMBERS = ("best_epoch", "epochs", "seconds_per_epoch", "peak_memory_mb", "loss", "hidden_spikes")
EPOCHS = 3
TABLES = {
    "trials": "trial_id",
    "trial_params": "param_id",
    "trial_values": "trial_value_id",
    "trial_intermediate_values": "trial_intermediate_value_id",
    "trial_user_attributes": "trial_user_attribute_id",
}
"""Optuna's tables that have rows of a trial, and their own keys."""


class Instant:
    """Eight workers that answer at once; see `shd_genn.sweep.study.Workers`."""

    def __init__(self) -> None:
        self._messages: list[tuple[int, str, int, object]] = []

    def __len__(self) -> int:
        return 8

    def submit(self, i, job) -> None:
        """Report what a worker would."""
        rate = job.configs[0].train.learning_rate
        rows = [
            (i, "epoch", 0, [{"epoch": epoch, "split": "valid", "accuracy": rate * epoch}])
            for epoch in range(EPOCHS)
        ]
        result = {"accuracy": rate, **dict.fromkeys(NUMBERS, 1.0)}
        end = (i, "end", 0, {"state": "complete"})
        self._messages += [(i, "begin", 0, None), (i, "folder", 0, f"runs/{time.time_ns()}")]
        self._messages += [*rows, (i, "result", 0, result), end]

    def events(self, timeout):
        """All that was reported since."""
        messages, self._messages = self._messages, []
        return iter(messages)

    def answer(self, i, content) -> None:
        """Nothing waits for it."""

    def abandon(self, i) -> None:
        """Nothing is being worked on."""

    def interrupt(self) -> None:
        """Nothing is being worked on."""


def finished(storage: RDBStorage, study: optuna.Study, n: int) -> None:
    """Add finished trials: one is written by Optuna, its rows are copied for the others."""
    done = study.get_trials(deepcopy=False)
    if not done:
        distributions = {
            "learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
            "batch_size": optuna.distributions.IntDistribution(1, 64),
        }
        study.add_trial(
            optuna.trial.create_trial(
                params={"learning_rate": 0.01, "batch_size": 8},
                distributions=distributions,
                value=0.01,
                intermediate_values={epoch: 0.01 * epoch for epoch in range(EPOCHS)},
                user_attrs={"run_folders": ["runs/x"], **dict.fromkeys(NUMBERS, 1.0)},
            )
        )
        done = study.get_trials(deepcopy=False)
    first, last = done[0]._trial_id, done[-1]._trial_id
    for table, key in TABLES.items():
        with storage.engine.begin() as connection:
            names = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]
            kept = [name for name in names if name not in (key, "trial_id")]
            chosen = ", ".join("i" if name == "number" else name for name in kept)
            connection.exec_driver_sql(
                f"WITH RECURSIVE new(i) AS (SELECT {len(done)} UNION ALL SELECT i + 1 FROM new "
                f"WHERE i + 1 < {n}) INSERT INTO {table} (trial_id, {', '.join(kept)}) "
                f"SELECT i - {len(done)} + {last} + 1, {chosen} FROM new, {table} "
                f"WHERE {table}.trial_id = {first}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 5000, 10_000])
    parser.add_argument("--trials", type=int, default=16, help="that are measured at each size")
    parser.add_argument("--sampler", default="random", choices=["random", "tpe"])
    parser.add_argument("--profile", action="store_true", help="print what takes the time")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "space.py").write_text(SPACE)
        space = load_space(str(folder / "space.py"))
        options = Options(
            str(folder / "space.py"), settings=Config(), trials=10, sampler=given.sampler,
            study="growth", runs=folder / "runs",
        )  # fmt: skip
        found = probe(space, options.settings)
        plan = make_plan(options, space, found)
        with opened(folder / "study.db", 20) as storage:
            study = open_study(storage, "growth", plan, found, options)
            for size in given.sizes:
                finished(storage, study, size)
                study.get_trials(deepcopy=False)  # a study that goes on has read them already
                more = replace(plan, n_trials=size + given.trials)
                profile, begin = cProfile.Profile(), time.process_time()
                if given.profile:
                    profile.enable()
                StudyLoop(study, storage, more, Instant(), lambda counts, running: None).run()
                profile.disable()
                cpu = (time.process_time() - begin) / given.trials
                print(f"{size} trials: {1000 * cpu:.1f} ms CPU a trial", flush=True)
                if given.profile:
                    pstats.Stats(profile).sort_stats("cumulative").print_stats(45)


if __name__ == "__main__":
    main()
