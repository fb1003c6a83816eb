"""`python -m shd_genn.listen RUN sound.wav`: find out what word is in a recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from shd_genn.backends.choice import BackendOption
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.cli import command, parse
from shd_genn.support.files import require_ending, require_file, written_aside
from shd_genn.train import notes
from shd_genn.train.answer_figure import plot
from shd_genn.train.inference import listen_to


@dataclass(frozen=True)
class Options:
    """Find out what word is in a recording."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The folder of a run."""
    sound: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOUND")]
    """A WAV or FLAC file with one word in it."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A picture to make of sound, spikes and output voltages: .png, .pdf or .svg."""
    seed: int = 0
    """Of the cochlea's nerve fibres."""
    backend: BackendOption | None = None
    """What computes; by default the backend that trained the run."""
    trust_model: bool = False
    """Execute the run's model.py although it was not used on this machine before."""


def main() -> None:
    """Listen as the command line says."""
    options = parse(Options, prog="python -m shd_genn.listen")
    if options.output is not None:
        require_ending(options.output)
        require_file(options.output)
    answer = listen_to(
        RunFolder.open(options.run),
        options.sound,
        seed=options.seed,
        backend=options.backend,
        trust_model=options.trust_model,
    )
    if options.output is not None:  # before anything is printed, which may fail in a pipe
        with written_aside(options.output) as aside:
            plot(answer, options.sound.name).savefig(aside, dpi=150)
    notes.show(answer.notes)
    for word, probability in answer.ranking():
        print(f"{word:12} {probability:6.1%}")


if __name__ == "__main__":
    command(main)
