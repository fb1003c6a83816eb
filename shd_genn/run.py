"""`python -m shd_genn.run`: train a network, and print where its results are."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from shd_genn import backends
from shd_genn.config import Config, command_line, presets
from shd_genn.datasets import NOT_SHD, SPOKEN_DIGITS
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.sources import given_settings
from shd_genn.support.cli import command
from shd_genn.train import crossval, loop


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


def main() -> None:
    """Train as the command line says."""
    options = parse(sys.argv[1:])
    if options.list_presets:
        print(presets.describe(presets.PRESETS.values()))
        return
    settings = options.settings
    choice = backends.choose(settings.backend)
    print(f"backend             {choice.name} ({choice.why})", flush=True)
    protocol = crossval if crossval.wanted(settings) else loop
    if options.resume is not None:
        folder = RunFolder.open(options.resume)
        protocol.resume(folder, settings)
    else:
        folder = protocol.start(settings, options.runs)
    if crossval.wanted(settings):
        report_crossval(folder)
    else:
        report(folder)


def parse(arguments: list[str]) -> Options:
    """Read the command line; what is not given there comes from --preset, --config or --resume."""
    return command_line.parse(
        Options, arguments, given_settings(arguments), prog="python -m shd_genn.run"
    )


def report(folder: RunFolder) -> None:
    """Print a finished run's main numbers."""
    summary = folder.read_json("summary")
    print(f"dataset             {summary['dataset']}")
    print(
        f"chosen epoch        {summary['best_epoch']} of {summary['epochs']}, "
        f"by {summary['chosen_by']} ({summary['best_accuracy']:.2%})"
    )
    if test := summary.get("test"):
        print(f"test accuracy       {test['accuracy']:.2%} of {test['samples']} samples")
        if "accuracy_seen" in test:
            print(f"  speakers seen     {test['accuracy_seen']:.2%}")
            print(f"  speakers unseen   {test['accuracy_unseen']:.2%}")
        print(f"hidden spikes       {test['hidden_spikes_mean']:.2f} per neuron and trial")
    print(f"time per epoch      {summary['seconds_per_epoch']:.2f} s")
    if summary["spikes_after_trial"] > 0:
        print(f"spikes not seen     {summary['spikes_after_trial']:.2%}, later than --trial-ms")
    print(f"run folder          {folder.path}")
    if summary["dataset"] == SPOKEN_DIGITS:
        print(NOT_SHD)


def report_crossval(folder: RunFolder) -> None:
    """Print a finished cross-validation's main numbers."""
    summary = folder.read_json("summary")
    print(f"dataset             {summary['dataset']}")
    for row in folder.read_table("folds"):
        print(
            f"  without {row['speaker']:12}{float(row['accuracy']):.2%} of {row['samples']} "
            f"samples in epoch {row['best_epoch']}, by {summary['chosen_by']}"
        )
    common = summary["common_epoch"]
    print(
        f"speakers left out   {summary['accuracy']:.2%} ± {summary['accuracy_sd']:.2%}, "
        f"mean and standard deviation over {summary['folds']} of them"
    )
    print(
        f"epoch {common['epoch']:<4} in all      {common['accuracy']:.2%} ± "
        f"{common['accuracy_sd']:.2%}, the best on average"
    )
    if test := summary.get("test"):
        print(f"trained on all      {test['accuracy']:.2%} of {test['samples']} test samples")
    print(f"folder              {folder.path}")


if __name__ == "__main__":
    command(main)
