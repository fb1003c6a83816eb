"""The errors that are meant for the user, and two helpers that raise them in whole sentences."""

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


class EngineError(ShdGennError, RuntimeError):
    """A call of native code that failed."""


class OutOfMemoryError(ShdGennError, MemoryError):
    """A computation that needs more memory than the system grants."""


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
    """Raise a ConfigError that states a relation, the value that breaks it and the cure.

    For relations only; what is no relation is refused by `refuse_unless`.

    Args:
        holds: Whether the relation holds.
        relation: The relation as the user would write it, e.g. ``0 < tau_mem``.
        value: The value that the user gave.
        cure: How to correct it, as a clause with a verb, e.g. ``the papers use 20 ms``.

    Raises:
        ConfigError: if ``holds`` is false: ``0 < tau_mem must hold, but got -1; the papers …``.
    """
    if not holds:
        raise ConfigError(f"{relation} must hold, but got {value}; {cure}")


def require_positive(name: str, value: float, cure: str) -> None:
    """Raise a ConfigError unless a number is positive and finite.

    Args:
        name: The number's name.
        value: The number.
        cure: How to correct it, as a clause with a verb.

    Raises:
        ConfigError: if the number is not positive or not finite.
    """
    require(0 < value < math.inf, f"0 < {name} < inf", value, cure)


def refuse_unless(
    holds: bool, problem: str, cure: str, error: type[ShdGennError] = ConfigError
) -> None:
    """Raise an error that says in a whole sentence what is wrong, then the cure.

    Args:
        holds: Whether all is well.
        problem: The sentence, with the value in it, e.g. ``populations a, a have the same name``.
        cure: How to correct it, as a clause with a verb, e.g. ``rename one``.
        error: The class of the error.

    Raises:
        ShdGennError: if ``holds`` is false: ``error(f"{problem}; {cure}")``.
    """
    if not holds:
        raise error(f"{problem}; {cure}")
