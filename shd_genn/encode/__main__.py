"""`python -m shd_genn.encode RECORDINGS -o FILE.h5`: recordings → spikes in SHD's layout."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from shd_genn.encode.audio import check_audio
from shd_genn.encode.cluster import on_cluster
from shd_genn.encode.corpus import Corpus, Encoding, encoded, on_threads
from shd_genn.encode.encoder import Encoder
from shd_genn.encode.options import EncoderOptions
from shd_genn.encode.recordings import MOST_NAMED, Found, Recording, find_recordings
from shd_genn.encode.silence import silences
from shd_genn.encode.variants import Variation, Varied
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import DataError, refuse_unless, require
from shd_genn.support.files import require_file
from shd_genn.support.machine import available_cores
from shd_genn.support.progress import progress
from shd_genn.support.version import __version__


@dataclass(frozen=True)
class Options:
    """Encode labelled recordings as spikes of a cochlea, as SHD was, or of a mel spectrogram.

    The same command goes on after an interruption, to the same file.
    """

    recordings: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RECORDINGS")]
    """A folder that holds a folder for each word, a CSV file with columns file,word,speaker, or a
    list of the Heidelberg Digits (train_filenames.txt) beside their folder audio.
    WAV, FLAC, MP3, OGG, AIFF and what else libsndfile reads, at any sampling rate."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The HDF5 file to write, in SHD's layout."""
    variants: int = 0
    """Versions of each recording that are encoded, too: as another speaker in another room might
    have said it. Version 1 of words.h5 goes into words.variant1.h5."""
    variation: Variation = field(default_factory=Variation)
    seed: int = 0
    """Seed of all random numbers: those of the nerve fibres, or of the rate code."""
    workers: int = 0
    """Number of recordings that are encoded at the same time; 0: the number of cores. It does not
    change the spikes."""
    silence: int = 0
    """Pieces of silence that are added as a word of its own, silence: background of the recordings,
    and of the folder _background_noise_ if there is one. train.silence beside train.h5 holds
    them as sound files."""
    skip_bad: bool = False
    """Leave out recordings that cannot be used, instead of refusing them all."""
    cut_s: float | None = None
    """Encode only this many seconds from the beginning of a longer recording. By default,
    recordings longer than 600 s are refused."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers encode, e.g. tcp://head:8786. They read the
    recordings under the same paths."""
    encoder: EncoderOptions = field(default_factory=EncoderOptions)


def main() -> None:
    """Run the command."""
    options = parse(Options, prog="python -m shd_genn.encode")
    require(options.seed >= 0, "0 <= seed", options.seed, "use another seed")
    require(options.workers >= 0, "0 <= workers", options.workers, "0 means the number of cores")
    cut_s = options.cut_s
    require(cut_s is None or 0 < cut_s < math.inf, "0 < cut_s < inf", cut_s, "1 s is usual")
    require(0 <= options.variants, "0 <= variants", options.variants, "0 means none")
    require(0 <= options.silence, "0 <= silence", options.silence, "0 means none")
    refuse_unless(
        not options.variants or options.dask is None,
        f"variants = {options.variants} are made on this machine, but dask = {options.dask} is set",
        "leave one of them out",
    )
    encoder = options.encoder.make()
    outputs: dict[Path, Encoder] = {options.output: encoder}
    for number in range(1, options.variants + 1):
        path = options.output.with_suffix(f".variant{number}{options.output.suffix}")
        outputs[path] = Varied(encoder, options.variation, number)
    for path in outputs:
        require_file(path)
    found = find_recordings(options.recordings)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    if options.silence:
        pieces = options.output.with_suffix(".silence")
        found = replace(
            found,
            recordings=[
                *found.recordings,
                *silences(
                    options.recordings, found.recordings, options.silence, pieces, options.seed
                ),
            ],
        )
    good = check_recordings(found, outputs[path], options)  # versions need the most
    encoding = on_threads(options.workers)
    if options.dask is not None:
        encoding = on_cluster(options.dask, options.encoder)
    for path, one in outputs.items():
        corpus = Corpus.of(found.recordings, one, options.seed, cut_s, good)
        _write(corpus, path, encoding, repr(one), options.seed)


def _write(corpus: Corpus, path: Path, encoding: Encoding, encoder: str, seed: int) -> None:
    """Encode recordings into a file, and print what is in it."""
    made_by = {"made_by": f"shd_genn {__version__}", "encoder": encoder, "seed": str(seed)}
    with encoded(corpus, path, encoding) as dataset:
        write_spikes(path, dataset, made_by)
        print(
            f"{path}: {len(dataset)} recordings of {dataset.n_classes} words by "
            f"{max(len(dataset.speaker_names), 1)} speakers, "
            f"{dataset.events.counts.mean():.0f} spikes each"
        )


def check_recordings(found: Found, encoder: Encoder, options: Options) -> list[bool]:
    """Check all recordings before the first one is encoded.

    Args:
        found: The recordings, and the files that cannot be read.
        encoder: The encoder.
        options: They say whether bad recordings are left out and long ones cut.

    Returns:
        Whether each recording can be used.

    Raises:
        DataError: if a recording cannot be used and bad ones are not left out; the message names
            all bad recordings.
    """
    bad = dict(found.bad)
    longest_s = encoder.longest_s if options.cut_s is None else options.cut_s

    def check(recording: Recording) -> str:
        try:
            check_audio(
                recording.path, encoder.shortest_s, longest_s, cut=options.cut_s is not None
            )
        except DataError as error:
            return str(error)
        return ""

    with (
        ThreadPoolExecutor(options.workers or available_cores()) as pool,
        progress("Checking", len(found.recordings), "recordings") as advance,
    ):
        for recording, problem in zip(
            found.recordings, pool.map(check, found.recordings), strict=True
        ):
            if problem:
                bad[recording.path] = problem
            advance()
    lines = list(bad.values())
    more = [f"and {len(lines) - MOST_NAMED} more"] if len(lines) > MOST_NAMED else []
    text = "\n  ".join([*lines[:MOST_NAMED], *more])
    if bad and options.skip_bad:
        print(f"note: {len(bad)} bad recordings are left out:\n  {text}", file=sys.stderr)
    elif len(bad) == 1:
        raise DataError(lines[0])
    elif bad:
        raise DataError(
            f"{len(bad)} recordings cannot be used; correct them, or leave them out with "
            f"--skip-bad:\n  {text}"
        )
    good = [recording.path not in bad for recording in found.recordings]
    refuse_unless(
        any(good),
        f"{options.recordings} has no recording that can be used",
        "add some",
        DataError,
    )
    return good


if __name__ == "__main__":
    command(main)
