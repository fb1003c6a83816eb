"""The command that searches for good settings with an Optuna study."""

from __future__ import annotations

import math
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import optuna
import tyro
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage

from shd_genn.config import Config, command_line
from shd_genn.datasets.load import find_files, load_dataset
from shd_genn.datasets.settings import NoValidation
from shd_genn.datasets.split import training_speakers
from shd_genn.network.model_files import find_model
from shd_genn.record.sources import given_settings
from shd_genn.support.errors import ConfigError, refuse_unless, require
from shd_genn.support.machine import available_cores
from shd_genn.support.progress import progress
from shd_genn.sweep import sampling
from shd_genn.sweep.dashboard import served
from shd_genn.sweep.processes import ProcessWorkers
from shd_genn.sweep.space import (
    OBJECTIVES,
    Probe,
    Space,
    changes,
    given_twice,
    identity,
    load_space,
    probe,
)
from shd_genn.sweep.storage import Location, address, opened, parse_location, patiently
from shd_genn.sweep.study import Plan, Running, StudyLoop, Workers
from shd_genn.sweep.trials import Counts, Tally, take_over
from shd_genn.train import crossval

REMEMBERED_AS = "shd_genn"
"""The study's attribute that says what is searched."""
LOOKS_APART = 20
"""Between two looks at the best trial so much of the time that a look takes passes."""


@dataclass(frozen=True)
class Options:
    """Search for good settings: train networks with settings of a search space, trial by trial.

    The same command goes on with a study that was stopped.
    """

    space: tyro.conf.Positional[str]
    """A file of sweeps/ or your own with a function space(trial)."""
    settings: Config = field(default_factory=Config)
    config: Path | None = None
    """A TOML file of settings, e.g. the config.toml of a run; options given beside it prevail."""
    preset: str | None = None
    """A published network by its name; options given beside it prevail."""
    trials: int | None = None
    """Trials of the whole study, those that are done included; by default 100, or the whole grid.
    0: none, e.g. to look at the study with --dashboard."""
    workers: int | None = None
    """Networks trained at a time, each with its share of this machine's cores; by default 1, with
    --dask as many as the cluster has workers."""
    storage: str | None = None
    """The study's database: sqlite:///FILE, or postgresql://USER@HOST/DATABASE for several machines
    that all start the same command; by default a file in the study's folder."""
    study: str | None = None
    """The study's name; by default that of the search space's file."""
    sampler: sampling.SamplerName = "tpe"
    """What chooses settings: tpe, gp (Gaussian process; needs PyTorch), cmaes, random, grid or
    nsgaii."""
    pruner: sampling.PrunerName = "auto"
    """What ends poor trials early: median or hyperband by the validation accuracy of each epoch,
    wilcoxon fold by fold, or none. auto: wilcoxon with --folds, else median; none with several
    objectives."""
    seeds: int = 1
    """A trial trains its settings with so many seeds; their mean counts."""
    folds: int | Literal["all"] = 0
    """Leave-one-speaker-out cross-validation: a trial trains once for each of so many training
    speakers, who is then its validation set; 0: none. --validation speaker means all of them."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers train, e.g. tcp://head:8786."""
    dashboard: bool = False
    """Serve the Optuna dashboard, until Ctrl-C."""
    dashboard_host: str = "localhost"
    """Where the dashboard listens; 0.0.0.0: for other machines, too."""
    dashboard_port: int = 8080
    """Its port; 0: any that is free."""
    heartbeat_s: int = 20
    """Seconds between the signs of life by which machines that share a study notice that one has
    died; after three missed ones another takes its trials over."""
    runs: Path = Path("runs")
    """The folder that the study's folder goes into."""

    def __post_init__(self) -> None:
        require(self.trials is None or 0 <= self.trials, "0 <= trials", self.trials, "0 means none")
        require(
            self.workers is None or 1 <= self.workers, "1 <= workers", self.workers, "1 is enough"
        )
        require(1 <= self.seeds, "1 <= seeds", self.seeds, "1 is usual")
        require(1 <= self.heartbeat_s, "1 <= heartbeat_s", self.heartbeat_s, "20 is usual")
        require(
            self.folds in ("all", 0) or 2 <= int(self.folds),
            "2 <= folds",
            self.folds,
            "0 means none",
        )


def main() -> None:
    """Run a study as the command line says."""
    warnings.simplefilter("ignore", ExperimentalWarning)  # heartbeats, Wilcoxon: known, tested
    warnings.filterwarnings(
        "ignore", "Heartbeat of storage is supposed"
    )  # `StudyLoop` sends its own
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # failures are reported below
    given, options = parse(sys.argv[1:])
    space = load_space(options.space)
    found = probe(space, options.settings)
    if twice := given_twice(given, options.settings, found.names):
        raise ConfigError(
            f"settings must be given once, but {', '.join(twice)} are set by {space.path} and by "
            "the command line; leave them out in one of the two"
        )
    _check(options)
    plan = make_plan(options, space, found)
    name = options.study or space.name
    location: Location = options.runs / name / "study.db"
    if options.storage is not None:
        location = parse_location(options.storage)
    with ExitStack() as stack:
        storage = stack.enter_context(opened(location, options.heartbeat_s))
        study = open_study(storage, name, plan, found, options)
        if isinstance(location, Path):
            take_over(study, storage)
        if options.dashboard:
            served_at = served(storage, options.dashboard_host, options.dashboard_port)
            address = stack.enter_context(served_at)
            print(f"dashboard           {address}/dashboard/studies/{study._study_id}", flush=True)
        try:
            run(study, storage, plan, options)
        except (ConfigError, KeyboardInterrupt):
            with suppress(Exception):  # a database that does not answer has been reported
                report(study, plan, location)
            raise
        report(study, plan, location)
        counts = Tally().count(study.get_trials(deepcopy=False))
        refuse_unless(
            counts.complete + counts.pruned > 0 or counts.failed == 0,
            f"no trial of study {study.study_name} has trained a network to its end",
            "correct what the failed trials report, then give another --study NAME",
        )
        if options.dashboard:
            print("the dashboard is served until Ctrl-C", file=sys.stderr, flush=True)
            threading.Event().wait()


def parse(arguments: list[str]) -> tuple[Config, Options]:
    """Read the command line; settings not given there come from --preset or --config.

    Returns:
        The settings before the command line changed them, and all options.
    """
    settings = given_settings(arguments)
    options = command_line.parse(
        Options, arguments, settings, "python -m shd_genn.sweep", space=tyro.MISSING
    )
    return settings, options


def _check(options: Options) -> None:
    """Refuse now what would otherwise fail in every trial."""
    data = options.settings.data
    refuse_unless(
        not isinstance(data.validation, NoValidation),
        "a sweep compares trials by validation samples, but validation is none",
        "choose --validation random or speaker",
    )
    find_model(options.settings.model.model)
    if options.dask is None:
        find_files(data.dataset, data.data_dir)


def make_plan(options: Options, space: Space, found: Probe) -> Plan:
    """What a trial is made of, checked against dataset, space and pruner."""
    folds = _speakers(options)
    pruner = sampling.choose_pruner(options.pruner, len(space.objectives), len(folds))
    n_trials = options.trials
    if n_trials is None:
        n_trials = 100
        if options.sampler == "grid":
            n_trials = sampling.grid_size(found.distributions)
    folder = options.runs / (options.study or space.name)
    return Plan(space, options.settings, options.seeds, folds, pruner, n_trials, folder.resolve())


def _speakers(options: Options) -> tuple[str, ...]:
    """The speakers that are left out in turn; none if there is no cross-validation."""
    folds = "all" if crossval.is_cross_validation(options.settings) else options.folds
    if not folds:
        return ()
    data = replace(options.settings.data, validation=NoValidation())
    names = training_speakers(load_dataset(data, options.settings.train.seed).train)
    n_folds = len(names) if folds == "all" else int(folds)
    if not 2 <= n_folds <= len(names):
        raise ConfigError(
            f"2 <= folds <= training speakers must hold, but got {n_folds} of {len(names)}; "
            "give fewer, or use a dataset that names its speakers"
        )
    return tuple(names[:n_folds])


def open_study(
    storage: RDBStorage, name: str, plan: Plan, found: Probe, options: Options
) -> optuna.Study:
    """The study of that name, new or old.

    Raises:
        ConfigError: if it searches something else.
    """
    objectives = plan.space.objectives
    sampler = sampling.make_sampler(
        options.sampler, plan.base.train.seed, found.distributions, len(objectives)
    )
    n_steps = plan.n_runs if plan.pruner == "wilcoxon" else plan.n_runs * plan.base.train.epochs
    now = identity(found, plan.space, plan.seeds, plan.folds)
    try:
        study = patiently(
            lambda: optuna.create_study(
                study_name=name,
                storage=storage,
                directions=[OBJECTIVES[objective] for objective in objectives],
                sampler=sampler,
                pruner=sampling.make_pruner(plan.pruner, n_steps),
                load_if_exists=True,
            )
        )
    except ValueError as error:
        raise ConfigError(f"study {name} cannot be opened: {error}; choose another name") from error
    trials = patiently(lambda: study.get_trials(deepcopy=False))
    # Optuna's own kind of attribute: it would only be in the way among the user's in the dashboard
    was = patiently(lambda: storage.get_study_system_attrs(study._study_id)).get(REMEMBERED_AS)
    if was is None:
        if trials:  # who makes a study here sets the attribute before it asks for a trial
            raise ConfigError(
                f"study {name} must be one of shd_genn, but something else made it; "
                "give another --study NAME"
            )
        storage.set_study_system_attr(study._study_id, REMEMBERED_AS, now)
        study.set_metric_names(list(objectives))
    elif differences := changes(was, now):
        raise ConfigError(
            f"study {name} goes on with what it was started with, but "
            f"{'; '.join(differences)}; change that back, or give another --study NAME"
        )
    study.set_user_attr("sampler", options.sampler)
    study.set_user_attr("pruner", plan.pruner)
    return study


def run(study: optuna.Study, storage: RDBStorage, plan: Plan, options: Options) -> None:
    """Train until the study has its trials."""
    if Tally().count(study.get_trials(deepcopy=False)).finished >= plan.n_trials:
        return
    with _workers(options, plan) as workers, _progress(study, plan) as show:
        try:
            StudyLoop(study, storage, plan, workers, show).run()
        except KeyboardInterrupt:
            print("stopped; the same command goes on", file=sys.stderr)
            raise


@contextmanager
def _workers(options: Options, plan: Plan) -> Iterator[Workers]:
    if options.dask is None:
        n_workers = options.workers or 1
        if n_workers > available_cores():
            print(f"note: {n_workers} workers share {available_cores()} cores", file=sys.stderr)
        plan.runs.mkdir(parents=True, exist_ok=True)
        with ProcessWorkers(n_workers, plan.runs) as processes:
            yield processes
        return
    try:
        from shd_genn.sweep.cluster import DaskWorkers
    except ImportError as error:
        raise ConfigError(
            f"dask needs distributed, which is not installed ({error}); "
            "pip install 'shd_genn[distributed]', or leave --dask out"
        ) from error
    with DaskWorkers(options.dask, options.workers) as cluster:
        yield cluster


@contextmanager
def _progress(study: optuna.Study, plan: Plan) -> Iterator[Callable[[Counts, list[Running]], None]]:
    with progress("Sweep", plan.n_trials, "trials") as advance:
        done, best_so_far = 0, BestSoFar(study)

        def show(counts: Counts, running: list[Running]) -> None:
            nonlocal done
            advance(counts.finished - done, note=_note(best_so_far, counts, running))
            done = counts.finished

        yield show


class BestSoFar:
    """What `best` says, now and then: it looks at all trials, and may not take the study's time."""

    def __init__(self, study: optuna.Study) -> None:
        """Look at a study's best trial when its text is asked for."""
        self._study, self._text, self._next = study, "", -math.inf

    def text(self) -> str:
        """The text of at most `LOOKS_APART` looks ago."""
        begin = time.monotonic()
        if begin >= self._next:
            self._text = best(self._study)
            end = time.monotonic()
            self._next = end + LOOKS_APART * (end - begin)
        return self._text


def _note(best_so_far: BestSoFar, counts: Counts, running: list[Running]) -> str:
    parts = [best_so_far.text()] if counts.complete else []
    n_running = len(running) + counts.elsewhere
    parts.append(f"{n_running} running, {counts.pruned} pruned, {counts.failed} failed")
    parts += [
        f"trial {r.trial.number}: epoch {r.epoch} {r.accuracy:.1%}" for r in running if r.epoch >= 0
    ]
    return "  ".join(parts)


def best(study: optuna.Study) -> str:
    """The best value so far, or how many trials are best in one way or another."""
    if len(study.directions) > 1:
        return f"{len(study.best_trials)} trials on the Pareto front"
    trial = study.best_trial
    name = (study.metric_names or ["value"])[0]
    value = f"{trial.value:.2%}" if name == "accuracy" else f"{trial.value:.4g}"
    return f"best {name} {value} (trial {trial.number})"


def report(study: optuna.Study, plan: Plan, location: Location) -> None:
    """Print what a study has found."""
    trials = study.get_trials(deepcopy=False)
    counts = Tally().count(trials)
    print(
        f"trials              {counts.complete} complete, {counts.pruned} pruned, "
        f"{counts.failed} failed of {plan.n_trials}"
    )
    reasons = [t.user_attrs["failure"] for t in trials if "failure" in t.user_attrs]
    for reason in dict.fromkeys(reasons):
        print(f"  {reasons.count(reason)} failed         {reason}")
    if counts.complete:
        print(f"best                {best(study).removeprefix('best ')}")
    if counts.complete and len(study.directions) == 1:
        for name, value in study.best_params.items():
            print(f"  {name:<17} {value}")
        for folder in study.best_trial.user_attrs.get("run_folders", []):
            print(f"run folder          {folder}")
    print(f"study               {study.study_name} in {address(location)}")
