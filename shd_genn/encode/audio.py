"""Labelled recordings on disk, and reading them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from shd_genn.support.errors import DataError

SUFFIXES = (".wav", ".flac")


@dataclass(frozen=True)
class Recording:
    """A sound file, the word in it, and who spoke it ("" if that is not known)."""

    path: Path
    word: str
    speaker: str = ""


def find_recordings(source: Path) -> list[Recording]:
    """The recordings of a folder with a folder a word, or of a CSV manifest.

    A manifest has columns ``file`` (relative to the manifest), ``word`` and, if known, ``speaker``.

    Raises:
        DataError: if there are none, or the manifest is wrong.
    """
    if source.is_dir():
        found = [
            Recording(path, path.parent.name)
            for path in sorted(source.glob("*/*"))
            if path.suffix.lower() in SUFFIXES
        ]
        if not found:
            raise DataError(
                f"{source} must hold a folder a word with WAV or FLAC files in it, but has none; "
                "for another layout give a CSV file with columns file,word,speaker"
            )
        return found
    if source.suffix.lower() == ".csv" and source.is_file():
        return _read_manifest(source)
    raise DataError(f"{source} must be a folder or a CSV file, but is neither; correct the path")


def _read_manifest(manifest: Path) -> list[Recording]:
    try:
        return _read_rows(manifest)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{manifest} must be a CSV file in UTF-8, but {error}; save it as such"
        ) from error


def _read_rows(manifest: Path) -> list[Recording]:
    with manifest.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark first
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        missing = [name for name in ("file", "word") if name not in columns]
        if missing:
            raise DataError(
                f"{manifest} must have columns file,word,speaker, but has {','.join(columns)}; "
                f"add {' and '.join(missing)}"
            )
        recordings = []
        for row in reader:
            path = manifest.parent / (row["file"] or "")
            where = f"{manifest}, line {reader.line_num}"
            if not path.is_file():
                raise DataError(f"{where}: {path} must be a sound file, but there is none")
            if not row["word"]:
                raise DataError(f"{where}: every recording must have a word, but {path} has none")
            recordings.append(Recording(path, row["word"], row.get("speaker") or ""))
    if not recordings:
        raise DataError(f"{manifest} must list recordings, but has no rows; add some")
    return recordings


def read_audio(path: Path, rate: int) -> NDArray[np.float64]:
    """A recording as one channel at a given sampling rate.

    Args:
        path: WAV, FLAC, or whatever else libsndfile reads.
        rate: Hz; the recording is resampled to it.

    Returns:
        (n_samples,), full scale is 1.

    Raises:
        DataError: if the file cannot be read, is silent, or is not finite.
    """
    try:
        audio, own_rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (OSError, TypeError, soundfile.SoundFileError) as error:  # TypeError: headerless .raw
        raise DataError(f"{path} must be a sound file, but {error}; convert it to WAV") from error
    mono: NDArray[np.float64] = audio.mean(axis=1)
    if not np.isfinite(mono).all():
        raise DataError(f"{path} must be finite, but has NaN or infinite samples; record it again")
    if not mono.any():
        raise DataError(f"{path} must not be silent, but all its samples are 0; leave it out")
    if own_rate == rate:
        return mono
    from scipy.signal import resample_poly  # takes a second

    common = gcd(own_rate, rate)
    resampled: NDArray[np.float64] = resample_poly(mono, rate // common, own_rate // common)
    return resampled
