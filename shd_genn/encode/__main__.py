"""`python -m shd_genn.encode RECORDINGS -o FILE.h5`: recordings → spikes in SHD's layout."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from shd_genn.encode.audio import check_audio, read_audio
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.encoder import Encoder, encode_many
from shd_genn.encode.mel import LatencyCode, MelSpectrogram, RateCode
from shd_genn.encode.recordings import MOST_NAMED, Found, Recording, find_recordings
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import DataError, refuse_unless, require
from shd_genn.support.files import require_file
from shd_genn.support.machine import available_cores
from shd_genn.support.progress import progress
from shd_genn.support.version import __version__


@dataclass(frozen=True)
class Options:
    """Encode labelled recordings as spikes of a cochlea, as SHD was, or of a mel spectrogram."""

    recordings: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RECORDINGS")]
    """A folder that holds a folder for each word, or a CSV file with columns file,word,speaker.
    WAV, FLAC, MP3, OGG, AIFF and what else libsndfile reads, at any sampling rate."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The HDF5 file to write, in SHD's layout."""
    code: Literal["cochlea", "rate", "latency"] = "cochlea"
    """cochlea: the model that made SHD, with 700 channels; rate: Poisson spikes, whose rate grows
    with the power of a mel band; latency: one spike in each band and frame, which comes earlier if
    the band is stronger."""
    seed: int = 0
    """Seed of all random numbers: those of the nerve fibres, or of the rate code."""
    workers: int = 0
    """Number of recordings that are encoded at the same time; 0: the number of cores. It does not
    change the spikes."""
    skip_bad: bool = False
    """Leave out recordings that cannot be used, instead of refusing them all."""
    cut_s: float | None = None
    """Encode only this many seconds from the beginning of a longer recording. By default,
    recordings longer than 10 s (600 s for rate and latency) are refused."""
    rms: float = field(default=Cochlea.rms)
    """Cochlea: level to which every recording is scaled (full scale is 1)."""
    ramp_ms: float = field(default=Cochlea.ramp_ms)
    """Cochlea: length of the Hann ramps at both ends, in ms."""
    channels: int = field(default=MelSpectrogram.n_channels)
    """Mel bands of the rate and latency codes."""
    highest_rate_hz: float = field(default=RateCode.highest_rate_hz)
    """Rate code: rate of the strongest band in Hz."""
    frame_ms: float = field(default=LatencyCode.frame_ms)
    """Latency code: length of a frame in ms; each band spikes once in it."""


def encoder_of(options: Options) -> Encoder:
    """The encoder that the options select."""
    if options.code == "cochlea":
        return Cochlea(rms=options.rms, ramp_ms=options.ramp_ms)
    spectrogram = MelSpectrogram(n_channels=options.channels)
    if options.code == "rate":
        return RateCode(spectrogram, options.highest_rate_hz)
    return LatencyCode(spectrogram, options.frame_ms)


def main() -> None:
    """Run the command."""
    options = parse(Options, prog="python -m shd_genn.encode")
    require(options.seed >= 0, "0 <= seed", options.seed, "use another seed")
    require(options.workers >= 0, "0 <= workers", options.workers, "0 means the number of cores")
    cut_s = options.cut_s
    require(cut_s is None or 0 < cut_s < math.inf, "0 < cut_s < inf", cut_s, "1 s is usual")
    encoder = encoder_of(options)
    require_file(options.output)
    found = find_recordings(options.recordings)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    good = check_recordings(found, encoder, options)
    dataset = encode_recordings(
        found.recordings, encoder, options.seed, options.workers, options.output.stem, cut_s, good
    )
    made_by = {
        "made_by": f"shd_genn {__version__}",
        "encoder": repr(encoder),
        "seed": str(options.seed),
    }
    write_spikes(options.output, dataset, made_by)
    print(
        f"{options.output}: {len(dataset)} recordings of {dataset.n_classes} words by "
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


def encode_recordings(
    recordings: list[Recording],
    encoder: Encoder,
    seed: int,
    n_workers: int,
    name: str,
    cut_s: float | None = None,
    good: list[bool] | None = None,
) -> SpikeDataset:
    """Encode recordings into a dataset; classes and speakers are numbered in sorted order.

    Args:
        recordings: The recordings.
        encoder: The encoder.
        seed: Seed from which each recording gets a seed of its own.
        n_workers: Number of threads; 0: the number of cores.
        name: The dataset's name.
        cut_s: Seconds of each recording that are encoded; None: all of it.
        good: Whether each recording is encoded; None: all are.

    Raises:
        DataError: if a recording cannot be used; the message names it.
    """

    def read(recording: Recording) -> np.ndarray:
        audio = read_audio(recording.path, RATE, cut_s)
        try:
            encoder.condition(audio)
        except DataError as error:
            raise DataError(f"{recording.path}: {error}") from error
        return audio

    all_seeds = np.random.SeedSequence(seed).generate_state(len(recordings)).tolist()
    kept = [i for i in range(len(recordings)) if good is None or good[i]]
    recordings, seeds = [recordings[i] for i in kept], [all_seeds[i] for i in kept]
    words = sorted({r.word for r in recordings})
    speakers = sorted({r.speaker for r in recordings} - {""})
    sources = [lambda r=r: read(r) for r in recordings]
    samples = []
    with progress("Encoding", len(recordings), "recordings") as advance:
        for spikes in encode_many(encoder, sources, seeds, n_workers):
            samples.append(spikes)
            advance()
    return SpikeDataset(
        name=name,
        events=Events.of(samples),
        labels=np.array([words.index(r.word) for r in recordings], np.int32),
        speakers=np.array(
            [speakers.index(r.speaker) if r.speaker else -1 for r in recordings], np.int32
        ),
        n_channels=encoder.n_channels,
        code=encoder.code,
        class_names=tuple(words),
        speaker_names=tuple(speakers),
    )


if __name__ == "__main__":
    command(main)
