"""`python -m shd_genn.datasets shd`: fetch SHD or SSC through tonic, and check the files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tyro

from shd_genn.datasets import official
from shd_genn.support.cli import command, parse


@dataclass(frozen=True)
class Options:
    """Fetch a published dataset; files that are there and whole are not fetched again."""

    name: tyro.conf.Positional[Literal["shd", "ssc"]]
    """Spiking Heidelberg Digits or Spiking Speech Commands."""
    data_dir: str | None = None
    """The folder to put it in; by default $SHD_GENN_DATA, or else the user's cache."""


def main() -> None:
    """Fetch as the command line says."""
    options = parse(Options, prog="python -m shd_genn.datasets")
    folder = official.fetch(options.name, options.data_dir)
    print(f"{folder}; train on it with python -m shd_genn.run --dataset {options.name}")


if __name__ == "__main__":
    command(main)
