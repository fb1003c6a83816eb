"""Settings on the command line: one flat list of options, parsed by tyro.

A choice is an option (``--schedule plateau``), and its own options stand beside it (``--decay
0.5``). Which options there are depends on what is chosen, so choices are read first; then tyro is
given only the options that apply.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import tyro

from shd_genn.config import Config
from shd_genn.config.flat import Setting, all_settings, flat, not_chosen, update
from shd_genn.support import cli
from shd_genn.support.errors import ConfigError
from shd_genn.support.settings import descriptions, types_of

Options = TypeVar("Options")
SETTINGS = "settings"
"""The field of a command's options that holds the settings."""


def parse(
    options: type[Options], arguments: Sequence[str], given: Config, prog: str, **others: Any
) -> Options:
    """Read a command line of options and settings.

    Args:
        options: The command's options: a dataclass with a field ``settings`` of type Config.
        arguments: The command line.
        given: The settings before: of a file, a preset or the defaults.
        prog: How the command is started.
        others: Field → value of options without default, e.g. ``tyro.MISSING``.

    Raises:
        ConfigError: if an option belongs to a choice that is not chosen, or a value is refused.
        SystemExit: from tyro, after ``--help`` or a message about an option.
    """
    given = choose(arguments, given)
    shown = _with_view(options, _view(Config, given))
    default = shown(**others)
    parsed = cli.parse(shown, arguments, prog, default=default)
    values = {name: getattr(parsed, name) for name in types_of(options)}
    values[SETTINGS] = update(given, _values(values[SETTINGS]))
    return options(**values)


def choose(arguments: Sequence[str], settings: Config) -> Config:
    """Settings with the choices that a command line names, and no other change.

    Raises:
        ConfigError: if an option belongs to a choice that is not chosen.
    """
    known = all_settings(Config)
    choices = {name: setting for name, setting in known.items() if setting.choices}
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in choices:
        parser.add_argument(_option(name), f"--{name}", dest=name, nargs="?")
    named, _ = parser.parse_known_args(arguments)
    kinds = {name: kind for name, kind in vars(named).items() if kind in choices[name].choices}
    settings = update(settings, kinds)
    given = {argument.partition("=")[0].replace("_", "-") for argument in arguments}
    chosen = flat(settings)
    for name, setting in known.items():
        if name not in chosen and _option(name) in given:
            raise ConfigError(not_chosen(setting, chosen[setting.choice], dashes="--"))
    return settings


def options_of(settings: Config) -> list[str]:
    """The options by which settings differ from the defaults."""
    # an option of a choice that is not the default is compared with that choice's own default
    default = flat(Config())
    kinds = {n: v for n, v in flat(settings).items() if all_settings(Config)[n].choices}
    default |= flat(update(Config(), kinds)) | {n: default[n] for n in kinds}
    return [
        word
        for name, value in flat(settings).items()
        if value != default[name]
        for word in _words(name, value)
    ]


def _words(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [_option(name if value else f"no_{name}")]
    return [_option(name), *map(str, value if isinstance(value, tuple) else (value,))]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _with_view(options: type[Options], view: type[Any]) -> type[Options]:
    """A command's options, with the view instead of the settings."""
    items: list[Any] = [
        (name, _group(view, name=""), field(default_factory=view))
        if name == SETTINGS
        else (
            name,
            Annotated[hint, tyro.conf.arg(help=descriptions(options).get(name, ""))],
            default,
        )
        for (name, hint), default in zip(types_of(options).items(), _defaults(options), strict=True)
    ]
    shown = make_dataclass(options.__name__, items, bases=(options,), frozen=True)
    shown.__doc__ = options.__doc__
    return shown


def _defaults(options: type[Any]) -> list[Any]:
    return [
        field(default=item.default, default_factory=item.default_factory)
        for item in fields(options)
    ]


def _view(settings: type[Any], given: Any, path: tuple[str, ...] = ()) -> type[Any]:
    """A dataclass with the options that apply, which tyro shows as a group."""
    items: list[Any] = []
    hints, known = get_type_hints(settings), all_settings(Config)
    for name in types_of(settings):
        value = getattr(given, name)
        setting = known.get(name)
        if setting is None or setting.path != (*path, name):
            group = _view(hints[name], value, (*path, name))
            items.append((name, _group(group), field(default_factory=group)))
        elif not setting.choices:
            items.append(_item(name, hints[name], setting.help, value))
        else:
            kinds = Literal[tuple(setting.choices)]  # type: ignore[valid-type]
            items.append(_item(name, kinds, _help_of_choice(setting), value.kind))
            options = get_type_hints(type(value))
            items += [
                _item(option, options[option], known[option].help, getattr(value, option))
                for option in types_of(type(value))
            ]
    view = make_dataclass(settings.__name__, items, frozen=True)
    view.__doc__ = (settings.__doc__ or "").partition("\n\n")[0]
    return view


def _group(view: type[Any], name: str | None = None) -> Any:
    """The type of a group of options; with its help, or tyro would search it in source files."""
    return Annotated[view, tyro.conf.arg(name=name, help=view.__doc__)]


def _item(name: str, hint: Any, text: str, value: Any) -> tuple[str, Any, Any]:
    return name, Annotated[hint, tyro.conf.arg(help=text)], field(default=value)


def _help_of_choice(setting: Setting) -> str:
    """The help of a choice: what each one means, and its options."""
    lines = [setting.help]
    for kind, choice in setting.choices.items():
        options = ", ".join(map(_option, types_of(choice)))
        meaning = " ".join((choice.__doc__ or "").split()).rstrip(".")
        lines.append(f"{kind}: {meaning}" + (f" (options: {options})." if options else "."))
    return "\n".join(lines)


def _values(view: Any) -> dict[str, Any]:
    """Name → value of everything that was parsed."""
    values: dict[str, Any] = {}
    for item in fields(view):
        value = getattr(view, item.name)
        values |= _values(value) if is_dataclass(value) else {item.name: value}
    return values
