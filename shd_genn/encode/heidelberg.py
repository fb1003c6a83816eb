"""The Heidelberg Digits' audio (Cramer et al. 2020): its file names and its official lists.

``lang-german_speaker-03_trial-7_digit-4.flac`` is the German *vier* of speaker 3. The published
archive has a folder ``audio`` and the lists ``train_filenames.txt`` and ``test_filenames.txt``.
"""

from __future__ import annotations

import re
from pathlib import Path

WORDS = {
    "english": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "german": ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
}
"""Language → the words of its digits."""
NAME = re.compile(r"lang-(english|german)_speaker-(\d+)_trial-\d+_digit-(\d)\.(?:flac|wav)")
AUDIO = "audio"
"""The archive's folder of recordings, beside the lists."""


def word_and_speaker(name: str) -> tuple[str, str] | None:
    """The word in a recording, and the speaker's number with two digits; None for other names."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    return WORDS[match[1]][int(match[3])], f"{int(match[2]):02}"


def listed(names: Path) -> list[Path]:
    """The recordings that a list names: beside it, or in the folder ``audio`` beside it.

    Args:
        names: A text file with a file name in each line.

    Raises:
        OSError: if the list cannot be read.
        UnicodeDecodeError: if it is no UTF-8.
    """
    lines = (line.strip() for line in names.read_text(encoding="utf-8").splitlines())
    folders = names.parent / AUDIO, names.parent
    return [
        next((folder / line for folder in folders if (folder / line).is_file()), folders[1] / line)
        for line in lines
        if line
    ]
