"""What every settings dataclass shares: bounds in its types, choices with options, comparison.

A field states what it may be in its type, and one checker reads that::

    @dataclass(frozen=True)
    class Plateau(Choice, kind="plateau"):
        decay: Annotated[float, Gt(0), Lt(1), Cure("the papers use 0.5")] = 0.5
        '''Factor by which the learning rate falls.'''

Bounds are those of `annotated_types`. The engines compute with float32 and int32, so every number
must also be one of those: 1e-46 would become 0, and 3e9 would overflow.
"""

from __future__ import annotations

import ast
import functools
import inspect
import numbers
import os
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

import numpy as np
from annotated_types import Ge, Gt, Le, Len, Lt

from shd_genn.support.errors import ConfigError, require

T = TypeVar("T")
INT32_MAX = int(np.iinfo(np.int32).max)
FLOAT32 = np.finfo(np.float32)


@dataclass(frozen=True)
class Cure:
    """Metadata of a field: what helps if its value is refused, for example the usual value."""

    text: str


@dataclass(frozen=True)
class ComparedBy:
    """Metadata of a field: two of its values give the same results if their keys are equal."""

    key: Callable[[Any], object]


CHANGES_NO_RESULT = ComparedBy(lambda value: None)
"""Metadata of a field whose value changes no result: a run may be resumed with another one."""


@dataclass(frozen=True)
class UserPath:
    """Metadata of a field that may be a path: a leading ~ becomes the user's home folder."""


class Settings:
    """Base of settings dataclasses: all their fields are checked when they are made."""

    def __post_init__(self) -> None:
        check_fields(self)


class Choice(Settings):
    """Base of what can be chosen for a field, each with the options that only it has.

    A field's type is the union of its choices. `kind` is the choice's name on the command line
    (``--schedule plateau``) and in TOML (``kind = "plateau"``).
    """

    kind: ClassVar[str]

    def __init_subclass__(cls, kind: str | None = None, **more: Any) -> None:
        super().__init_subclass__(**more)
        if kind is not None:
            cls.kind = kind


def cached(function: Callable[[Any], T]) -> Callable[[Any], T]:
    """`functools.cache` for a function of a class; mypy does not know that classes are hashable."""
    return functools.cache(function)


@cached
def choices_of(hint: Any) -> dict[str, type[Choice]]:
    """The choices that a field's type names, by kind; empty if the field is no choice."""
    members = get_args(hint) if _is_union(hint) else (hint,)
    if all(inspect.isclass(member) and issubclass(member, Choice) for member in members):
        return {member.kind: member for member in members}
    return {}


@cached
def types_of(settings: type[Any]) -> dict[str, Any]:
    """Field → its type, with metadata."""
    hints = typing.get_type_hints(settings, include_extras=True)
    return {item.name: hints[item.name] for item in fields(settings)}


def metadata(hint: Any) -> tuple[Any, ...]:
    """The metadata of a type: bounds, `Cure`, `ComparedBy`, `UserPath`."""
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


@cached
def descriptions(settings: type[Any]) -> dict[str, str]:
    """Field → the text that stands below it in the source, in one line."""
    found: dict[str, str] = {}
    for base in reversed(settings.__mro__):
        if not is_dataclass(base):
            continue
        module = inspect.getmodule(base)
        assert module is not None
        definition = _classes_in(inspect.getsource(module))[base.__qualname__]
        for item, text in zip(definition.body, definition.body[1:], strict=False):
            if (
                isinstance(item, ast.AnnAssign)
                and isinstance(item.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[item.target.id] = " ".join(str(text.value.value).split())
    return found


@cached
def _classes_in(source: str) -> dict[str, ast.ClassDef]:
    """Qualified name → class, of all classes in a file's source, which is parsed only once."""
    found: dict[str, ast.ClassDef] = {}

    def look(node: ast.AST, place: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                found[place + child.name] = child
                look(child, f"{place}{child.name}.")
            elif isinstance(child, ast.FunctionDef):
                look(child, f"{place}{child.name}.<locals>.")
            elif isinstance(child, ast.stmt):
                look(child, place)

    look(ast.parse(source), "")
    return found


def check_fields(settings: Any) -> None:
    """Check all fields of a settings dataclass, and bring their values into one form.

    An int becomes a float where the field is a float, a list a tuple, a NumPy number a Python
    number, and the kind of a choice (``"cosine"``) that choice with its usual options.

    Raises:
        ConfigError: if a value has the wrong type, is out of bounds, or is no float32 or int32.
    """
    for name, hint in types_of(type(settings)).items():
        value = getattr(settings, name)
        checked = check_value(name, value, hint)
        if checked is not value:
            object.__setattr__(settings, name, checked)


def check_value(name: str, value: Any, hint: Any) -> Any:
    """Check one value against its type; see `check_fields`."""
    marks: tuple[Any, ...] = metadata(hint)
    if marks:
        hint = get_args(hint)[0]
    if choices := choices_of(hint):
        return _check_choice(name, value, choices)
    if _is_union(hint):
        if value is None:
            return None
        (hint,) = (member for member in get_args(hint) if member is not types.NoneType)
        return check_value(name, value, Annotated[hint, *marks] if marks else hint)
    if isinstance(hint, type) and is_dataclass(hint):
        _require_type(isinstance(value, hint), name, f"a {hint.__name__}", value)
        return value
    if get_origin(hint) is Literal:
        allowed = ", ".join(map(str, get_args(hint)))
        _require_type(value in get_args(hint), name, f"one of {allowed}", value)
        return value
    if get_origin(hint) is tuple:
        _require_type(isinstance(value, tuple | list), name, "a list of values", value)
        fewest = next((mark.min_length for mark in marks if isinstance(mark, Len)), 0)
        require(fewest <= len(value), f"{fewest} <= length of {name}", len(value), "give a value")
        return tuple(check_value(name, item, get_args(hint)[0]) for item in value)
    return _check_plain(name, value, hint, marks)


def _check_plain(name: str, value: Any, hint: Any, marks: tuple[Any, ...]) -> Any:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    if hint is float:
        _require_type(is_number, name, "a number", value)
        return _check_float(name, float(value), marks)
    if hint is int:
        whole = isinstance(value, numbers.Integral) and is_number
        _require_type(whole, name, "a whole number", value)
        return _check_int(name, int(value), marks)
    if hint is bool:
        _require_type(isinstance(value, bool | np.bool_), name, "true or false", value)
        return bool(value)
    _require_type(isinstance(value, hint), name, "text", value)
    is_path = any(isinstance(mark, UserPath) for mark in marks)
    return os.path.expanduser(value) if is_path and value.startswith("~") else value  # noqa: PTH111


def _check_float(name: str, value: float, marks: tuple[Any, ...]) -> float:
    _require_bounds(name, value, marks, upper_end=" < inf")
    smallest, largest = float(FLOAT32.tiny), float(FLOAT32.max)
    require(
        value == 0 or smallest <= abs(value) <= largest,
        f"{smallest:.4g} <= |{name}| <= {largest:.4g} (what a float32 holds)",
        value,
        _cure(marks),
    )
    as_used = float(np.float32(value))
    if not _within(as_used, marks):
        raise ConfigError(
            f"{_relation(name, marks, ' < inf')} must hold for the float32 that is computed with, "
            f"but {value} becomes {as_used}; {_cure(marks)}"
        )
    return value


def _check_int(name: str, value: int, marks: tuple[Any, ...]) -> int:
    _require_bounds(name, value, marks, upper_end="")
    if not any(isinstance(mark, Lt | Le) for mark in marks):
        relation = _relation(name, marks, f" <= {INT32_MAX}") + " (the largest int32)"
        require(abs(value) <= INT32_MAX, relation, value, _cure(marks))
    return value


def _require_bounds(name: str, value: float, marks: tuple[Any, ...], upper_end: str) -> None:
    holds = _within(value, marks) and abs(value) < float("inf")
    require(holds, _relation(name, marks, upper_end), value, _cure(marks))


def _within(value: float, marks: tuple[Any, ...]) -> bool:
    holds = {
        Gt: lambda bound: value > bound.gt,
        Ge: lambda bound: value >= bound.ge,
        Lt: lambda bound: value < bound.lt,
        Le: lambda bound: value <= bound.le,
    }
    return all(holds[type(mark)](mark) for mark in marks if type(mark) in holds)


def _relation(name: str, marks: tuple[Any, ...], upper_end: str) -> str:
    """The bounds as one relation, e.g. ``0 < decay < 1``."""
    low, high = "", upper_end
    for mark in marks:
        if isinstance(mark, Gt):
            low = f"{mark.gt} < "
        elif isinstance(mark, Ge):
            low = f"{mark.ge} <= "
        elif isinstance(mark, Lt):
            high = f" < {mark.lt}"
        elif isinstance(mark, Le):
            high = f" <= {mark.le}"
    if not low and high == " < inf":
        low = "-inf < "
    return f"{low}{name}{high}"


def _cure(marks: tuple[Any, ...]) -> str:
    return next((mark.text for mark in marks if isinstance(mark, Cure)), "correct its value")


def _check_choice(name: str, value: Any, choices: dict[str, type[Choice]]) -> Any:
    if isinstance(value, tuple(choices.values())):
        return value
    allowed = f"one of {', '.join(choices)}"
    _require_type(isinstance(value, str) and value in choices, name, allowed, value)
    return choices[value]()


def _require_type(holds: bool, name: str, expected: str, value: Any) -> None:
    if not holds:
        raise ConfigError(f"{name} must be {expected}, but got {value!r}; correct its value")


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (types.UnionType, typing.Union)
