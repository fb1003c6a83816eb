"""In what two runs' settings differ.

Settings that change no result do not count: threads, measuring, and where the data lie. Each field
says so in its metadata, `shd_genn.support.settings.CHANGES_NO_RESULT` or `ComparedBy`, and nowhere
else. Digests, resuming, sweeps and figures all ask here.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeVar, get_args

from shd_genn.config.flat import all_settings, flat, update
from shd_genn.support.settings import CHANGES_NO_RESULT, ComparedBy, cached, metadata

T = TypeVar("T")


@cached
def comparisons(root: type[Any]) -> dict[str, ComparedBy]:
    """The settings that are compared by a key of their value, not by the value itself."""
    found = {}
    for name, setting in all_settings(root).items():
        for hint in (setting.type, *get_args(setting.type)):  # of an optional one, the part inside
            for mark in metadata(hint):
                if isinstance(mark, ComparedBy):
                    found[name] = mark
    return found


def changing_no_result(root: type[Any]) -> tuple[str, ...]:
    """The settings whose value changes no result."""
    return tuple(n for n, mark in comparisons(root).items() if mark is CHANGES_NO_RESULT)


def comparable(settings: Any) -> dict[str, Any]:
    """Name → what counts of each setting that applies; equal for equal results."""
    keys = comparisons(type(settings))
    return {
        name: keys[name].key(value) if name in keys else value
        for name, value in flat(settings).items()
    }


def difference(before: Any, after: Any) -> str:
    """The settings that change results and differ, in words; "" if none does.

    Of another choice only the choice is named, not its options.
    """
    old, new = comparable(before), comparable(after)
    was, now = flat(before), flat(after)
    return ", ".join(
        f"{name} was {was[name]}, is {now[name]}"
        for name in old
        if name in new and old[name] != new[name]
    )


def on_this_machine(recorded: T, given: T) -> T:
    """Recorded settings, with those that change no result as they are given now."""
    now, keys = flat(given), comparisons(type(given))
    same = comparable(recorded)
    return update(recorded, {n: now[n] for n in keys if keys[n].key(now[n]) == same[n]})


def digest(settings: Any) -> str:
    """Eight hexadecimal digits of the settings that change results."""
    text = json.dumps(comparable(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
