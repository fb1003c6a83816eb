"""Settings by one flat list of names: those of the command line, of search spaces and of tables.

Each setting has a name of its own, whatever room it belongs to: ``learning_rate``. A choice has its
field's name (``schedule``), and its options have theirs (``decay``). A dotted name says where a
setting lies: ``train.learning_rate``, ``train.schedule.decay``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, TypeVar

from shd_genn.config.convert import KIND, from_tree, to_tree
from shd_genn.support.errors import ConfigError
from shd_genn.support.names import similar_name
from shd_genn.support.settings import Choice, cached, choices_of, descriptions, types_of

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """One setting of a run.

    Attributes:
        name: Its name, unique among all settings.
        path: Where it lies, e.g. ``("train", "schedule", "decay")``.
        type: Its type with metadata.
        help: What it means, in one line.
        choices: The choices that it names, by kind; none for a plain value.
        belongs_to: The kinds of its choice that have this option; none if it is always there.
    """

    name: str
    path: tuple[str, ...]
    type: Any
    help: str
    choices: Mapping[str, type[Choice]]
    belongs_to: tuple[str, ...] = ()

    @property
    def choice(self) -> str:
        """The name of the choice that this option belongs to; "" if it is always there."""
        return self.path[-2] if self.belongs_to else ""


@cached
def all_settings(root: type[Any]) -> dict[str, Setting]:
    """All settings below a dataclass by name, with the options of all choices."""
    found: dict[str, Setting] = {}
    for setting in _walk(root, ()):
        known = found.get(setting.name)
        if known is not None:  # several choices of one field may have the same option
            if known.path != setting.path:
                raise TypeError(f"settings {known.path} and {setting.path} have the same name")
            setting = Setting(
                *(known.name, known.path, known.type, known.help, known.choices),
                belongs_to=known.belongs_to + setting.belongs_to,
            )
        found[setting.name] = setting
    return found


def _walk(
    settings: type[Any], path: tuple[str, ...], kind: tuple[str, ...] = ()
) -> Iterable[Setting]:
    for name, hint in types_of(settings).items():
        if is_dataclass(hint) and not issubclass(hint, Choice):  # type: ignore[arg-type]
            yield from _walk(hint, (*path, name))  # type: ignore[arg-type]
            continue
        choices = choices_of(hint)
        yield Setting(name, (*path, name), hint, descriptions(settings)[name], choices, kind)
        for option, choice in choices.items():
            yield from _walk(choice, (*path, name), (option,))


def flat(settings: Any) -> dict[str, Any]:
    """Name → value of all settings that apply: the options of choices that are not chosen do not.

    A choice's value is its kind; lists are tuples.
    """
    values: dict[str, Any] = {}
    for setting in all_settings(type(settings)).values():
        value = settings
        for name in setting.path:
            value = getattr(value, name, None)
        if not setting.belongs_to or chosen_kind(settings, setting) in setting.belongs_to:
            values[setting.name] = value.kind if isinstance(value, Choice) else value
    return values


def chosen_kind(settings: Any, setting: Setting) -> str:
    """The kind that is chosen for the choice that an option belongs to."""
    value = settings
    for name in setting.path[:-1]:
        value = getattr(value, name)
    assert isinstance(value, Choice)
    return value.kind


def flat_tree(tree: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """The same of tables as they stand in TOML, whatever they hold."""
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            values |= flat_tree(value, key)
        else:
            values[name if key == KIND else key] = value
    return values


def update(settings: T, values: Mapping[str, Any], source: str = "") -> T:
    """Settings with some of them replaced.

    An option that the choice before and the new choice both have keeps its value.

    Args:
        settings: The settings before; they stay as they are.
        values: Name (flat or dotted) → new value; a choice's value is its kind.
        source: The file that asks for it, for messages.

    Raises:
        ConfigError: if there is no such setting, its choice is not chosen, or the value is refused.
    """
    known = all_settings(type(settings))
    changes = [(find(name, known, source), value) for name, value in values.items()]
    tree = to_tree(settings)
    for setting, value in changes:
        if setting.choices:
            table = _table(tree, setting.path)
            before = table.get(setting.name)
            table[setting.name] = _switched(before, value, setting)
    for setting, value in changes:
        if setting.choices:
            continue
        table = _table(tree, setting.path)
        if setting.belongs_to and table[KIND] not in setting.belongs_to:
            raise ConfigError(not_chosen(setting, str(table[KIND]), source))
        table[setting.name] = value
    return from_tree(tree, type(settings), source)


def not_chosen(setting: Setting, chosen: str, source: str = "", dashes: str = "") -> str:
    """The message for an option whose choice is not chosen."""
    name, choice = (
        f"{dashes}{text.replace('_', '-') if dashes else text}"
        for text in (setting.name, setting.choice)
    )
    link = " " if dashes else "="
    where = f"{source}: " if source else ""
    return (
        f"{where}{name} belongs to {choice}{link}{' or '.join(setting.belongs_to)}, but {choice} "
        f"is {chosen}; choose {choice}{link}{setting.belongs_to[0]}, or leave {name} out"
    )


def find(name: str, known: Mapping[str, Setting], source: str = "") -> Setting:
    """The setting of a flat or dotted name.

    Raises:
        ConfigError: if there is none; names a similar one.
    """
    setting = known.get(name.rpartition(".")[2])
    if setting is not None and ("." not in name or name == ".".join(setting.path)):
        return setting
    if setting is not None:
        cure = f"write {'.'.join(setting.path)}"
    elif similar := similar_name(name, known):
        cure = f"use {similar} if you mean that"
    else:
        cure = "use the names that python -m shd_genn.run --help lists, with _ for -"
    raise ConfigError(f"{f'{source}: ' if source else ''}there is no setting {name}; {cure}")


def _table(tree: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for name in path[:-1]:
        tree = tree[name]
    return tree


def _switched(before: Any, kind: Any, setting: Setting) -> Any:
    """Another choice, with the options that it has in common with the choice before."""
    if not isinstance(before, dict) or kind not in setting.choices:
        return kind
    options = types_of(setting.choices[kind])
    return {KIND: kind} | {name: value for name, value in before.items() if name in options}
