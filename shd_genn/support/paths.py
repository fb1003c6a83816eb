"""Paths and names as users write them, brought to one form where they come in."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def user_path(text: str | os.PathLike[str]) -> Path:
    """A path of the command line or of a file, with ``~`` as the user's home.

    Args:
        text: The path as it was written.
    """
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:  # ~name of no user: a folder may have such a name
        return path


def readable_name(name: str) -> str:
    """A file's name as text that can be printed and written.

    The same name has one form: accents are composed (macOS decomposes them). A name that is not
    UTF-8 is read as Latin-1, byte by byte.

    Args:
        name: A name as Python reads it, perhaps with lone surrogates.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        name = os.fsencode(name).decode("latin-1")
    return unicodedata.normalize("NFC", name)
