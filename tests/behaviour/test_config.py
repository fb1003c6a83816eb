"""Settings: checked when made, TOML there and back, all of them on the command line."""

from dataclasses import fields

import pytest

from shd_genn.config import Config
from shd_genn.config.toml import from_toml, load_toml, to_toml
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.present.settings import AugmentConfig
from shd_genn.support.errors import ConfigError

SECTIONS = (DataConfig, AugmentConfig, ModelConfig, TrainConfig)


def test_toml_there_and_back():
    config = Config(
        data=DataConfig(dataset="shd", validation="speaker", validation_speaker="3"),
        augment=AugmentConfig(shift_channels=40.0),
        model=ModelConfig(hidden_sizes=(64, 128), n_inputs=700, readout="max_var"),
        train=TrainConfig(epochs=3, seed=7),
        dt_ms=2.0,
    )
    assert from_toml(to_toml(config)) == config


def test_whole_numbers_serve_as_floats():
    assert from_toml("dt_ms = 2").dt_ms == 2.0


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("epoch = 3", r"unknown key epoch; known here: data, augment"),
        ("[train]\nlearningrate = 1", r"unknown key train\.learningrate; known here: epochs"),
        ("[train]\nepochs = 'ten'", r"train\.epochs must be int, but got 'ten'"),
        ("[train]\nepochs = true", r"train\.epochs must be int, but got True"),
        ("[data]\nvalidation = 'test'", r"data\.validation must be .*random.*, but got 'test'"),
        ("[model]\nhidden_sizes = [64, 'x']", r"model\.hidden_sizes must be int, but got 'x'"),
        ("epochs = ", r"must be TOML, but"),
    ],
)
def test_wrong_toml_is_named(toml, message):
    with pytest.raises(ConfigError, match=message):
        from_toml(toml)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        load_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelConfig(tau_mem_ms=-3.0), r"0 < tau_mem_ms < inf must hold, but got -3\.0; "),
        (lambda: ModelConfig(tau_mem_ms=0.0), "0 < tau_mem_ms"),
        (lambda: ModelConfig(tau_syn_ms=float("nan")), "0 < tau_syn_ms"),
        (lambda: ModelConfig(hidden_sizes=(0,)), r"1 <= every hidden size.*must hold.*\(0,\)"),
        (lambda: ModelConfig(hidden_sizes=()), "1 <= every hidden size"),
        (lambda: ModelConfig(v_thresh=0.0), "0 < v_thresh"),
        (lambda: ModelConfig(readout="mean"), "readout in .* must hold, but got mean"),
        (lambda: TrainConfig(epochs=0), "1 <= epochs"),
        (lambda: TrainConfig(batch_size=0), "1 <= batch_size"),
        (lambda: TrainConfig(learning_rate=0.0), "0 < learning_rate"),
        (lambda: TrainConfig(reg_lambda=-1.0), "0 <= reg_lambda"),
        (lambda: TrainConfig(first_spike_tau0_ms=0.0), "0 < first_spike_tau0_ms"),
        (lambda: TrainConfig(softmax_temperature=0.0), "0 < softmax_temperature"),
        (lambda: TrainConfig(first_spike_alpha=-1.0), "0 <= first_spike_alpha"),
        (
            lambda: Config(
                model=ModelConfig(readout="first_spike_time_exp"),
                train=TrainConfig(first_spike_tau1_ms=10.0),
            ),
            r"trial_ms <= 80 first_spike_tau1_ms must hold, but got trial_ms 1000\.0, first_spike",
        ),
        (lambda: TrainConfig(seed=-1), "0 <= seed"),
        (lambda: DataConfig(trial_ms=0.0), "0 < trial_ms"),
        (lambda: DataConfig(validation_fraction=1.0), "0 < validation_fraction < 1"),
        (lambda: AugmentConfig(shift_channels=-1.0), "0 <= shift_channels"),
        (lambda: AugmentConfig(blend=-1.0), "0 <= blend"),
        (lambda: AugmentConfig(blend=1e9), "0 <= blend <= 100 must hold, but got 1000000000"),
        (lambda: Config(data=DataConfig(trial_ms=1e12)), "trial_ms / dt_ms <= 1e6 must hold"),
        (
            lambda: DataConfig(validation_speaker="anna"),
            "validation = speaker where a validation_speaker is named must hold, but got validation"
            " auto and validation_speaker anna; say validation=speaker",
        ),
        (
            lambda: ModelConfig(model="feedforward", delay_rec_ms=60.0),
            "no delays of recurrent connections where there are none must hold, but got model feed",
        ),
        (
            lambda: ModelConfig(model="feedforward", train_delays=("recurrent",)),
            "no delays of recurrent connections",
        ),
        (lambda: ModelConfig(delay_hidden_ms=50.0), "no delays of hidden connections"),
        (lambda: ModelConfig(train_delays=("hidden",)), "no delays of hidden connections"),
        (lambda: AugmentConfig(blend_keep=0.0), "0 < blend_keep <= 1"),
        (lambda: AugmentConfig(jitter_channels=float("nan")), "0 <= jitter_channels"),
        (lambda: AugmentConfig(dilation=0.9), "1 <= dilation"),
        (lambda: AugmentConfig(dropout=1.0), "0 <= dropout < 1"),
        (lambda: DataConfig(delay_copies=-1), "0 <= delay_copies"),
        (lambda: DataConfig(delay_step_ms=0.0), "0 < delay_step_ms"),
        (lambda: TrainConfig(ease_in=0.0), "0 < ease_in <= 1"),
        (lambda: TrainConfig(ease_in_growth=1.0), "1 < ease_in_growth"),
        (lambda: TrainConfig(decay=1.0), "0 < decay < 1"),
        (lambda: TrainConfig(decay_epochs=0), "1 <= decay_epochs"),
        (lambda: TrainConfig(revive_silent=-0.1), "0 <= revive_silent"),
        (lambda: Config(dt_ms=0.0), "0 < dt_ms"),
        (lambda: Config(dt_ms=2000.0), r"dt_ms <= trial_ms must hold, but got dt_ms 2000"),
        (lambda: Config(n_threads=-1), "0 <= n_threads"),
    ],
)
def test_values_that_cannot_be(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_digest_names_settings_but_not_threads():
    assert Config(n_threads=1).digest() == Config(n_threads=2).digest()
    assert Config(dt_ms=2.0).digest() != Config().digest()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_has_a_default(section):
    assert fields(section) and section() == section()
