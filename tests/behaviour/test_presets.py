"""Presets start, train, and record exactly the values that they name."""

import ast
import functools
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from helpers.running import run

from shd_genn import backends
from shd_genn.config import Config, presets
from shd_genn.config.compare import changing_no_result
from shd_genn.config.flat import all_settings
from shd_genn.config.presets import PRESETS
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.present.settings import AugmentConfig, PresentConfig
from shd_genn.run import parse
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.train import loop


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Training samples → as many short sounds on ten channels; with a validation file, as SSC."""

    @functools.cache
    def made(n_train):
        folder = tmp_path_factory.mktemp("data") / "small"
        for split, n, seed in (("train", n_train, 0), ("valid", 9, 1), ("test", 9, 2)):
            rng = np.random.default_rng(seed)
            labels = np.arange(n, dtype=np.int32) % 3
            samples = [
                (rng.uniform(0, 40, 12), rng.integers(3 * label, 3 * label + 4, 12))
                for label in labels
            ]
            dataset = SpikeDataset(
                name="small",
                events=Events.of(samples),
                labels=labels,
                speakers=(np.arange(n) % 2).astype(np.int32),
                n_channels=10,
                class_names=("one", "two", "three"),
            )
            write_spikes(folder / f"{split}.h5", dataset)
        return folder

    return made


@pytest.mark.usefixtures("quick_engines")
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains_and_records_what_it_names(name, small, tmp_path):
    batch = PRESETS[name].config.train.batch_size
    data = small(300 if batch <= 128 else 700)  # more than a batch, also without validation samples
    settings = parse(["--preset", name, "--dataset", str(data), "--epochs", "2"]).settings
    # a short trial only saves time; every layer and every input is as large as it is named
    settings = replace(settings, data=replace(settings.data, trial_ms=50.0))
    folder = loop.start(settings, tmp_path)
    assert folder.summary.complete
    assert folder.result.epochs == 2 and folder.result.test is not None
    recorded, named = folder.config, PRESETS[name].config
    inputs = 10 * (1 + named.present.delay_copies)
    expected = replace(
        named,
        data=replace(named.data, dataset=str(data), trial_ms=50.0),
        model=replace(named.model, n_inputs=inputs, n_classes=3),
        train=replace(named.train, epochs=2),
        backend=backends.choose(named.backend).name,
    )
    assert recorded == expected


def test_every_value_can_be_overridden():
    options = parse(["--preset", "mlgenn-shd", "--hidden-sizes", "64", "--learning-rate", "0.5"])
    named = PRESETS["mlgenn-shd"].config
    expected = replace(
        named,
        model=replace(named.model, hidden_sizes=(64,)),
        train=replace(named.train, learning_rate=0.5),
    )
    assert options.settings == expected


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS.keys())
def test_the_parameters_that_are_listed_make_the_preset(preset):
    assert parse(preset.parameters.split()).settings == preset.config


def calls_of_settings():
    """(file, line, class, names of arguments) of each settings dataclass that presets make."""
    classes = {c.__name__: c for c in (DataConfig, PresentConfig, AugmentConfig, ModelConfig)}
    classes |= {"TrainConfig": TrainConfig}
    for setting in all_settings(Config).values():
        classes |= {choice.__name__: choice for choice in setting.choices.values()}
    for path in sorted(Path(presets.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (name := getattr(node.func, "id", "")) in classes:
                given = [keyword.arg for keyword in node.keywords]
                yield path.name, node.lineno, classes[name], given


def test_presets_name_every_setting():
    """A new setting needs a value in every preset: a changed default must not change presets."""
    found = list(calls_of_settings())
    assert {c for _, _, c, _ in found} >= {DataConfig, PresentConfig, ModelConfig, TrainConfig}
    for file, line, made, given in found:
        missing = {field.name for field in fields(made)} - set(given)
        assert not missing, f"{file}:{line}: {made.__name__} does not name {', '.join(missing)}"


def test_presets_are_made_of_the_base_and_name_every_section():
    """Only what changes no result, and the backend, may come from the defaults of Config."""
    free = {*changing_no_result(Config), "backend"}
    needed = {field.name for field in fields(Config)} - free
    calls = [
        (path.name, node)
        for path in sorted(Path(presets.__file__).parent.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Config"
    ]
    assert len(calls) >= 4
    for file, call in calls:
        given = {keyword.arg for keyword in call.keywords}
        assert needed <= given, f"{file}:{call.lineno} does not name {', '.join(needed - given)}"


def test_the_list_shows_source_parameters_and_accuracy():
    result = run("--list-presets")
    assert result.returncode == 0
    for preset in PRESETS.values():
        for shown in (preset.name, preset.source, preset.parameters, preset.published):
            assert shown in result.stdout


def test_values_of_the_papers():
    """Spot checks against the papers' code, by hand."""
    rec = PRESETS["nowotny2025-base-rec-sum_exp"].config  # scan 46, id 63
    assert (rec.model.tau_mem_ms, rec.model.tau_syn_ms) == (40, 10)
    assert (rec.train.reg_lambda, rec.train.epochs, rec.data.trial_ms) == (1e-9, 300, 1400)
    size = PRESETS["nowotny2025-512-dt2"].config
    assert size.train.reg_lambda == 5e-10 and size.model.w_in_mean == 0.003
    assert round(size.augment.blend * 8156) == 15288 - 8156
    best = PRESETS["mlgenn-shd-best"].config
    assert best.present.delay_copies == 9
    assert round(best.data.validation.validation_fraction * 8156) == 512
    assert best.train.reg_lambda == 5e-11 and best.train.revive_silent == 0.002


def test_an_unknown_preset_gets_a_suggestion(tmp_path):
    result = run("--preset", "shd-gen-best", "--runs", tmp_path)
    assert result.returncode == 2
    assert (
        "there is no preset 'shd-gen-best'; use shd-genn-best if you mean that, or see"
        in result.stderr
    )


def test_only_one_source_of_settings(tmp_path):
    result = run("--preset", "mlgenn-shd", "--config", "a.toml", "--runs", tmp_path)
    assert result.returncode == 2
    assert (
        "settings come from one place, but --config and --preset are given; leave all"
        in result.stderr
    )
