"""Labelled recordings on disk: in a folder with a folder for each word, or listed in a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shd_genn.encode import heidelberg
from shd_genn.support.errors import DataError, refuse_unless
from shd_genn.support.paths import readable_name, user_path

READABLE = frozenset(
    (
        *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"),
        *(".au", ".snd", ".caf", ".w64", ".rf64", ".nist", ".sph", ".voc", ".sf"),
    )
)
"""Endings of sound files that libsndfile reads."""
OTHER_SOUNDS = frozenset(
    (
        *(".m4a", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".webm", ".mka", ".mkv", ".mov"),
        *(".ac3", ".dts", ".ape", ".wv", ".raw", ".pcm"),
    )
)
"""Endings of sound files that libsndfile does not read."""
NO_WORDS = frozenset(
    ["__MACOSX", "_background_noise_", "System Volume Information", "$RECYCLE.BIN", "lost+found"]
)
"""Folders of systems and datasets that hold no words. Hidden folders hold none either."""
MOST_NAMED = 20
"""Largest number of files that a message names."""


@dataclass(frozen=True)
class Recording:
    """A sound file, the word in it, and who spoke it ("" if that is not known)."""

    path: Path
    word: str
    speaker: str = ""


@dataclass(frozen=True)
class Found:
    """The recordings of a folder or a manifest.

    Attributes:
        recordings: The recordings in the order in which they are encoded.
        notes: Sentences about files that were left out.
        bad: File that should be a recording but cannot be used → the reason.
    """

    recordings: list[Recording]
    notes: list[str]
    bad: dict[Path, str]


def find_recordings(source: Path) -> Found:
    """The recordings of a folder with a folder for each word, of a CSV manifest, or of a list.

    A manifest has the columns ``file`` (relative to the manifest), ``word`` and optionally
    ``speaker``. A list has names of the Heidelberg Digits' recordings, a line each; a folder may
    hold such recordings, too.

    Args:
        source: The folder, the CSV file or the list.

    Raises:
        DataError: if there are no recordings, or the manifest has errors.
    """
    if source.is_dir():
        return _search(source)
    if source.suffix.lower() == ".csv" and source.is_file():
        return _read_manifest(source)
    if source.suffix.lower() == ".txt" and source.is_file():
        return _read_list(source)
    raise DataError(
        f"{source} must be a folder, a CSV file or a list, but is none; correct the path"
    )


def _read_list(names: Path) -> Found:
    """The recordings of an official list of the Heidelberg Digits; see `heidelberg`."""
    try:
        paths = heidelberg.listed(names)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{names} cannot be read: {error}; restore the file") from error
    recordings: list[Recording] = []
    bad: dict[Path, str] = {}
    for path in paths:
        known = heidelberg.word_and_speaker(path.name)
        if known is None:
            bad[path] = (
                f"{names} must name files like lang-german_speaker-03_trial-7_digit-4.flac, but "
                f"has {readable_name(path.name)}; give other recordings as a folder or a CSV file"
            )
        elif not path.is_file():
            bad[path] = (
                f"{path.name} must be beside {names} or in {heidelberg.AUDIO}/ there, but is not; "
                "unpack the archive there"
            )
        else:
            recordings.append(Recording(path, *known))
    refuse_unless(
        bool(paths), f"{names} must list recordings, but has no names", "add some", DataError
    )
    return Found(recordings, [], bad)


def _search(source: Path) -> Found:
    recordings: list[Recording] = []
    bad: dict[Path, str] = {}
    skipped: list[Path] = []
    empty: list[Path] = []
    other: list[Path] = []
    deeper: list[Path] = []
    visible = _visible(source, skipped)
    named = {path: heidelberg.word_and_speaker(path.name) for path in visible if path.is_file()}
    if digits := [Recording(path, *known) for path, known in named.items() if known]:
        left = len(visible) - len(digits)
        notes = [f"{left} other files and folders are left out"] if left else []
        return Found(digits, notes, {})
    top = [path for path in visible if path.is_file() and _is_sound(path)]
    for folder in (path for path in visible if path.is_dir()):
        n_before = len(recordings) + len(bad)
        for path in _visible(folder, skipped):
            suffix = path.suffix.lower()
            if path.is_dir():
                deeper += [p for p in sorted(path.rglob("*")) if p.is_file() and _is_sound(p)]
            elif suffix in READABLE:
                recordings.append(Recording(path, readable_name(folder.name)))
            elif suffix in OTHER_SOUNDS:
                bad[path] = _why_not(path)
            else:
                other.append(path)
        if len(recordings) + len(bad) == n_before:
            empty.append(folder)
    notes = [
        f"{len(paths)} {one if len(paths) == 1 else many} left out: {_listed(paths, source)}"
        for one, many, paths in (
            ("hidden or system file is", "hidden or system files are", skipped),
            ("file that is no recording is", "files that are no recordings are", other),
            ("folder without recordings is", "folders without recordings are", empty),
            ("recording outside a word's folder is", "recordings outside words' folders are", top),
            (
                "recording in a folder of a word's folder is",
                "recordings in folders of a word's folder are",
                deeper,
            ),
        )
        if paths
    ]
    refuse_unless(
        bool(recordings or bad),
        f"{source} must hold a folder a word with WAV or FLAC files in it, but has none"
        + "".join(f" ({note})" for note in notes),
        "for another layout give a CSV file with columns file,word,speaker",
        DataError,
    )
    return Found(recordings, notes, bad)


def _visible(folder: Path, skipped: list[Path]) -> list[Path]:
    """A folder's files and folders, sorted, without hidden ones and `NO_WORDS`."""
    paths = sorted(folder.iterdir())
    skipped += [p for p in paths if p.name.startswith(".") or p.name in NO_WORDS]
    return [p for p in paths if not (p.name.startswith(".") or p.name in NO_WORDS)]


def _is_sound(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return not hidden and path.suffix.lower() in READABLE | OTHER_SOUNDS


def _why_not(path: Path) -> str:
    return (
        f"{path.suffix} files cannot be read; convert it, e.g. with "
        f"ffmpeg -i {readable_name(path.name)} {readable_name(path.stem)}.wav"
    )


def _listed(paths: list[Path], source: Path) -> str:
    names = [readable_name(str(path.relative_to(source))) for path in paths[:5]]
    return ", ".join(names) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")


def _read_manifest(manifest: Path) -> Found:
    try:
        rows = list(_rows(manifest))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{manifest} must be a CSV file in UTF-8, but {error}; save it as such"
        ) from error
    recordings: list[Recording] = []
    bad: dict[Path, str] = {}
    for line, row in rows:
        where = f"{manifest}, line {line}"
        path = _find_file(manifest, row["file"])
        refuse_unless(
            bool(row["word"]),
            f"{where}: every recording must have a word, but {path} has none",
            "add it, or leave the line out",
            DataError,
        )
        if path.suffix.lower() in OTHER_SOUNDS:
            bad[path] = _why_not(path)
        elif not path.is_file():
            bad[path] = f"{where}: {path} must be a sound file, but there is none"
        else:
            recordings.append(Recording(path, row["word"], row.get("speaker", "")))
    refuse_unless(
        bool(rows), f"{manifest} must list recordings, but has no rows", "add some", DataError
    )
    return Found(recordings, [], bad)


def _rows(manifest: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and cells of each line of a manifest that is not blank."""
    # spreadsheets write a byte order mark first
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        file.seek(0)
        # where people write 0,5 for a half, spreadsheets separate columns by semicolons
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(file, delimiter=delimiter)
        columns = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in ("file", "word") if name not in columns]
        refuse_unless(
            not missing,
            f"{manifest} must have columns file,word,speaker, but has {','.join(columns)}",
            f"add {' and '.join(missing)}",
            DataError,
        )
        for cells in reader:
            stripped = [readable_name(cell.strip()) for cell in cells]
            if any(stripped):
                padded = stripped + [""] * (len(columns) - len(stripped))
                yield reader.line_num, dict(zip(columns, padded, strict=False))


def _find_file(manifest: Path, name: str) -> Path:
    """The file that a manifest names; backslashes of Windows are understood."""
    path = manifest.parent / user_path(name)
    if not path.is_file() and "\\" in name:
        return manifest.parent / name.replace("\\", "/")
    return path
