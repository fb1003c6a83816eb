"""What all figure scripts share: the command line, reading, saving."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import tyro
from matplotlib.figure import Figure

from analysis.tools import style
from analysis.tools.load import Results, read
from shd_genn.support.cli import command, parse
from shd_genn.support.files import PICTURES, require_ending, write_text, written_aside


@dataclass(frozen=True)
class Options:
    """Which runs to read, and the file to write."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, folders of them, studies (.db, .journal), benchmark tables (.csv)."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The figure: .pdf, .svg or .png."""


@dataclass(frozen=True)
class StudyOptions(Options):
    """Which runs to read, which part of them to draw, and the file to write."""

    study: str | None = None
    """Which study; the first if not given."""


Given = TypeVar("Given", bound=Options)
Numbers = TypeVar("Numbers")


def draw(
    options: type[Given],
    load: Callable[[Results, Given], Numbers],
    plot: Callable[[Numbers], Figure],
    table: Callable[[Numbers], str] | None = None,
) -> None:
    """Run a figure script: read the paths, take the numbers, plot them, save the figure.

    Args:
        options: The script's options.
        load: From everything that was read to what the figure shows.
        plot: From that to the figure.
        table: From that to LaTeX, where the script can make a table of it, too.
    """
    command(lambda: _draw(options, load, plot, table))


def _draw(
    options: type[Given],
    load: Callable[[Results, Given], Numbers],
    plot: Callable[[Numbers], Figure],
    table: Callable[[Numbers], str] | None,
) -> None:
    module = sys.modules["__main__"]
    name = Path(str(module.__file__)).name
    given = parse(options, prog=f"python analysis/{name}", description=module.__doc__)
    endings = (*PICTURES, ".tex") if table else PICTURES
    require_ending(given.output, endings)
    results = read(given.runs)
    results.trust_model = getattr(given, "trust_model", False)
    try:
        numbers = load(results, given)
        if table is not None and given.output.suffix.lower() == ".tex":
            write_text(given.output, table(numbers))
        else:
            with style.applied():
                save(plot(numbers), given.output)
    finally:
        for problem in results.problems:
            print(f"note: {problem}", file=sys.stderr)


def save(figure: Figure, path: Path) -> None:
    """Write a figure aside and rename it; the same figure is the same file."""
    undated = {".pdf": "CreationDate", ".svg": "Date"}.get(path.suffix.lower())
    with written_aside(path) as aside:
        figure.savefig(aside, metadata={undated: None} if undated else None)
