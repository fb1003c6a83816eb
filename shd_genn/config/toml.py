"""Settings as TOML: written, and read with every wrong key and value named."""

from __future__ import annotations

import os
import tomllib
import types
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tomli_w

from shd_genn.config import Config
from shd_genn.support.errors import ConfigError


def to_toml(config: Config) -> str:
    """The settings as TOML; those that are None are left out."""
    return tomli_w.dumps(_plain(asdict(config)))


def from_toml(text: str, source: str | os.PathLike[str] = "the configuration") -> Config:
    """Read settings; what is not given has its default.

    Args:
        text: TOML.
        source: Where it comes from, for messages.

    Raises:
        ConfigError: if it is not TOML, has an unknown key, or a value of the wrong kind.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} must be TOML, but {error}; correct that line") from error
    config = _build(Config, tables, str(source), ())
    assert isinstance(config, Config)
    return config


def load_toml(path: Path) -> Config:
    """Read settings from a file; see `from_toml`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); name a TOML file") from error
    return from_toml(text, path)


def _plain(tables: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _plain(value) if isinstance(value, dict) else value
        for key, value in tables.items()
        if value is not None
    }


def _build(kind: type[Any], table: dict[str, Any], source: str, where: tuple[str, ...]) -> Any:
    hints = get_type_hints(kind)
    unknown = sorted(set(table) - {f.name for f in fields(kind)})
    if unknown:
        raise ConfigError(
            f"{source}: unknown key {'.'.join((*where, unknown[0]))}; "
            f"known here: {', '.join(f.name for f in fields(kind))}"
        )
    values = {
        name: _convert(hints[name], value, source, (*where, name)) for name, value in table.items()
    }
    return kind(**values)


def _convert(hint: Any, value: Any, source: str, where: tuple[str, ...]) -> Any:
    if is_dataclass(hint) and isinstance(value, dict):
        return _build(hint, value, source, where)  # type: ignore[arg-type]
    options = get_args(hint) if get_origin(hint) is types.UnionType else (hint,)
    for option in options:
        if get_origin(option) is Literal and value in get_args(option):
            return value
        if get_origin(option) is tuple and isinstance(value, list):
            return tuple(_convert(get_args(option)[0], item, source, where) for item in value)
        if option is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if isinstance(option, type) and type(value) is option:
            return value
    wanted = getattr(hint, "__name__", None) if isinstance(hint, type) else hint
    raise ConfigError(
        f"{source}: {'.'.join(where)} must be {wanted}, but got {value!r}; correct its value"
    )
