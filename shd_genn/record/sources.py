"""The settings that a command starts from: of a file, a preset or a run folder."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from shd_genn.config import Config, presets
from shd_genn.config.toml import load_toml
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import require


def given_settings(arguments: list[str]) -> Config:
    """The settings that a command line starts from: those of --preset, --config or --resume."""
    first = ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config", type=Path)
    first.add_argument("--resume", type=Path)
    first.add_argument("--preset")
    named, _ = first.parse_known_args(arguments)
    sources = [f"--{name}" for name in ("config", "resume", "preset") if getattr(named, name)]
    require(
        len(sources) < 2, "one source of settings", " and ".join(sources), "leave all but one out"
    )
    if named.resume is not None:
        return RunFolder.open(named.resume).config
    if named.config is not None:
        return load_toml(named.config)
    if named.preset is not None:
        return presets.get(named.preset).config
    return Config()
