"""JSON files that hold a dataclass: written, and read with what is wrong in them named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from shd_genn.support.errors import DataError
from shd_genn.support.files import write_text

Content = TypeVar("Content")


def plain(content: object) -> dict[str, Any]:
    """A dataclass as dicts, lists, numbers and strings; what is None is left out."""
    values: dict[str, Any] = _without_none(msgspec.to_builtins(content))
    return values


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON file that holds an object; None if the file does not exist.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; restore the file") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no JSON object; restore the file")
    return content


def convert(path: Path, content: dict[str, Any], kind: type[Content]) -> Content:
    """The content of a JSON file as a dataclass.

    Raises:
        DataError: if a key is missing or has a value of the wrong type.
    """
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        problem = str(error).replace("$.", "").replace("`", "")
        raise DataError(f"{path} is damaged: {problem}; restore the file") from error
