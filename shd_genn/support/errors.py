"""What goes wrong because of what the user gave us, as opposed to a bug of ours."""

from __future__ import annotations

import math
from pathlib import Path


class ShdGennError(Exception):
    """Base of the errors whose message is meant for the user; commands print no traceback."""


class ConfigError(ShdGennError, ValueError):
    """A setting, network or option that cannot be used."""


class DataError(ShdGennError, ValueError):
    """A file or recording that cannot be used."""


class BuildError(ShdGennError, RuntimeError):
    """Native code that could not be compiled or loaded."""


class DivergedError(ShdGennError, ArithmeticError):
    """Training whose loss or weights are no longer finite."""


class BusyError(ConfigError):
    """A file or folder that another program works with; ``path`` says which."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class PrunedError(ShdGennError):
    """Training that was ended early because others do better."""


def require(holds: bool, relation: str, value: object, cure: str) -> None:
    """Raise a ConfigError that states the relation, the value and the cure, unless it holds.

    Args:
        holds: Whether the relation holds.
        relation: The relation as the user would write it, e.g. ``0 < tau_mem``.
        value: What was got instead.
        cure: What to do about it.

    Raises:
        ConfigError: if ``holds`` is false.
    """
    if not holds:
        raise ConfigError(f"{relation} must hold, but got {value}; {cure}")


def require_positive(name: str, value: float, cure: str) -> None:
    """Raise a ConfigError unless a number is positive and finite.

    Args:
        name: The number's name.
        value: The number.
        cure: What to do about it.

    Raises:
        ConfigError: if it is not.
    """
    require(0 < value < math.inf, f"0 < {name} < inf", value, cure)
