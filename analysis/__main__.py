"""`python -m analysis RUNS… -o report/`: all figures that the data allow, and a page of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from analysis.tools.load import read
from analysis.tools.report import make
from shd_genn.support.cli import command, parse


@dataclass(frozen=True)
class Options:
    """Draw all that the data allow, and put it on one page that works offline."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, folders of them, studies (.db, .journal), benchmark tables (.csv), recordings
    (.wav, .flac)."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("report")
    """The folder of the report."""
    trust_model: bool = False
    """For the figures raster and parameters: execute a run's model.py although it was not used on
    this machine before; read it first."""


def main() -> None:
    """Report as the command line says."""
    options = parse(Options, prog="python -m analysis", description=__doc__)
    results = read(options.runs)
    results.trust_model = options.trust_model
    page = make(results, options.runs, options.output)
    for problem in results.problems:
        print(f"note: {problem}", file=sys.stderr)
    for name, why in page.missing.items():
        print(f"not drawn: {name}: {why}", file=sys.stderr)
    print(f"{len(page.drawn)} figures, page {options.output / 'index.html'}")
    if page.failed:
        print(f"failed: {', '.join(page.failed)}; please report this", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    command(main)
