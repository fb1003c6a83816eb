"""`python -m shd_genn.run`: train a network, and print where its results are."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro

from shd_genn import backends
from shd_genn.config import Config, command_line, presets
from shd_genn.record.run_folder import RunFolder, check_name
from shd_genn.record.sources import given_settings
from shd_genn.support.cli import command
from shd_genn.support.errors import refuse_unless
from shd_genn.train import crossval, loop
from shd_genn.train.live_curves import Curves, live_curves
from shd_genn.train.report import report


@dataclass(frozen=True)
class Options:
    """Train a spiking network on spoken words with EventProp.

    Some choices have options of their own. This text explains those of the choices that are set;
    add a choice to see its options, for example --schedule step --help.
    """

    settings: Config = field(default_factory=Config)
    config: Path | None = None
    """A TOML file of settings, for example a run's config.toml; options given beside it prevail."""
    preset: str | None = None
    """A published network by its name; options given beside it prevail."""
    list_presets: tyro.conf.FlagCreatePairsOff[bool] = False
    """List all presets, with source, published accuracy and parameters, and stop."""
    resume: Path | None = None
    """The folder of an interrupted run, to continue it. Other --epochs, threads and paths of the
    data may be given beside it."""
    runs: Path = Path("runs")
    """The folder that run folders go into."""
    name: str | None = None
    """The name of the run's folder; by default made of date, dataset, network and settings."""
    curves: Curves = "none"
    """Show each epoch in tensorboard or wandb (Weights & Biases) while the run trains."""
    trust_model: bool = False
    """With --resume: execute the folder's model.py although it was not used on this machine."""


def main() -> None:
    """Train as the command line says."""
    options = parse(sys.argv[1:])
    if options.list_presets:
        print(presets.describe(presets.PRESETS.values()))
        return
    settings = options.settings
    choice = backends.choose(settings.backend)
    print(f"backend             {choice.name} ({choice.why})", flush=True)
    protocol = crossval if crossval.is_cross_validation(settings) else loop
    refuse_unless(
        protocol is loop or options.curves == "none",
        f"curves show a single run, but {settings.data.validation.kind} validation trains several",
        "name a speaker by --validation-speaker, or leave --curves out",
    )
    if options.resume is None and options.name is not None:
        check_name(options.runs, options.name)
    with live_curves(options.curves) as on_epoch:
        more: dict[str, Any] = {} if on_epoch is None else {"on_epoch": on_epoch}
        if options.resume is not None:
            folder = RunFolder.open(options.resume)
            protocol.resume(folder, settings, trust_model=options.trust_model, **more)
        else:
            folder = protocol.start(settings, options.runs, name=options.name, **more)
    print("\n".join(report(folder)))


def parse(arguments: list[str]) -> Options:
    """Read the command line; what is not given there comes from --preset, --config or --resume."""
    return command_line.parse(
        Options, arguments, given_settings(arguments), prog="python -m shd_genn.run"
    )


if __name__ == "__main__":
    command(main)
