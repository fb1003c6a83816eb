"""Labelled recordings on disk, as `python -m shd_genn.encode` reads them."""

from __future__ import annotations

import csv
import io
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

from shd_genn.support.errors import DataError, refuse_unless
from shd_genn.support.files import write_text, written_aside

NAME = re.compile(r"[^\W_][\w -]{0,39}")
"""What words and speakers may be called: they become names of folders and cells of a table."""


@dataclass(frozen=True)
class Takes:
    """A folder with a folder for each word, and ``takes.csv`` that names the speakers.

    Attributes:
        folder: It; made with the first recording.
    """

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def add(self, sound: bytes, word: str, speaker: str = "") -> int:
        """Save a recording.

        Args:
            sound: A WAV file.
            word: The word in it.
            speaker: Who spoke it; "" if that is not known.

        Returns:
            How many recordings the folder holds now.

        Raises:
            DataError: if word or speaker cannot be a name.
            ConfigError: if the file cannot be written.
        """
        for what, name in (("word", word), ("speaker", speaker)):
            refuse_unless(
                bool(NAME.fullmatch(name)) or (what == "speaker" and not name),
                f"a {what} must be letters, digits, spaces, _ and -, 40 at most, but is {name!r}",
                "choose another name",
                DataError,
            )
        with self._lock:
            rows = self._rows()
            number = 1 + len(rows)
            path = self.folder / word / f"{number}.wav"
            while path.exists():
                number += 1
                path = self.folder / word / f"{number}.wav"
            with written_aside(path) as aside:
                aside.write_bytes(sound)
            rows.append([f"{word}/{path.name}", word, speaker])
            text = io.StringIO(newline="")
            csv.writer(text, lineterminator="\n").writerows([["file", "word", "speaker"], *rows])
            write_text(self.folder / "takes.csv", text.getvalue())
        return len(rows)

    def _rows(self) -> list[list[str]]:
        manifest = self.folder / "takes.csv"
        if not manifest.is_file():
            return []
        with manifest.open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))[1:]
