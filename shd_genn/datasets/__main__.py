"""`python -m shd_genn.datasets shd`: fetch SHD or SSC through tonic, and check the files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tyro

from shd_genn.datasets import official
from shd_genn.support.cli import command, parse


@dataclass(frozen=True)
class Options:
    """Download a published dataset. Complete files are not downloaded again."""

    name: tyro.conf.Positional[Literal["shd", "ssc"]]
    """Spiking Heidelberg Digits or Spiking Speech Commands."""
    data_dir: str | None = None
    """Folder for the files; by default $SHD_GENN_DATA, or the user's cache if that is not set."""


def main() -> None:
    """Run the command."""
    options = parse(Options, prog="python -m shd_genn.datasets")
    folder = official.fetch(options.name, options.data_dir)
    print(f"{folder}; train on it with python -m shd_genn.run --dataset {options.name}")


if __name__ == "__main__":
    command(main)
