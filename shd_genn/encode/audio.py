"""Reading sound files, and checking them before they are encoded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import ceil, sqrt
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from shd_genn.support.errors import DataError, refuse_unless

BLOCK = 1 << 20
"""Samples that are read at a time when a file is checked."""
SILENT_RANGE = 2 / 2**15
"""A sound whose samples differ by no more than this is silent: two steps of 16 bits, as dither and
rounding have. Scaled to the usual level, it would be loud noise."""
OFFSET_RATIO = 0.1
"""A constant offset larger than this fraction of the level is removed, because it is no sound."""


def read_audio(path: Path, rate: int, longest_s: float | None = None) -> NDArray[np.float64]:
    """A recording as one channel at a given sampling rate.

    Args:
        path: WAV, FLAC, or another format that libsndfile reads.
        rate: Hz; the recording is resampled to it.
        longest_s: Seconds that are read, from the beginning; None: all of it.

    Returns:
        Samples, (n_samples,), without a large constant offset; full scale is 1.

    Raises:
        DataError: if the file cannot be read, is silent, or is not finite.
    """
    try:
        with _opened(path) as file:
            own_rate = file.samplerate
            frames = -1 if longest_s is None else ceil(longest_s * own_rate)
            audio = file.read(frames, dtype="float64", always_2d=True)
    except (OSError, TypeError, soundfile.SoundFileError) as error:  # TypeError: headerless .raw
        raise _unreadable(path, error) from error
    mono: NDArray[np.float64] = audio.mean(axis=1)
    level = _Level()
    level.add(mono)
    level.check(path)
    if level.has_offset:
        mono -= level.mean
    if own_rate == rate:
        return mono
    from scipy.signal import resample_poly  # takes a second

    ratio = Fraction(rate, own_rate)
    resampled: NDArray[np.float64] = resample_poly(mono, ratio.numerator, ratio.denominator)
    return resampled


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a sound file, whatever its name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:  # soundfile encodes names as UTF-8
        with path.open("rb") as stream, soundfile.SoundFile(stream) as file:
            yield file
        return
    with soundfile.SoundFile(path) as file:
        yield file


def _unreadable(path: Path, error: Exception) -> DataError:
    """Why a sound file cannot be read: libsndfile says "System error" where none is."""
    if not path.exists():
        return DataError(f"{path} must be a sound file, but there is none; correct the path")
    if path.is_dir():
        return DataError(f"{path} must be a sound file, but is a folder; give a file in it")
    if not os.access(path, os.R_OK):
        return DataError(
            f"{path} must be a sound file that can be read, but is not; run chmod u+r on it"
        )
    why = getattr(error, "error_string", str(error)).strip().rstrip(".")
    return DataError(f"{path} must be a sound file, but libsndfile says: {why}; convert it to WAV")


def check_audio(path: Path, shortest_s: float, longest_s: float, cut: bool) -> None:
    """Refuse a recording that could not be encoded; reads it piece by piece.

    Args:
        path: The sound file.
        shortest_s: The shortest duration that can be encoded.
        longest_s: The longest one.
        cut: Whether longer recordings are cut later; if so, they are not refused.

    Raises:
        DataError: if the file cannot be read, is too short or too long, silent, or not finite.
    """
    level = _Level()
    try:
        with _opened(path) as file:
            duration_s = file.frames / file.samplerate
            refuse_unless(
                cut or duration_s <= longest_s,
                f"{path} lasts {duration_s:.1f} s, and at most {longest_s:g} s can be encoded",
                "cut it into words, or encode its beginning with --cut-s",
                DataError,
            )
            left = ceil(min(duration_s, longest_s) * file.samplerate)
            while left > 0 and len(block := file.read(min(BLOCK, left), always_2d=True)):
                level.add(block.mean(axis=1))
                left -= len(block)
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise _unreadable(path, error) from error
    refuse_unless(
        duration_s >= shortest_s,
        f"{path}: a recording must last at least {1000 * shortest_s:g} ms, but got "
        f"{1000 * duration_s:.1f} ms",
        "leave it out or join it with silence",
        DataError,
    )
    level.check(path)


class _Level:
    """Mean, level and range of a sound that is added piece by piece."""

    def __init__(self) -> None:
        self._n, self._sum, self._squares = 0, 0.0, 0.0
        self._low, self._high = np.inf, -np.inf

    def add(self, mono: NDArray[np.float64]) -> None:
        """Add a piece."""
        if len(mono):
            self._n += len(mono)
            with np.errstate(invalid="ignore", over="ignore"):  # `check` refuses what is infinite
                self._sum += float(mono.sum())
                self._squares += float(np.square(mono).sum())
            self._low = min(self._low, float(mono.min()))  # NaN stays NaN
            self._high = max(self._high, float(mono.max()))
            if np.isnan(mono).any():
                self._low = np.nan

    @property
    def mean(self) -> float:
        """The mean of all samples."""
        return self._sum / self._n

    @property
    def has_offset(self) -> bool:
        """Whether the constant offset is a large part of the level."""
        return abs(self.mean) > OFFSET_RATIO * sqrt(self._squares / self._n)

    def check(self, path: Path) -> None:
        """Refuse an empty or silent sound.

        Raises:
            DataError: if the sound has no samples, is silent or is not finite.
        """
        refuse_unless(self._n > 0, f"{path} holds no samples", "leave it out", DataError)
        refuse_unless(
            bool(np.isfinite([self._low, self._high]).all()),
            f"{path} must be finite, but has NaN or infinite samples",
            "record it again",
            DataError,
        )
        refuse_unless(
            self._low < self._high,
            f"{path} must not be silent, but all its samples are {self._high:g}",
            "leave it out",
            DataError,
        )
        refuse_unless(
            self._high - self._low > SILENT_RANGE,
            f"{path} must not be silent, but its samples differ by {self._high - self._low:.1g} "
            "of full scale at most, as those of rounded silence, or of two channels that cancel",
            "leave it out, or keep one channel",
            DataError,
        )
