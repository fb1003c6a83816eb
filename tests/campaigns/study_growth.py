"""CPU time of a study's own work for one trial, when the study has many trials already.

python tests/campaigns/study_growth.py --sizes 100 1000 5000 10000

The loop of the study and its SQLite file are the real ones. Finished trials are written through
Optuna. Then the study does some more, whose workers answer at once, in this process: what is
measured is the CPU time of asking, reporting three epochs, pruning and telling.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import optuna

from shd_genn.config import Config
from shd_genn.sweep.__main__ import Options, make_plan, open_study
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


def finished(study: optuna.Study, n: int, rng: random.Random) -> None:
    """Add finished trials until there are so many."""
    done = len(study.get_trials(deepcopy=False))
    distributions = {
        "learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
        "batch_size": optuna.distributions.IntDistribution(1, 64),
    }
    for i in range(done, n):
        rate = 10 ** rng.uniform(-4, -1)
        study.add_trial(
            optuna.trial.create_trial(
                params={"learning_rate": rate, "batch_size": 8},
                distributions=distributions,
                value=rate,
                intermediate_values={epoch: rate * epoch for epoch in range(EPOCHS)},
                user_attrs={"run_folders": [f"runs/{i}"], **dict.fromkeys(NUMBERS, 1.0)},
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 5000, 10_000])
    parser.add_argument("--trials", type=int, default=40, help="that are measured at each size")
    parser.add_argument("--sampler", default="random", choices=["random", "tpe"])
    parser.add_argument("--profile", action="store_true", help="print what takes the time")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as place:
        folder, rng = Path(place), random.Random(0)
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
                finished(study, size, rng)
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
