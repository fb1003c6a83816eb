"""Settings as TOML: written, and read with every wrong key and value named."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from shd_genn.config import Config
from shd_genn.config.convert import from_tree, to_tree
from shd_genn.support.errors import ConfigError


def to_toml(config: Config) -> str:
    """The settings as TOML; those that are None are left out."""
    return tomli_w.dumps(_without_none(to_tree(config)))


def from_toml(text: str, source: str | os.PathLike[str] = "the configuration") -> Config:
    """Read settings; what is missing has its default.

    Args:
        text: TOML. A choice is a table (``[train.schedule]`` with ``kind = "step"``), or its kind
            alone (``schedule = "step"``).
        source: Where it comes from, for messages.

    Raises:
        ConfigError: if it is not TOML, has unknown keys, or values of the wrong kind.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not TOML: {error}; correct that line") from error
    return from_tree(tables, Config, str(source))


def load_toml(path: Path) -> Config:
    """Read settings from a file, with or without a byte-order mark; see `from_toml`."""
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); name a TOML file") from error
    return from_toml(text, path)


def _without_none(tables: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in tables.items()
        if value is not None
    }
