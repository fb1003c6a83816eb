"""Search spaces: files with a function ``space(trial)`` that returns settings of a run."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

import optuna
import tomli_w
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import BaseTrial

from shd_genn.config import Config
from shd_genn.config.toml import from_toml, to_toml
from shd_genn.support import user_files
from shd_genn.support.errors import ConfigError
from shd_genn.train.resuming import difference

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
        try:
            overrides = self.suggest(trial)
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            raise ConfigError(
                f"space {self.path} must run, but {type(error).__name__}: {error}; correct the file"
            ) from error
        if not isinstance(overrides, Mapping):
            raise ConfigError(
                f"space(trial) of {self.path} must return a dict of settings, but got {overrides!r}"
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
    """Settings with some of them replaced.

    Args:
        config: The settings.
        overrides: Option → value, whatever section it is in.
        source: Whose wish it is, for messages.

    Raises:
        ConfigError: if there is no such option, or it cannot have that value.
    """
    tables = tomllib.loads(to_toml(config))
    section_of = {
        item.name: section.name
        for section in fields(config)
        if is_dataclass(getattr(config, section.name))
        for item in fields(getattr(config, section.name))
    }
    sections = set(section_of.values())
    top = {item.name for item in fields(config)} - sections
    for name, value in overrides.items():
        if name not in section_of and name not in top:
            raise ConfigError(
                f"{source}: unknown setting {name}; known are the options of "
                "python -m shd_genn.run, with _ for -"
            )
        table = tables.setdefault(section_of[name], {}) if name in section_of else tables
        if value is None:
            table.pop(name, None)
        else:
            table[name] = list(value) if isinstance(value, tuple) else value
    try:
        return from_toml(tomli_w.dumps(tables), source)
    except TypeError as error:
        raise ConfigError(f"{source}: settings must be plain values, but {error}") from error


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
        "settings": [to_toml(_comparable(config)) for config in found.configs],
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
            one, other = from_toml(before), from_toml(after)
            if one != other and (difference(one, other) not in found):
                found.append(difference(one, other))
    return found


def _comparable(config: Config) -> Config:
    """Without what may be another on each machine."""
    return replace(config, n_threads=0, data=replace(config.data, data_dir=None))


def _brief(distribution: str) -> str:
    kind = json.loads(distribution)
    return f"{kind['name']}({', '.join(f'{k}={v}' for k, v in kind['attributes'].items())})"


def given_twice(before: Config, after: Config, names: frozenset[str]) -> list[str]:
    """Options that the command line has changed although a space sets them."""

    def flat(tree: dict[str, Any]) -> dict[str, Any]:
        items: dict[str, Any] = {}
        for key, value in tree.items():
            items |= flat(value) if isinstance(value, dict) else {key: value}
        return items

    old, new = flat(asdict(before)), flat(asdict(after))
    return sorted(name for name in names if old[name] != new[name])
