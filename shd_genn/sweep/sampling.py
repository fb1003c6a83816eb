"""Samplers and pruners by name, checked before a study begins."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from shd_genn.support.errors import ConfigError

SamplerName = Literal["tpe", "gp", "cmaes", "random", "grid", "nsgaii"]
PrunerName = Literal["auto", "none", "median", "hyperband", "wilcoxon"]

POPULATION = 20
"""Of NSGA-II; Optuna's 50 would make most sweeps of networks a single random generation."""
NEEDS = {"gp": ("torch", "gp"), "cmaes": ("cmaes", "sweep")}
"""Sampler → the package that it needs, and the extra that has it."""


class SeededByTrial(BaseSampler):
    """A sampler that draws its random numbers anew for each trial, from seed and trial number.

    So a study that is stopped and goes on does not repeat its first draws, machines that work on it
    together do not draw the same, and with one worker the same seed gives the same trials.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._sampler = make(0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Draw this trial's random numbers."""
        sequence = np.random.SeedSequence([self._seed, trial.number, *b"sampler"])
        self._sampler = self._make(int(sequence.generate_state(1)[0]))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """As the sampler itself."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler itself."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """As the sampler itself."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """As the sampler itself, but a grid does not end a study: `Plan.n_trials` does."""
        if not isinstance(self._sampler, GridSampler):  # it would stop Study.optimize, not us
            self._sampler.after_trial(study, trial, state, values)


def make_sampler(
    name: SamplerName, seed: int, space: Mapping[str, BaseDistribution], n_objectives: int
) -> BaseSampler:
    """A sampler.

    Args:
        name: Which.
        seed: The study's.
        space: All parameters.
        n_objectives: How many values a trial has.

    Raises:
        ConfigError: if it needs what is not installed, or cannot search this space.
    """
    if name in NEEDS:
        package, extra = NEEDS[name]
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"sampler={name} needs {package}, which is not installed; "
                f"pip install 'shd_genn[{extra}]', or choose sampler=tpe"
            )
    if name == "cmaes":
        if n_objectives > 1:
            raise ConfigError(
                f"objectives = 1 must hold with sampler=cmaes, but got {n_objectives}; "
                "choose tpe or nsgaii"
            )
        at_random = [
            key for key, kind in space.items() if isinstance(kind, CategoricalDistribution)
        ]
        if len(space) - len(at_random) < 2:
            raise ConfigError(
                "2 <= numerical parameters must hold with sampler=cmaes, but got "
                f"{len(space) - len(at_random)}; it cannot search {', '.join(at_random)}"
            )
    if name == "grid":
        grid = {key: grid_points(key, kind) for key, kind in space.items()}
        return SeededByTrial(lambda _: GridSampler(grid, seed=seed), seed)
    makers: dict[str, Callable[[int], BaseSampler]] = {
        "tpe": lambda seed: TPESampler(seed=seed),
        "gp": lambda seed: GPSampler(seed=seed),
        "cmaes": lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
        "random": lambda seed: RandomSampler(seed=seed),
        "nsgaii": lambda seed: NSGAIISampler(seed=seed, population_size=POPULATION),
    }
    return SeededByTrial(makers[name], seed)


def grid_points(name: str, kind: BaseDistribution) -> list[Any]:
    """All values of a parameter.

    Raises:
        ConfigError: if it has infinitely many.
    """
    if isinstance(kind, CategoricalDistribution):
        return list(kind.choices)
    if isinstance(kind, IntDistribution) and not kind.log:
        return list(range(kind.low, kind.high + 1, kind.step))
    if isinstance(kind, FloatDistribution) and kind.step is not None:
        n = math.floor((kind.high - kind.low) / kind.step + 1e-9)
        return [kind.low + i * kind.step for i in range(n + 1)]
    raise ConfigError(
        f"every parameter must have steps or choices with sampler=grid, but {name} has none; "
        "give step= in the space, use suggest_categorical, or choose another sampler"
    )


def grid_size(space: Mapping[str, BaseDistribution]) -> int:
    """Number of points of a grid."""
    return math.prod(len(grid_points(key, kind)) for key, kind in space.items())


def choose_pruner(name: PrunerName, n_objectives: int, n_folds: int) -> PrunerName:
    """What ``auto`` means, and whether a pruner fits a study.

    Raises:
        ConfigError: if it does not.
    """
    if name == "auto":
        if n_objectives > 1:
            return "none"
        return "wilcoxon" if n_folds else "median"
    if name != "none" and n_objectives > 1:
        raise ConfigError(
            f"objectives = 1 must hold with pruner={name}, but got {n_objectives}: Optuna compares "
            "unfinished trials by a single number; choose pruner=none"
        )
    if name == "wilcoxon" and not n_folds:
        raise ConfigError(
            "2 <= folds must hold with pruner=wilcoxon, which compares fold by fold, but got 0; "
            "give --folds, or choose pruner=median"
        )
    return name


def make_pruner(name: PrunerName, n_steps: int) -> BasePruner:
    """A pruner; ``n_steps`` is how often a trial reports at most."""
    if name == "median":
        return MedianPruner(n_startup_trials=5, n_warmup_steps=max(1, n_steps // 10))
    if name == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=n_steps)
    if name == "wilcoxon":
        return WilcoxonPruner(p_threshold=0.1)
    return NopPruner()
