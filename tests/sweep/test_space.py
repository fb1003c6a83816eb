"""Search spaces: reading them, what they set, and knowing them again."""

import re
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from helpers import sweeping

from shd_genn.config import Config
from shd_genn.config.flat import update
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.settings import Step, TrainConfig
from shd_genn.network.settings import FirstSpikeTime
from shd_genn.support.errors import ConfigError
from shd_genn.sweep.space import (
    changes,
    given_twice,
    identity,
    load_space,
    override,
    probe,
    spaces_dir,
)


def known(tmp_path, text, name="a", base=None, seeds=1, folds=()):
    space = load_space(str(sweeping.write_space(tmp_path, text, name)))
    return identity(probe(space, base or Config()), space, seeds, folds)


@pytest.mark.parametrize("path", sorted(spaces_dir().rglob("*.py")), ids=lambda path: path.stem)
def test_every_space_of_the_project_can_be_sampled(path):
    method = {
        "methods_stdp": "stdp",
        "methods_r_stdp": "r-stdp",
        "methods_conversion": "conversion",
    }
    base = {"model": "feedforward", "method": method[path.stem]} if path.stem in method else {}
    if path.stem == "methods_conversion":
        base["backend"] = "reference"
    found = probe(load_space(str(path)), update(Config(), base))
    assert len(found.distributions) >= 2
    assert found.configs[0] != found.configs[1]


def test_a_setting_is_found_whatever_its_section():
    config = override(
        Config(),
        {"learning_rate": 0.5, "hidden_sizes": (3, 4), "dt_ms": 2, "model": "feedforward"},
        Path("a.py"),
    )
    assert config.train.learning_rate == 0.5 and config.model.hidden_sizes == (3, 4)
    assert config.dt_ms == 2.0 and config.model.model == "feedforward"
    assert override(config, {"dataset": "x"}, Path("a")).data.dataset == "x"


def test_choices_and_their_options_are_found_by_flat_and_dotted_names(tmp_path):
    text = """
def space(trial):
    schedule = trial.suggest_categorical("schedule", ["constant", "step", "plateau"])
    settings = {"schedule": schedule, "model.readout": "first_spike_time"}
    if schedule != "constant":
        settings["train.schedule.decay"] = trial.suggest_float("decay", 0.1, 0.9)
        settings["decay_epochs"] = trial.suggest_int("decay_epochs", 1, 9)
    return settings
"""
    space = load_space(str(sweeping.write_space(tmp_path, text)))
    found = probe(space, Config())
    assert set(found.distributions) == {"schedule", "decay", "decay_epochs"}
    assert {c.model.readout for c in found.configs} == {FirstSpikeTime()}
    trial = optuna.trial.FixedTrial({"schedule": "step", "decay": 0.25, "decay_epochs": 3})
    assert space.config(Config(), trial).train.schedule == Step(0.25, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "def space(trial): return {'learning_rat': 1.0}",
            "there is no setting learning_rat; use learning_rate if",
        ),
        ("def space(trial): return {'learning_rate': 'fast'}", "learning_rate must be a number"),
        ("def space(trial): return {'decay': 0.1}", "decay belongs to schedule=plateau or step"),
        ("def space(trial): return {'model.epochs': 1}", r"write train\.epochs"),
        ("def space(trial): return {'learning_rate': -1.0}", "0 < learning_rate < inf must hold"),
        (
            "def space(trial): return {'learning_rate': {1}}",
            r"learning_rate must be a number, but got \{1\}",
        ),
        ("def space(trial): return 7", "must return a dict of settings, but got 7"),
        ("def space(trial): return {'dt_ms': trial.nonsense}", "must run, but AttributeError"),
        ("space = 7", "defines no function space"),
        ("def space(:", "must run, but SyntaxError"),
        ("OBJECTIVES = ('speed',)\ndef space(trial): return {}", "OBJECTIVES of"),
    ],
)
def test_what_is_wrong_with_a_space_is_said(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        known(tmp_path, text)


def test_a_missing_space_is_said():
    with pytest.raises(ConfigError, match=r"space none\.py must be a file"):
        load_space("none.py")
    with pytest.raises(ConfigError, match=r"space must be one of .*eventprop.*, but is 'none'"):
        load_space("none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("1e-3, 1e-1", "1e-3, 1"), r"learning_rate was FloatDistribution\(.*high=0.1.*high=1.0"),
        (('"hidden", 5, 20', '"hidden", 5, 30'), r"hidden was IntDistribution\("),
        (('"hidden", 5', '"size", 5'), "hidden is no longer searched.*size is new"),
        (('"hidden_sizes"', '"batch_size": 8, "hidden_sizes"'), "batch_size was 32, is 8"),
        (("def space", 'OBJECTIVES = ("hidden_spikes",)\n\n\ndef space'), "objectives were"),
    ],
)
def test_a_changed_space_is_known_by_what_has_changed(tmp_path, change, message):
    was = known(tmp_path, sweeping.SPACE)
    assert changes(was, known(tmp_path, sweeping.SPACE, "renamed")) == []
    now = known(tmp_path, sweeping.SPACE.replace(*change))
    found = "; ".join(changes(was, now))
    assert re.search(message, found), found


def test_other_settings_seeds_and_folds_are_changes_threads_are_none(tmp_path):
    was = known(tmp_path, sweeping.SPACE)
    other = Config(train=TrainConfig(epochs=7))
    assert changes(was, known(tmp_path, sweeping.SPACE, base=other)) == ["epochs was 100, is 7"]
    assert changes(was, known(tmp_path, sweeping.SPACE, seeds=2)) == ["seeds were 1, are 2"]
    assert changes(was, known(tmp_path, sweeping.SPACE, folds=("a", "b")))
    for same in (Config(n_threads=3), Config(data=DataConfig(data_dir="/elsewhere"))):
        assert not changes(was, known(tmp_path, sweeping.SPACE, base=same))


def test_a_setting_of_both_space_and_command_line_is_noticed():
    before = Config()
    after = replace(before, train=TrainConfig(learning_rate=0.1, epochs=3))
    for name in ("learning_rate", "train.learning_rate"):
        assert given_twice(before, after, frozenset({name})) == ["learning_rate"]


def test_options_of_a_choice_made_on_the_command_line_are_not_given_by_it():
    names = frozenset({"ridge", "learning_rate"})
    after = update(Config(), {"method": "stdp", "model": "feedforward"})
    assert given_twice(Config(), after, names) == []
    assert given_twice(Config(), update(after, {"ridge": 0.5}), names) == ["ridge"]
    assert given_twice(Config(), after, frozenset({"method"})) == ["method"]


def test_probing_leaves_optuna_as_it_was(tmp_path):
    space = load_space(str(sweeping.write_space(tmp_path)))
    assert probe(space, Config()).distributions == probe(space, Config()).distributions
    assert set(probe(space, Config()).distributions) == {"learning_rate", "hidden"}
    assert isinstance(optuna.create_study().sampler, optuna.samplers.TPESampler)
