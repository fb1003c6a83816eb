"""Settings as tables of plain values, there and back.

cattrs converts them: unlike msgspec it can tell dataclasses in a union apart by a tag, and it
collects all errors of a file instead of stopping at the first one.
"""

from __future__ import annotations

import functools
import numbers
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from shd_genn.support.errors import ConfigError
from shd_genn.support.names import similar_name
from shd_genn.support.settings import Choice, Settings, choices_of, types_of

T = TypeVar("T")
KIND = "kind"
"""The key of a choice's table that names the choice."""


def to_tree(settings: Any) -> dict[str, Any]:
    """Settings as nested tables; a choice is a table with its kind and its options."""
    tree: dict[str, Any] = _converter().unstructure(settings)
    return tree


def from_tree(tree: Mapping[str, Any], root: type[T], source: str = "") -> T:
    """Settings from nested tables; what is missing has its default.

    Args:
        tree: Tables of plain values. A choice without options may be its kind alone.
        root: The dataclass that is made.
        source: Where the tables come from, for messages; "" for the command line.

    Raises:
        ConfigError: names every unknown key and every wrong value.
    """
    try:
        return _converter().structure(tree, root)
    except (BaseValidationError, ConfigError) as error:
        problems = list(_problems(error, root, ()))
        where = f"{source}: " if source else ""
        if len(problems) > 1:
            listed = "\n  ".join(problems)
            raise ConfigError(f"{where}{len(problems)} settings are wrong; \n  {listed}") from None
        raise ConfigError(f"{where}{problems[0]}") from None


class _WrongValueError(ValueError):
    """A value of the wrong type; its text says what is expected, and what is there."""

    def __init__(self, expected: str, value: object) -> None:
        super().__init__(f"must be {expected}, but got {value!r}; correct its value")


@functools.cache
def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    for plain in (float, int, bool, str):
        converter.register_structure_hook(plain, _plain)
    converter.register_structure_hook_func(_is_literal, _literal)

    @converter.register_structure_hook_factory(_is_tuple)
    def tuples(hint: Any) -> Any:
        item = get_args(hint)[0]

        def structure(value: Any, _: Any) -> tuple[Any, ...]:
            if not isinstance(value, list | tuple):
                raise _WrongValueError("a list of values", value)
            return tuple(converter.structure(list(value), list[item]))  # type: ignore[valid-type]

        return structure

    @converter.register_structure_hook_factory(_is_settings)
    def tables(hint: Any) -> Any:
        make = make_dict_structure_fn(hint, converter, _cattrs_forbid_extra_keys=True)

        def structure(value: Any, _: Any) -> Any:
            if not isinstance(value, Mapping):
                raise _WrongValueError("a table", value)
            return make(value, hint)

        return structure

    @converter.register_structure_hook_factory(lambda hint: bool(_choices(hint)))
    def choices(hint: Any) -> Any:
        known = _choices(hint)

        def structure(value: Any, _: Any) -> Any:
            table = dict(value) if isinstance(value, Mapping) else {KIND: value}
            kind = table.pop(KIND, None)
            if not isinstance(kind, str) or kind not in known:
                expected = f"one of {', '.join(known)}"
                if kind is None:
                    raise _WrongValueError(f"a table with {KIND} = {expected}", value)
                raise _WrongValueError(expected, kind)
            return converter.structure(table, known[kind])

        return structure

    @converter.register_unstructure_hook_factory(_is_choice)
    def tagged(hint: Any) -> Any:
        make = make_dict_unstructure_fn(hint, converter)
        return lambda value: {KIND: value.kind, **make(value)}

    return converter


def _plain(value: Any, hint: type[Any]) -> Any:
    is_bool = isinstance(value, bool)
    if hint is float and isinstance(value, numbers.Real) and not is_bool:
        return float(value)
    if hint is int and isinstance(value, numbers.Integral) and not is_bool:
        return int(value)
    if hint in (bool, str) and isinstance(value, hint):
        return value
    names = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
    raise _WrongValueError(names[hint], value)


def _literal(value: Any, hint: Any) -> Any:
    if value not in get_args(hint):
        raise _WrongValueError(f"one of {', '.join(map(str, get_args(hint)))}", value)
    return value


def _is_literal(hint: Any) -> bool:
    origin: Any = get_origin(hint)
    return origin is Literal


def _is_tuple(hint: Any) -> bool:
    origin: Any = get_origin(hint)
    return origin is tuple


def _is_settings(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Settings) and is_dataclass(hint)


def _is_choice(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Choice)


def _choices(hint: Any) -> dict[str, type[Choice]]:
    """The choices of a union; a single class of choices is structured as any other dataclass."""
    return {} if isinstance(hint, type) else choices_of(hint)


def _problems(error: BaseException, root: type[Any], path: tuple[str, ...]) -> Iterator[str]:
    """What is wrong in every place, a sentence each."""
    if isinstance(error, BaseValidationError):
        for part in error.exceptions:
            yield from _problems(part, root, (*path, *_step(part)))
    elif isinstance(error, ForbiddenExtraKeysError):
        for key in sorted(error.extra_fields, key=str):
            yield _unknown(str(key), error.cl, root, path)
    elif isinstance(error, _WrongValueError):
        yield f"{'.'.join(path) or 'the whole'} {error}"
    else:
        yield str(error)


def _step(error: BaseException) -> tuple[str, ...]:
    """The attribute that an error is in; a list's items go by the list's name."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (note.name,)
        if isinstance(note, IterableValidationNote):
            return ()
    return ()


def _unknown(key: str, table: type[Any], root: type[Any], path: tuple[str, ...]) -> str:
    known = [item.name for item in fields(table)]
    everywhere = {place[-1]: place for place in _places(root)}
    if key in everywhere and issubclass(table, Choice):
        kinds = [kind for kind, choice in _siblings(table, root).items() if key in types_of(choice)]
        if kinds:
            cure = f"it belongs to {KIND} = {' or '.join(kinds)}, not to {table.kind}"
            return f"{'.'.join((*path, key))} does not apply; {cure}"
    if key in everywhere:
        cure = f"write it {_in_table(everywhere[key])}"
    elif similar := similar_name(key, known):
        cure = f"write {similar} if you mean that"
    elif similar := similar_name(key, everywhere):
        cure = f"write {similar} {_in_table(everywhere[similar])} if you mean that"
    else:
        cure = f"known here are {', '.join(known)}"
    return f"there is no setting {'.'.join((*path, key))}; {cure}"


def _in_table(path: tuple[str, ...]) -> str:
    return f"in [{'.'.join(path[:-1])}]" if path[:-1] else "above all tables"


def _siblings(choice: type[Choice], root: type[Any]) -> dict[str, type[Choice]]:
    """All choices of the field that has this one."""
    for hint in types_of(root).values():
        known = choices_of(hint)
        if choice in known.values():
            return known
        if _is_settings(hint) and not known and (found := _siblings(choice, hint)):
            return found
    return {}


def _places(settings: type[Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every setting."""
    for name, hint in types_of(settings).items():
        yield (*path, name)
        for choice in choices_of(hint).values():
            yield from _places(choice, (*path, name))
        if _is_settings(hint) and not choices_of(hint):
            yield from _places(hint, (*path, name))
