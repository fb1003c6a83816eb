"""Samplers and pruners: the same trials for the same seed, and early refusals."""

import importlib.util

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from shd_genn.support.errors import ConfigError
from shd_genn.sweep.sampling import choose_pruner, grid_points, grid_size, make_sampler

SPACE = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
GRID = {"x": IntDistribution(1, 5, step=2), "y": CategoricalDistribution(["a", "b"])}


def drawn(name, n_trials, storage=None, seed=0):
    """Parameters that a study tries; those that it tried before included."""
    study = optuna.create_study(
        study_name="a",
        storage=storage,
        load_if_exists=True,
        sampler=make_sampler(name, seed, SPACE, 1),
    )
    while len(study.trials) < n_trials:
        trial = study.ask()
        x, y = (trial.suggest_float(key, 0.0, 1.0) for key in SPACE)
        study.tell(trial, (x - 0.3) ** 2 + y)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("name", ["tpe", "cmaes", "random", "nsgaii"])
def test_a_study_that_goes_on_tries_what_it_would_have_tried(name):
    whole = drawn(name, 24)
    assert drawn(name, 24) == whole != drawn(name, 24, seed=1)
    storage = optuna.storages.InMemoryStorage()
    drawn(name, 9, storage)
    assert drawn(name, 24, storage) == whole
    assert len({tuple(params.values()) for params in whole}) == 24


def test_a_grid_is_tried_point_by_point():
    study = optuna.create_study(sampler=make_sampler("grid", 0, GRID, 1))
    assert grid_size(GRID) == 6
    for _ in range(6):
        trial = study.ask()
        trial.suggest_int("x", 1, 5, step=2), trial.suggest_categorical("y", ["a", "b"])
        study.tell(trial, 0.0)
    found = {(trial.params["x"], trial.params["y"]) for trial in study.trials}
    assert found == {(x, y) for x in (1, 3, 5) for y in "ab"}


def test_grids_need_steps():
    assert grid_points("x", FloatDistribution(0.0, 0.3, step=0.1)) == pytest.approx(
        [0.0, 0.1, 0.2, 0.3]
    )
    with pytest.raises(ConfigError, match="steps or choices with sampler=grid, but x has none"):
        make_sampler("grid", 0, SPACE, 1)


def test_what_is_not_installed_is_said_before_the_first_trial(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else found(name)
    )
    with pytest.raises(ConfigError, match=r"sampler=gp needs torch.*shd_genn\[gp\]"):
        make_sampler("gp", 0, SPACE, 1)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_gaussian_processes_go_beyond_their_random_start():
    found = drawn("gp", 16)
    assert min((p["x"] - 0.3) ** 2 + p["y"] for p in found) < 0.05


def test_cmaes_is_refused_where_it_cannot_search():
    with pytest.raises(ConfigError, match="objectives = 1 must hold with sampler=cmaes, but got 2"):
        make_sampler("cmaes", 0, SPACE, 2)
    with pytest.raises(ConfigError, match=r"2 <= numerical parameters.*cannot search y"):
        make_sampler("cmaes", 0, GRID, 1)


def test_pruners_fit_the_study():
    assert choose_pruner("auto", 1, 0) == "median"
    assert choose_pruner("auto", 1, 3) == "wilcoxon"
    assert choose_pruner("auto", 2, 0) == "none"
    with pytest.raises(ConfigError, match="2 <= folds must hold with pruner=wilcoxon"):
        choose_pruner("wilcoxon", 1, 0)
    with pytest.raises(ConfigError, match="objectives = 1 must hold with pruner=median"):
        choose_pruner("median", 2, 0)
