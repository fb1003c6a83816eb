"""The settings that a command starts from: of a file, a preset or a run folder."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from shd_genn.config import Config, presets
from shd_genn.config.toml import load_toml
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import refuse_unless


def given_settings(arguments: Sequence[str]) -> Config:
    """The settings that a command line starts from: those of --preset, --config or --resume.

    Raises:
        ConfigError: if more than one of them is given, or cannot be read.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("config", "resume", "preset"):
        parser.add_argument(f"--{name}", nargs="?")  # a missing value is reported with all options
    given, _ = parser.parse_known_args(arguments)
    sources = [f"--{name}" for name, value in vars(given).items() if value]
    refuse_unless(
        len(sources) < 2,
        f"settings come from one place, but {' and '.join(sources)} are given",
        "leave all but one out",
    )
    if given.resume:
        return RunFolder.open(Path(given.resume).expanduser()).config
    if given.config:
        path = Path(given.config).expanduser()
        config = load_toml(path)
        if (path.parent / "summary.json").is_file():  # a run's: its dataset decided these two
            config = replace(config, model=replace(config.model, n_inputs=None, n_classes=None))
        return config
    if given.preset:
        return presets.get(given.preset).config
    return Config()
