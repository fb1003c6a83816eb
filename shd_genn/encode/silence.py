"""Recordings of silence: what a microphone hears when nobody speaks, as a class of its own.

A piece of silence is a piece of a recording in the folder ``_background_noise_`` (which Speech
Commands has), or noise with the spectrum of the quietest frames of a recording of a word, or, if no
recording has quiet frames, pink noise. Its level is drawn, because rooms and microphones differ.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from shd_genn.encode.audio import read_audio
from shd_genn.encode.cochlea import RATE
from shd_genn.encode.recordings import READABLE, Recording
from shd_genn.support.errors import DataError, refuse_unless
from shd_genn.support.files import written_aside

SILENCE = "silence"
"""The class's name."""
NOISES = "_background_noise_"
"""Folder of recordings without words."""
LEVELS_DB = (-55.0, -30.0)
"""Root mean square of a piece: drawn from here, in dB of full scale."""
SECONDS = (0.4, 1.0)
"""Length of a piece."""
FRAME = 960
"""Samples of a frame: 20 ms."""
QUIET = 0.1
"""The part of a recording's frames that counts as its background, if they are quiet enough."""
BELOW_DB = 20.0
"""A background is so far below the loudest frame at least."""
LISTENED_S = 20.0
"""Seconds of a recording that are looked at."""
PINK = 1 / np.maximum(np.arange(FRAME // 2 + 1), 1.0)
"""Power spectrum of pink noise, 1/f."""
Audio = NDArray[np.float64]


def silences(
    source: Path, recordings: Sequence[Recording], count: int, folder: Path, seed: int
) -> list[Recording]:
    """Make pieces of silence as sound files; files that are there already stay as they are.

    Args:
        source: Where the recordings are; its folder ``_background_noise_`` is used if it has one.
        recordings: Those of words.
        count: How many pieces.
        folder: Where the files go.
        seed: Of all that is drawn.

    Returns:
        A recording of the word ``silence`` for each piece.

    Raises:
        DataError: if there is such a word already.
    """
    refuse_unless(
        all(r.word != SILENCE for r in recordings),
        f"silence = {count} pieces are to be added, but the recordings have a word {SILENCE}",
        "leave --silence out, or rename the word",
        DataError,
    )
    inside = sorted((source / NOISES).iterdir()) if (source / NOISES).is_dir() else []
    noises = [path for path in inside if path.suffix.lower() in READABLE]
    rng = np.random.default_rng([seed, *b"silence"])
    made: list[Recording] = []
    pink = False
    for number in range(count):
        piece = None if pink else _piece(noises, recordings, rng)
        if piece is None:
            pink = True
            piece = noise_like(PINK, round(float(rng.uniform(*SECONDS)) * RATE), rng)
        path = folder / f"{number:05}.wav"
        _keep(path, _at_level(piece, float(rng.uniform(*LEVELS_DB))))
        made.append(Recording(path, SILENCE))
    if pink:
        print(
            f"note: no recording has a background {BELOW_DB:g} dB below its loudest part, so "
            f"pieces of silence are pink noise; a folder {NOISES} beside the words' would be used",
            file=sys.stderr,
        )
    return made


def _piece(
    noises: Sequence[Path], recordings: Sequence[Recording], rng: np.random.Generator
) -> Audio | None:
    """Background of some length and any level: of a noise, or like that of a recording.

    None if there is no noise, and no recording has a background.
    """
    n = round(float(rng.uniform(*SECONDS)) * RATE)
    if noises:
        sound = read_audio(noises[int(rng.integers(len(noises)))], RATE)
        begin = rng.integers(max(len(sound) - n, 0) + 1)
        if np.ptp(piece := sound[begin : begin + n]) > 0:
            return piece
    for i in rng.permutation(len(recordings)).tolist():
        try:
            spectrum = background(read_audio(recordings[i].path, RATE, LISTENED_S))
        except DataError:  # encode itself says what is wrong with it
            continue
        if spectrum is not None:
            return noise_like(spectrum, n, rng)
    return None


def background(audio: Audio) -> Audio | None:
    """Power spectrum of a recording's quietest frames.

    Args:
        audio: (n_samples,) at 48 kHz.

    Returns:
        (FRAME // 2 + 1,); None if no frame is quiet, but not digital silence.
    """
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.square(frames).mean(axis=1)
    frames, power = frames[power > 0], power[power > 0]
    if not len(power):
        return None
    bound = min(np.quantile(power, QUIET), power.max() / 10 ** (BELOW_DB / 10))
    quiet = frames[power <= bound]
    if not len(quiet):
        return None
    return np.asarray(np.square(np.abs(np.fft.rfft(quiet * np.hanning(FRAME)))).mean(axis=0))


def noise_like(spectrum: Audio, n: int, rng: np.random.Generator) -> Audio:
    """Noise with a power spectrum; its level is any.

    Args:
        spectrum: At even distances from 0 to half the sampling rate.
        n: Number of samples.
        rng: Draws the noise.
    """
    white = np.fft.rfft(rng.normal(size=n))
    places = np.linspace(0, len(spectrum) - 1, len(white))
    shaped = white * np.sqrt(np.interp(places, np.arange(len(spectrum)), spectrum))
    return np.asarray(np.fft.irfft(shaped, n))


def _at_level(piece: Audio, level_db: float) -> Audio:
    moving = piece - piece.mean()
    level = np.sqrt(np.square(moving).mean())
    return np.asarray(np.clip(moving * 10 ** (level_db / 20) / level, -1, 1))


def _keep(path: Path, sound: Audio) -> None:
    """Write a file unless it is there already, so that what was encoded of it stays valid."""
    wav = io.BytesIO()
    soundfile.write(wav, sound, RATE, subtype="PCM_16", format="WAV")
    if path.is_file() and path.read_bytes() == wav.getvalue():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_bytes(wav.getvalue())
