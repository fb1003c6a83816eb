"""Search spaces: files with a function ``space(trial)`` that returns settings of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import BaseTrial

from shd_genn.config import Config
from shd_genn.config.compare import difference
from shd_genn.config.flat import flat, update
from shd_genn.config.toml import from_toml, to_toml
from shd_genn.support import user_files
from shd_genn.support.errors import ConfigError

OBJECTIVES: dict[str, Literal["maximize", "minimize"]] = {
    "accuracy": "maximize",
    "hidden_spikes": "minimize",
    "synaptic_operations": "minimize",
    "seconds_per_epoch": "minimize",
}
"""What can be optimised, all of it on validation samples: the accuracy of the chosen epoch; spikes
of all hidden neurons and synaptic operations per sample; time."""
PROBES = 64
"""Random trials by which a space is known before a study begins, and known again later."""
REMEMBERED = 4
"""Probes whose whole settings a study remembers."""


@dataclass(frozen=True)
class Space:
    """A search space.

    Attributes:
        name: Its file's name without ending.
        path: Its file.
        suggest: ``trial → {option: value}``, options as those of `python -m shd_genn.run` with
            underscores.
        objectives: Names in `OBJECTIVES`.
    """

    name: str
    path: Path
    suggest: Callable[[BaseTrial], Mapping[str, Any]]
    objectives: tuple[str, ...]

    def config(self, base: Config, trial: BaseTrial) -> Config:
        """The settings that a trial has.

        Raises:
            ConfigError: if the space's function fails, or returns what is no setting.
        """
        return override(base, self._overrides(trial), self.path)

    def _overrides(self, trial: BaseTrial) -> Mapping[str, Any]:
        overrides = user_files.call("space", self.path, lambda: self.suggest(trial))
        if not isinstance(overrides, Mapping):
            raise ConfigError(
                f"space(trial) of {self.path} must return a dict of settings, but got "
                f"{overrides!r}; return one, as the files of sweeps/ do"
            )
        return overrides


@dataclass(frozen=True)
class Probe:
    """What random trials tell of a space.

    Attributes:
        distributions: Those of all parameters that were met.
        configs: The settings of the first trials.
        names: Every option that the space sets.
    """

    distributions: dict[str, BaseDistribution]
    configs: tuple[Config, ...]
    names: frozenset[str]


def spaces_dir() -> Path:
    """Where the project's own spaces lie."""
    return user_files.project_folder("sweeps")


def load_space(name: str) -> Space:
    """Run a search space's file.

    Args:
        name: Its path, or the name of one of the project's own.

    Raises:
        ConfigError: if there is no such file, or it holds no search space.
    """
    path = user_files.find("space", name, spaces_dir())
    namespace = user_files.run("space", path)
    if not callable(namespace.get("space")):
        raise ConfigError(f"space {path} must define space(trial) -> dict; copy one of sweeps/")
    objectives = tuple(namespace.get("OBJECTIVES", ("accuracy",)))
    if not objectives or set(objectives) - set(OBJECTIVES):
        raise ConfigError(
            f"OBJECTIVES of {path} must be among {', '.join(OBJECTIVES)}, but got {objectives}; "
            'a single one is written ("accuracy",)'
        )
    return Space(path.stem, path, namespace["space"], objectives)


def override(config: Config, overrides: Mapping[str, Any], source: Path) -> Config:
    """The settings of a trial: those before, with some replaced by the space.

    Args:
        config: The settings.
        overrides: Name → value; names are flat (``decay``) or dotted (``train.schedule.decay``).
        source: The space's file, for messages.

    Raises:
        ConfigError: if there is no such option, or it cannot have that value.
    """
    return update(config, overrides, f"space {source}")


def probe(space: Space, base: Config) -> Probe:
    """Try a space with random trials, without training anything.

    Raises:
        ConfigError: if one of them is refused.
    """
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    distributions: dict[str, BaseDistribution] = {}
    configs, names = [], set()
    for _ in range(PROBES):
        trial = study.ask()
        configs.append(space.config(base, trial))
        names |= set(space._overrides(trial))
        distributions |= trial.distributions
    return Probe(distributions, tuple(configs[:REMEMBERED]), frozenset(names))


def identity(found: Probe, space: Space, seeds: int, folds: tuple[str, ...]) -> dict[str, Any]:
    """What a study remembers of its search, to be known again; plain values."""
    return {
        "space": {
            name: distribution_to_json(kind) for name, kind in sorted(found.distributions.items())
        },
        "settings": [to_toml(config) for config in found.configs],
        "objectives": list(space.objectives),
        "seeds": seeds,
        "folds": list(folds),
    }


def changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what two searches differ, each difference in a sentence; none if they are the same."""
    found = []
    old, new = was["space"], now["space"]
    for name in sorted(set(old) | set(new)):
        if name not in new:
            found.append(f"{name} is no longer searched, was {_brief(old[name])}")
        elif name not in old:
            found.append(f"{name} is new: {_brief(new[name])}")
        elif old[name] != new[name]:
            found.append(f"{name} was {_brief(old[name])}, is {_brief(new[name])}")
    found += [
        f"{key} were {was[key]}, are {now[key]}"
        for key in ("objectives", "seeds", "folds")
        if was[key] != now[key]
    ]
    if not found:  # the same parameters, so the same probes: their settings can be compared
        for before, after in zip(was["settings"], now["settings"], strict=True):
            difference_now = difference(from_toml(before), from_toml(after))
            if difference_now and difference_now not in found:
                found.append(difference_now)
    return found


def _brief(distribution: str) -> str:
    kind = json.loads(distribution)
    return f"{kind['name']}({', '.join(f'{k}={v}' for k, v in kind['attributes'].items())})"


def given_twice(before: Config, after: Config, names: frozenset[str]) -> list[str]:
    """Options that the command line has changed although a space sets them."""
    old, new = flat(before), flat(after)
    flat_names = {name.rpartition(".")[2] for name in names}
    return sorted(name for name in flat_names if old.get(name) != new.get(name))
