"""Settings on the command line: options, flags, choices, help, and what is refused."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import tiny
from helpers.calling import call
from helpers.changed import OTHER

from shd_genn.config import Config, command_line
from shd_genn.config.presets import PRESETS
from shd_genn.config.toml import load_toml, to_toml
from shd_genn.datasets.settings import AutoValidation, NoValidation, RandomValidation
from shd_genn.learning.settings import Constant, Plateau, Step
from shd_genn.network.settings import MaxVar
from shd_genn.run import parse
from shd_genn.support.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--v-thresh 1e-46", r"1\.175e-38 <= |v_thresh| <= 3\.403e+38 (what a float32 holds) must"),
        ("--v-thresh 1e-40", "|v_thresh|"),  # a subnormal number, which processors may take for 0
        ("--learning-rate 1e39", "|learning_rate|"),
        ("--epsilon 1e-300", "|epsilon|"),
        ("--w-in-mean 1e300", "|w_in_mean|"),
        ("--beta1 0.999999999", "0 <= beta1 < 1 must hold for the float32 that is computed with, "),
        ("--delay-in-ms 3e9", "delay_in_ms <= max_delay_ms must hold, but got 3000000000.0 and 10"),
        ("--delay-in-ms 3e9 --max-delay-ms 3e9", "max_delay_ms / dt_ms <= 1000000 must hold"),
        ("--shift-channels 1e308", "0 <= shift_channels <= 65535 must hold, but got 1e+308"),
        ("--jitter-channels 1e9", "0 <= jitter_channels <= 65535 must hold"),
        ("--delay-copies 70000", "0 <= delay_copies <= 65535 must hold"),
        ("--epochs 3000000000", "1 <= epochs <= 2147483647 (the largest int32) must hold"),
        ("--hidden-sizes 3000000000", "1 <= hidden_sizes <= 2147483647"),
    ],
)
def test_values_must_fit_the_numbers_that_are_computed_with(options, message):
    with pytest.raises(ConfigError) as error:
        parse(options.split())
    assert message.replace("\\", "") in str(error.value)


def test_a_leading_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    options = parse(["--runs=~/runs", "--dataset=~/digits", "--data-dir", "~/data"])
    assert str(options.runs) == "/home/anna/runs"
    data = options.settings.data
    assert (data.dataset, data.data_dir) == ("/home/anna/digits", "/home/anna/data")


@pytest.mark.parametrize("config", [Config(), OTHER, *(p.config for p in PRESETS.values())])
def test_the_command_line_makes_any_settings(config):
    assert parse(command_line.options_of(config)).settings == config


def test_flags_are_flags():
    settings = parse(["--no-test", "--train-tau", "--binarise"]).settings
    assert (settings.data.test, settings.model.train_tau, settings.present.binarise) == (
        *(False, True),
        True,
    )
    assert not parse(
        ["--preset", "meszaros2025-delay-ff", "--no-binarise"]
    ).settings.present.binarise


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--schedule plateau --decay 0.25", Plateau(decay=0.25)),
        ("--decay 0.25 --schedule=plateau", Plateau(decay=0.25)),
        ("--preset nowotny2025-64-dt1 --decay 0.25", Plateau(decay=0.25)),
        ("--preset nowotny2025-64-dt1 --schedule step", Step()),
        ("--preset nowotny2025-64-dt1 --schedule constant", Constant()),
    ],
)
def test_a_choice_brings_its_options(options, expected):
    assert parse(options.split()).settings.train.schedule == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--decay 0.3",
            "--decay belongs to --schedule plateau or step, but --schedule is constant; choose "
            "--schedule plateau, or leave --decay out",
        ),
        ("--schedule cosine --decay_epochs=3", "--decay-epochs belongs to --schedule plateau or "),
        ("--validation none --best-by training", "--best-by belongs to --validation auto or rando"),
        ("--validation-speaker anna", "--validation-speaker belongs to --validation speaker, but "),
        ("--first-spike-tau1-ms 3 --readout first_spike_time", "to --readout first_spike_time_exp"),
        ("--gamma-shape 2", "--gamma-shape belongs to --tau-distribution gamma, but"),
    ],
)
def test_options_of_what_is_not_chosen_are_refused(options, message):
    with pytest.raises(ConfigError) as error:
        parse(options.split())
    assert message in str(error.value)


def test_a_presets_choice_does_not_override_what_was_asked():
    """shd-genn-80 has no validation, so its best epoch is by training; --validation asks for it."""
    assert PRESETS["shd-genn-80"].config.data.validation == NoValidation()
    data = parse(["--preset", "shd-genn-80", "--validation", "random"]).settings.data
    assert data.validation == RandomValidation() and data.validation.best_by == "validation"
    # of a preset that keeps samples for validation, their part stays as published
    data = parse(["--preset", "mlgenn-shd-best", "--validation", "auto"]).settings.data
    assert data.validation == AutoValidation(validation_fraction=0.0628)
    model = parse(["--preset", "shd-genn-80", "--readout", "max_var"]).settings.model
    assert model.readout == MaxVar(softmax_temperature=0.2)


def command(*arguments):
    return call("run", *arguments, width=100)


def test_help_shows_the_options_of_what_is_chosen_and_names_all_choices():
    result = command("--help", "--schedule", "plateau")
    assert result.returncode == 0
    text = " ".join(result.stdout.replace("│", " ").split())
    assert "--schedule {constant,plateau,step,cosine}" in text and "--decay FLOAT" in text
    assert "step: It is multiplied by decay every decay_epochs epochs (options: --decay," in text
    assert "--first-spike-tau1-ms FLOAT" not in text and "--no-test" in text


@pytest.mark.parametrize(
    ("option", "suggestion"),
    [("--learning-rat", "--learning-rate FLOAT"), ("--schedul", "--schedule {constant,plateau")],
)
def test_unknown_options_get_a_suggestion(option, suggestion):
    result = command(option, "1")
    assert result.returncode == 2
    assert f"Unrecognized options: {option}" in result.stderr and suggestion in result.stderr


def test_a_closed_pipe_ends_quietly():
    result = subprocess.run(
        f"set -o pipefail; {sys.executable} -m shd_genn.run --list-presets | head -c 1",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == "" and result.stdout != "" and result.returncode in (0, 141)


def test_words_that_the_terminal_has_no_letters_for():
    code = "from shd_genn.support.cli import command; command(lambda: print('ja 是'))"
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    printed = subprocess.check_output([sys.executable, "-c", code], env=latin)
    assert printed == b"ja \\u662f\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_what_is_printed_to_a_full_disk_is_one_message():
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "shd_genn.run", "--list-presets"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr == (
        "error: what the command prints cannot be written (No space left on device); send its "
        "output to another disk\n"
    )


def test_a_runs_settings_may_serve_for_another_dataset(tmp_path):
    """The numbers of inputs and classes in a run's folder are what its dataset decided."""
    config = replace(OTHER, model=replace(OTHER.model, n_inputs=700, n_classes=20))
    (tmp_path / "config.toml").write_text(to_toml(config))
    arguments = ["--config", str(tmp_path / "config.toml")]
    assert parse(arguments).settings == config
    (tmp_path / "summary.json").write_text("{}")
    model = parse(arguments).settings.model
    assert model == replace(config.model, n_inputs=None, n_classes=None)
    assert parse([*arguments, "--n-inputs", "7"]).settings.model.n_inputs == 7


def test_a_moved_dataset_does_not_stop_a_run_from_being_resumed(tmp_path):
    here, there = tmp_path / "here" / "tiny", tmp_path / "there" / "tiny"
    tiny.write(here)
    options = ["--hidden-sizes", "8", "--trial-ms", "120", "--batch-size", "16", "--n-threads", "1"]
    start = [*options, "--dataset", str(here), "--epochs", "1", "--runs", str(tmp_path / "runs")]
    result = command(*start)
    assert result.returncode == 0, result.stderr
    there.parent.mkdir()
    here.rename(there)
    (run_folder,) = (tmp_path / "runs").iterdir()
    result = command("--resume", str(run_folder), "--dataset", str(there), "--epochs", "2")
    assert result.returncode == 0, result.stderr
    assert load_toml(run_folder / "config.toml").data.dataset == str(there)
    assert load_toml(run_folder / "config.toml").train.epochs == 2
