"""Settings: checked when made, TOML there and back, updated, compared."""

import math
from dataclasses import dataclass, field, fields, replace
from typing import Annotated

import numpy as np
import pytest
from annotated_types import Ge
from helpers.changed import OTHER

from shd_genn.config import Config
from shd_genn.config.compare import changing_no_result, difference, on_this_machine
from shd_genn.config.convert import from_tree, to_tree
from shd_genn.config.flat import all_settings, flat, update
from shd_genn.config.toml import from_toml, load_toml, to_toml
from shd_genn.datasets.settings import (
    DataConfig,
    RandomValidation,
)
from shd_genn.learning.settings import Cosine, Plateau, Step, TrainConfig
from shd_genn.network.readouts import READOUTS
from shd_genn.network.settings import (
    AvgVar,
    FirstSpikeTime,
    FirstSpikeTimeExp,
    ModelConfig,
)
from shd_genn.present.settings import AugmentConfig, PresentConfig
from shd_genn.support.errors import ConfigError
from shd_genn.support.settings import Choice, Cure, Settings

SECTIONS = (DataConfig, PresentConfig, AugmentConfig, ModelConfig, TrainConfig)


@pytest.mark.parametrize("config", [Config(), OTHER])
def test_toml_there_and_back(config):
    assert from_toml(to_toml(config)) == config


def test_whole_numbers_serve_as_floats():
    assert from_toml("dt_ms = 2").dt_ms == 2.0


def test_a_choice_may_be_its_name_alone():
    assert from_toml("[train]\nschedule = 'cosine'").train.schedule == Cosine()
    assert TrainConfig(schedule="step").schedule == Step()


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("epoch = 3", "there is no setting epoch; write epochs in [train] if you mean that"),
        ("zzz = 3", "there is no setting zzz; known here are data, present, augment, model, train"),
        (
            "[train]\nlearningrate = 1",
            "there is no setting train.learningrate; write learning_rate if you mean that",
        ),
        ("[data]\nbinarise = true", "there is no setting data.binarise; write it in [present]"),
        ("[train]\ndt_ms = 1", "there is no setting train.dt_ms; write it above all tables"),
        (
            "[train.schedule]\nkind = 'constant'\ndecay = 0.5",
            "train.schedule.decay does not apply; it belongs to kind = plateau or step, not to "
            "constant",
        ),
        (
            "[train.schedule]\ndecay = 0.5",
            "train.schedule must be a table with kind = one of constant, plateau, step, cosine, "
            "but got {'decay': 0.5}",
        ),
        (
            "[train]\nschedule = [3]",
            "train.schedule must be one of constant, plateau, step, cosine, but got [3]",
        ),
        (
            "[train]\nschedule = 'cosinus'",
            "train.schedule must be one of constant, plateau, step, cosine, but got 'cosinus'",
        ),
        ("[train]\nepochs = 'ten'", "train.epochs must be a whole number, but got 'ten'; correct"),
        ("[train]\nepochs = true", "train.epochs must be a whole number, but got True"),
        ("[train]\nepochs = 1.5", "train.epochs must be a whole number, but got 1.5"),
        ("dt_ms = '1'", "dt_ms must be a number, but got '1'"),
        ("[data]\ntest = 'no'", "data.test must be true or false, but got 'no'"),
        ("[data]\ndataset = 3", "data.dataset must be text, but got 3"),
        ("[data]\nvalidation = 'test'", "data.validation must be one of auto, random, speaker, "),
        ("[model]\nhidden_sizes = [64, 'x']", "model.hidden_sizes must be a whole number, but got"),
        ("[model]\nhidden_sizes = '64'", "model.hidden_sizes must be a list of values, but got"),
        ("[model]\ntrain_delays = ['inputs']", "model.train_delays must be one of input, recur"),
        ("data = 3", "data must be a table, but got 3; correct its value"),
        ("[train]\nepochs = 0", "a.toml: 1 <= epochs must hold, but got 0; the papers use 100"),
        ("epochs = ", "a.toml is not TOML: Invalid value"),
    ],
)
def test_wrong_toml_is_named(toml, message):
    with pytest.raises(ConfigError) as error:
        from_toml(toml, "a.toml")
    assert str(error.value).startswith("a.toml") and message in str(error.value)


def test_all_wrong_settings_of_a_file_are_named():
    with pytest.raises(ConfigError) as error:
        from_toml("dt_ms = 'x'\n[train]\nepochs = 'ten'\nlearning_rat = 1\n", "a.toml")
    lines = str(error.value).splitlines()
    assert lines[0].startswith("a.toml: 3 settings are wrong") and len(lines) == 4


def test_byte_order_marks_are_accepted(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbf" + to_toml(OTHER).encode())
    assert load_toml(tmp_path / "a.toml") == OTHER


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        load_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelConfig(tau_mem_ms=-3.0), r"0 < tau_mem_ms < inf must hold, but got -3\.0; "),
        (lambda: ModelConfig(tau_mem_ms=0.0), "0 < tau_mem_ms"),
        (lambda: ModelConfig(tau_syn_ms=float("nan")), "0 < tau_syn_ms"),
        (lambda: ModelConfig(hidden_sizes=(0,)), r"1 <= hidden_sizes must hold, but got 0"),
        (lambda: ModelConfig(hidden_sizes=()), "1 <= length of hidden_sizes must hold, but got 0"),
        (lambda: ModelConfig(v_thresh=0.0), "0 < v_thresh"),
        (lambda: ModelConfig(readout="mean"), "readout must be one of .*, but got 'mean'"),
        (lambda: TrainConfig(epochs=0), "1 <= epochs"),
        (lambda: TrainConfig(batch_size=0), "1 <= batch_size"),
        (lambda: TrainConfig(learning_rate=0.0), "0 < learning_rate"),
        (lambda: TrainConfig(reg_lambda=-1.0), "0 <= reg_lambda"),
        (lambda: FirstSpikeTime(first_spike_tau0_ms=0.0), "0 < first_spike_tau0_ms"),
        (lambda: AvgVar(softmax_temperature=0.0), "0 < softmax_temperature"),
        (lambda: FirstSpikeTime(first_spike_alpha=-1.0), "0 <= first_spike_alpha"),
        (
            lambda: Config(
                model=ModelConfig(readout=FirstSpikeTimeExp(first_spike_tau1_ms=10.0)),
            ),
            r"trial_ms <= 80 first_spike_tau1_ms must hold, but got trial_ms 1000\.0, first_spike",
        ),
        (lambda: TrainConfig(seed=-1), "0 <= seed"),
        (lambda: DataConfig(trial_ms=0.0), "0 < trial_ms"),
        (lambda: RandomValidation(validation_fraction=1.0), "0 < validation_fraction < 1"),
        (lambda: AugmentConfig(shift_channels=-1.0), "0 <= shift_channels"),
        (lambda: AugmentConfig(blend=-1.0), "0 <= blend"),
        (lambda: AugmentConfig(blend=1e9), "0 <= blend <= 100 must hold, but got 1000000000"),
        (lambda: Config(data=DataConfig(trial_ms=1e12)), "trial_ms / dt_ms <= 1000000 must hold"),
        (
            lambda: ModelConfig(model="feedforward", delay_rec_ms=60.0),
            "model feedforward with hidden_sizes 256 has no recurrent connections, but delays of",
        ),
        (
            lambda: ModelConfig(model="feedforward", train_delays=("recurrent",)),
            "has no recurrent connections",
        ),
        (lambda: ModelConfig(delay_hidden_ms=50.0), "has no hidden connections"),
        (lambda: ModelConfig(train_delays=("hidden",)), "has no hidden connections"),
        (lambda: AugmentConfig(blend_keep=0.0), "0 < blend_keep <= 1"),
        (lambda: AugmentConfig(jitter_channels=float("nan")), "0 <= jitter_channels"),
        (lambda: AugmentConfig(dilation=0.9), "1 <= dilation"),
        (lambda: AugmentConfig(dropout=1.0), "0 <= dropout < 1"),
        (lambda: PresentConfig(delay_copies=-1), "0 <= delay_copies"),
        (lambda: PresentConfig(delay_step_ms=0.0), "0 < delay_step_ms"),
        (lambda: TrainConfig(ease_in=0.0), "0 < ease_in <= 1"),
        (lambda: TrainConfig(ease_in_growth=1.0), "1 < ease_in_growth"),
        (lambda: Plateau(decay=1.0), "0 < decay < 1"),
        (lambda: Step(decay_epochs=0), "1 <= decay_epochs"),
        (lambda: TrainConfig(revive_silent=-0.1), "0 <= revive_silent"),
        (lambda: Config(dt_ms=0.0), "0 < dt_ms"),
        (lambda: TrainConfig(beta1=1.0), "0 <= beta1 < 1 must hold, but got 1"),
        (lambda: TrainConfig(epochs="10"), "epochs must be a whole number, but got '10'"),
        (lambda: TrainConfig(schedule=AvgVar()), "schedule must be one of constant, plateau, st"),
        (lambda: ModelConfig(w_in_mean=math.inf), "-inf < w_in_mean < inf must hold"),
        (lambda: ModelConfig(tau_mem_ms=2.0, train_tau=True), "tau_mem_min_ms <= tau_mem_ms must"),
        (
            lambda: ModelConfig(train_delays=("input",), max_delay_ms=0.0),
            "delays of input connections are learned, but max_delay_ms is 0.0; raise max_delay_ms",
        ),
        (lambda: Config(data=TrainConfig()), "data must be a DataConfig, but got TrainConfig"),
        (lambda: Config(dt_ms=2000.0), r"dt_ms <= trial_ms must hold, but got dt_ms 2000"),
        (lambda: Config(n_threads=-1), "0 <= n_threads"),
    ],
)
def test_values_that_cannot_be(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_short_steps_are_allowed_where_there_are_no_delays():
    config = Config(data=DataConfig(trial_ms=100.0), dt_ms=5e-4)
    assert config.n_steps == 200_000
    with pytest.raises(ConfigError, match="max_delay_ms / dt_ms <= 1000000"):
        replace(config, model=ModelConfig(delay_in_ms=10.0))


def test_values_are_brought_into_one_form():
    train = TrainConfig(learning_rate=1, epochs=np.int64(3), reg_nu=np.float32(0.5))
    assert [type(v) for v in (train.learning_rate, train.epochs, train.reg_nu)] == [
        float,
        int,
        float,
    ]
    assert ModelConfig(hidden_sizes=[3, 4]).hidden_sizes == (3, 4)


def test_what_changes_no_result_is_one_list():
    kept = ("keep_epochs", "record_samples")
    assert changing_no_result(Config) == ("data_dir", *kept, "n_threads", "kernel_times")
    elsewhere = replace(
        Config(n_threads=3, kernel_times=True), data=DataConfig(data_dir="/somewhere/else")
    )
    assert difference(Config(), elsewhere) == "" and elsewhere.digest() == Config().digest()
    assert on_this_machine(Config(), elsewhere) == elsewhere


def test_a_dataset_is_known_by_its_folders_name():
    here, there = (Config(data=DataConfig(dataset=f"/{place}/digits")) for place in "ab")
    assert difference(here, there) == "" and here.digest() == there.digest()
    assert on_this_machine(here, there) == there
    other = Config(data=DataConfig(dataset="/a/letters"))
    assert difference(here, other) == "dataset was /a/digits, is /a/letters"
    assert on_this_machine(here, other) == here
    assert difference(Config(data=DataConfig(dataset="shd")), Config(data=DataConfig("/a/shd")))


def test_differences_are_named_once():
    assert Config(dt_ms=2.0).digest() != Config().digest()
    plateau = replace(Config(), train=TrainConfig(schedule=Plateau(), epochs=3))
    assert (
        difference(Config(), plateau) == "epochs was 100, is 3, schedule was constant, is plateau"
    )
    faster = replace(plateau, train=TrainConfig(schedule=Plateau(decay=0.1), epochs=3))
    assert difference(plateau, faster) == "decay was 0.5, is 0.1"
    assert faster.digest() != plateau.digest()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_has_a_default_and_a_help_text(section):
    assert fields(section) and section() == section()
    assert all(len(setting.help) > 10 for setting in all_settings(section).values())


def test_readouts_are_those_of_the_network():
    assert list(all_settings(Config)["readout"].choices) == list(READOUTS)


def test_settings_have_names_of_their_own():
    """`all_settings` refuses two settings of one name; and flat names are those of the options."""
    known = all_settings(Config)
    assert {"learning_rate", "schedule", "decay", "delay_copies", "n_threads"} <= set(known)
    assert known["decay"].path == ("train", "schedule", "decay")
    assert known["decay"].belongs_to == ("plateau", "step")
    assert "decay" not in flat(Config()) and flat(OTHER)["decay"] == 0.3


def test_updates_by_flat_and_dotted_names():
    config = update(Config(), {"schedule": "plateau", "train.schedule.decay": 0.3, "epochs": 2})
    assert config.train == TrainConfig(schedule=Plateau(decay=0.3), epochs=2)
    # what both choices have stays as it is
    assert update(config, {"schedule": "step"}).train.schedule == Step(decay=0.3)
    assert update(config, {"tau_learning_rate": 0.1}).train.tau_learning_rate == 0.1
    assert Config() == update(config, {"schedule": "constant", "epochs": 100})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"decay": 0.2}, "decay belongs to schedule=plateau or step, but schedule is constant; ch"),
        ({"learning_rat": 1}, "there is no setting learning_rat; use learning_rate if you mean th"),
        ({"model.epochs": 1}, "there is no setting model.epochs; write train.epochs"),
        ({"zzz": 1}, "there is no setting zzz; use the names that python -m shd_genn.run --help "),
        ({"schedule": "foo"}, "train.schedule must be one of constant, plateau, step, cosine, but"),
        ({"epochs": None}, "train.epochs must be a whole number, but got None"),
    ],
)
def test_updates_that_cannot_be(values, message):
    with pytest.raises(ConfigError, match=r"a\.py: ") as error:
        update(Config(), values, "a.py")
    assert message in str(error.value)


@dataclass(frozen=True)
class Lif(Choice, kind="lif"):
    """A neuron without options."""


@dataclass(frozen=True)
class AdLif(Choice, kind="adlif"):
    """A neuron with an option."""

    a: Annotated[float, Ge(0), Cure("0.5 is usual")] = 0.5
    """Strength of the adaptation."""


@dataclass(frozen=True)
class Model(Settings):
    """A room's settings."""

    neuron: Lif | AdLif = field(default_factory=Lif)
    """The neuron."""


@dataclass(frozen=True)
class Run(Settings):
    """Settings of a run."""

    model: Model = field(default_factory=Model)


def test_a_new_choice_takes_one_dataclass():
    run = update(Run(), {"neuron": "adlif", "a": 2})
    assert run == Run(Model(AdLif(2.0))) and flat(run) == {"neuron": "adlif", "a": 2.0}
    assert from_tree(to_tree(run), Run) == run
    assert difference(Run(), run) == "neuron was lif, is adlif"
    with pytest.raises(ConfigError, match="a belongs to neuron=adlif, but neuron is lif; choose"):
        update(Run(), {"a": 0.5})
    with pytest.raises(ConfigError, match=r"0 <= a < inf must hold, but got -1\.0; 0\.5 is"):
        update(run, {"a": -1})


def test_a_delay_line_has_no_more_channels_than_there_are_numbers():
    config = Config(present=PresentConfig(delay_copies=92))
    assert config.presentation(700).n_inputs == 65100
    more = replace(config, present=PresentConfig(delay_copies=93))
    with pytest.raises(ConfigError, match="but got 700 channels and 93 copies; lower delay_copies"):
        more.presentation(700)
