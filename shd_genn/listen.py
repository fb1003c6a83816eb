"""`python -m shd_genn.listen RUN SOUND …`: find out what word is in each of some recordings."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from shd_genn.backends.choice import BackendOption
from shd_genn.encode.recordings import READABLE
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import DataError, refuse_unless
from shd_genn.support.files import PICTURES, require_ending, require_file, write_text
from shd_genn.support.paths import readable_name
from shd_genn.support.pictures import save_picture
from shd_genn.support.progress import progress
from shd_genn.train import notes
from shd_genn.train.answer_figure import plot
from shd_genn.train.inference import Answer, listen_to_all


@dataclass(frozen=True)
class Options:
    """Find out what word is in a recording, or in each of many."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The folder of a run."""
    sounds: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOUND")]
    """Sound files (WAV, FLAC, MP3, OGG …) with one word in each, or folders of them."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """For one sound a picture of it, of the spikes and of the output voltages: .png, .pdf or .svg.
    For any number of them a table: .csv."""
    seed: int = 0
    """Of the cochlea's nerve fibres."""
    backend: BackendOption | None = None
    """What computes; by default the backend that trained the run."""
    trust_model: bool = False
    """Execute the run's model.py although it was not used on this machine before."""


def main() -> None:
    """Listen as the command line says."""
    options = parse(Options, prog="python -m shd_genn.listen")
    sounds = find_sounds(options.sounds)
    if options.output is not None:
        require_ending(options.output, (".csv",) if len(sounds) > 1 else (*PICTURES, ".csv"))
        require_file(options.output)
    answers = listen_to_all(
        RunFolder.open(options.run),
        sounds,
        seed=options.seed,
        backend=options.backend,
        trust_model=options.trust_model,
    )
    if len(sounds) == 1:
        _show(next(answers), sounds[0], options.output)
    else:
        _list(zip(sounds, answers, strict=True), len(sounds), options.output)


def find_sounds(paths: Sequence[Path]) -> list[Path]:
    """Sound files, and those in folders, whose hidden files are left out.

    Args:
        paths: Files and folders.

    Raises:
        DataError: if there is none.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else []
        sounds = [p for p in inside if p.suffix.lower() in READABLE and p.name[0] != "."]
        refuse_unless(
            bool(sounds) or not path.is_dir(),
            f"there is no sound file in {path}",
            "give another folder",
            DataError,
        )
        found += sounds or [path]
    refuse_unless(
        bool(found), "there is no sound to listen to", "give a sound file or a folder", DataError
    )
    return found


def _show(answer: Answer, sound: Path, output: Path | None) -> None:
    """The most probable words of one sound, and its picture or table."""
    if output is not None:  # before anything is printed, which may fail in a pipe
        if output.suffix.lower() == ".csv":
            write_text(output, _csv([_row(sound, answer)]))
        else:
            save_picture(output, lambda: plot(answer, sound.name))
    notes.show(answer.notes)
    for word, probability in answer.ranking():
        print(f"{word:12} {probability:6.1%}")


def _list(answers: Iterable[tuple[Path, Answer]], n: int, output: Path | None) -> None:
    """A line for each sound, and all of them as a table."""
    rows = []
    with progress("Listening", n, "sounds") as advance:
        for sound, answer in answers:
            rows.append(_row(sound, answer))
            notes.show([f"{sound}: {note}" for note in answer.notes])
            advance()
    if output is not None:
        write_text(output, _csv(rows))
    for name, word, probability in rows:
        print(f"{word:12} {probability:6.1%}  {readable_name(name)}")


def _row(sound: Path, answer: Answer) -> tuple[str, str, float]:
    ((word, probability),) = answer.ranking(1)
    return str(sound), word, probability


def _csv(rows: Sequence[tuple[str, str, float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "word", "probability"))
    writer.writerows((readable_name(name), *others) for name, *others in rows)
    return text.getvalue()


if __name__ == "__main__":
    command(main)
