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
from shd_genn.config.flat import all_settings, flat, update
from shd_genn.config.toml import from_toml, to_toml
from shd_genn.support import user_files
from shd_genn.support.errors import ConfigError, refuse_unless

OBJECTIVES: dict[str, Literal["maximize", "minimize"]] = {
    "accuracy": "maximize",
    "hidden_spikes": "minimize",
    "synaptic_operations": "minimize",
    "seconds_per_epoch": "minimize",
}
"""Objectives of a study, all measured on validation samples: accuracy of the best epoch; spikes of
all hidden neurons, and synaptic operations, per sample; seconds per epoch."""
PROBES = 64
"""Random trials that are sampled to find a space's parameters before a study begins."""
REMEMBERED = 4
"""Number of probes whose settings a study stores, to compare them when it is continued."""


@dataclass(frozen=True)
class Space:
    """A search space.

    Attributes:
        name: Its file's name without ending.
        path: Its file.
        suggest: The function ``space``: ``trial → {name: value}``. Names are those of the options
            of `python -m shd_genn.run`, with underscores.
        objectives: Names in `OBJECTIVES`.
    """

    name: str
    path: Path
    suggest: Callable[[BaseTrial], Mapping[str, Any]]
    objectives: tuple[str, ...]

    def config(self, base: Config, trial: BaseTrial) -> Config:
        """The settings that a trial has.

        Raises:
            ConfigError: if the space's function fails, or returns something that is no setting.
        """
        return override(base, self._overrides(trial), self.path)

    def _overrides(self, trial: BaseTrial) -> Mapping[str, Any]:
        overrides = user_files.call("space", self.path, lambda: self.suggest(trial))
        refuse_unless(
            isinstance(overrides, Mapping),
            f"space(trial) of {self.path} must return a dict of settings, but got {overrides!r}",
            'return for example {"learning_rate": 0.001}',
        )
        return overrides


@dataclass(frozen=True)
class Probe:
    """The result of sampling a space with random trials.

    Attributes:
        distributions: The distribution of each parameter that the space asked for.
        configs: The settings of the first `REMEMBERED` trials.
        names: All settings that the space sets, by flat or dotted name.
    """

    distributions: dict[str, BaseDistribution]
    configs: tuple[Config, ...]
    names: frozenset[str]


def spaces_dir() -> Path:
    """The folder of the project's own spaces."""
    return user_files.project_folder("sweeps")


def load_space(name: str) -> Space:
    """Run a search space's file.

    Args:
        name: Its path, or the name of one of the project's own.

    Raises:
        ConfigError: if there is no such file, or it defines no search space.
    """
    path = user_files.find("space", name, spaces_dir())
    namespace = user_files.run("space", path)
    if not callable(namespace.get("space")):
        raise ConfigError(f"space {path} defines no function space(trial); copy a file of sweeps/")
    objectives = tuple(namespace.get("OBJECTIVES", ("accuracy",)))
    if not objectives or set(objectives) - set(OBJECTIVES):
        raise ConfigError(
            f"OBJECTIVES of {path} must be among {', '.join(OBJECTIVES)}, but got {objectives}; "
            'write a single one as ("accuracy",)'
        )
    return Space(path.stem, path, namespace["space"], objectives)


def override(config: Config, overrides: Mapping[str, Any], source: Path) -> Config:
    """Settings of which a space has replaced some.

    Args:
        config: The settings.
        overrides: Name → value; names are flat (``decay``) or dotted (``train.schedule.decay``).
        source: The space's file, for messages.

    Raises:
        ConfigError: if there is no such setting, or it cannot have that value.
    """
    return update(config, overrides, f"space {source}")


def probe(space: Space, base: Config) -> Probe:
    """Sample a space with random trials, without any training.

    Raises:
        ConfigError: if the settings of one of them are refused.
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
    """What a study stores about its search, to compare it when it is continued; plain values."""
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
    """The differences of two searches, a clause each; only settings that change results count."""
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
    if not found:  # the same parameters make the same probes, so their settings can be compared
        pairs = zip(was["settings"], now["settings"], strict=True)
        differences = (difference(from_toml(before), from_toml(after)) for before, after in pairs)
        found = [text for text in dict.fromkeys(differences) if text]
    return found


def _brief(distribution: str) -> str:
    kind = json.loads(distribution)
    return f"{kind['name']}({', '.join(f'{k}={v}' for k, v in kind['attributes'].items())})"


def given_twice(before: Config, after: Config, names: frozenset[str]) -> list[str]:
    """Settings that the command line changes although a space sets them.

    Options of a choice that the command line makes count only if they are given, too.
    """
    old, new = flat(before), flat(after)
    known = all_settings(Config)
    choices = {
        name: value for name, value in new.items() if known[name].choices and old.get(name) != value
    }
    old = flat(update(before, choices)) | {name: old.get(name) for name in choices}
    flat_names = {name.rpartition(".")[2] for name in names}
    return sorted(name for name in flat_names if old.get(name) != new.get(name))
