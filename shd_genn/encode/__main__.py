"""`python -m shd_genn.encode RECORDINGS -o FILE.h5`: recordings → spikes in SHD's layout."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from shd_genn.encode.audio import Recording, find_recordings, read_audio
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.encoder import Encoder, encode_many
from shd_genn.encode.mel import LatencyCode, MelSpectrogram, RateCode
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import DataError, require
from shd_genn.support.progress import progress
from shd_genn.support.version import __version__


@dataclass(frozen=True)
class Options:
    """Encode labelled recordings as spikes of a cochlea, as SHD was, or of a mel spectrogram."""

    recordings: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RECORDINGS")]
    """A folder that holds a folder a word, or a CSV file with columns file,word,speaker. WAV or
    FLAC, any sampling rate."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The HDF5 file to write, in SHD's layout."""
    code: Literal["cochlea", "rate", "latency"] = "cochlea"
    """cochlea, with 700 channels; rate: Poisson spikes, the more the stronger a mel band; latency:
    one spike a band and frame, the earlier the stronger."""
    seed: int = 0
    """Of the randomness of nerve fibres, or of the rate code."""
    workers: int = 0
    """Recordings to work on at a time; 0: as many as there are cores. Results do not depend on
    it."""
    rms: float = field(default=Cochlea.rms)
    """Cochlea: level that every recording is brought to (full scale is 1)."""
    ramp_ms: float = field(default=Cochlea.ramp_ms)
    """Cochlea: Hann ramps at both ends, in ms."""
    channels: int = field(default=MelSpectrogram.n_channels)
    """Mel bands of the rate and latency codes."""
    highest_rate_hz: float = field(default=RateCode.highest_rate_hz)
    """Rate code: rate of the strongest band."""
    frame_ms: float = field(default=LatencyCode.frame_ms)
    """Latency code: time, in ms, in which each band spikes once."""


def encoder_of(options: Options) -> Encoder:
    """The encoder that the options name."""
    if options.code == "cochlea":
        return Cochlea(rms=options.rms, ramp_ms=options.ramp_ms)
    spectrogram = MelSpectrogram(n_channels=options.channels)
    if options.code == "rate":
        return RateCode(spectrogram, options.highest_rate_hz)
    return LatencyCode(spectrogram, options.frame_ms)


def main() -> None:
    """Encode as the command line says."""
    options = parse(Options, prog="python -m shd_genn.encode")
    require(options.seed >= 0, "0 <= seed", options.seed, "give another one")
    require(options.workers >= 0, "0 <= workers", options.workers, "0: as many as there are cores")
    recordings = find_recordings(options.recordings)
    encoder = encoder_of(options)
    if options.output.is_dir():
        raise DataError(f"{options.output} must be a file to write, but is a folder; add a name")
    dataset = encode_recordings(
        recordings, encoder, options.seed, options.workers, options.output.stem
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


def encode_recordings(
    recordings: list[Recording], encoder: Encoder, seed: int, n_workers: int, name: str
) -> SpikeDataset:
    """Encode recordings into a dataset; classes and speakers are numbered in sorted order.

    Raises:
        DataError: if a recording cannot be used; the message names it.
    """

    def read(recording: Recording) -> np.ndarray:
        audio = read_audio(recording.path, RATE)
        try:
            encoder.condition(audio)
        except DataError as error:
            raise DataError(f"{recording.path}: {error}") from error
        return audio

    words = sorted({r.word for r in recordings})
    speakers = sorted({r.speaker for r in recordings} - {""})
    seeds = np.random.SeedSequence(seed).generate_state(len(recordings)).tolist()
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
