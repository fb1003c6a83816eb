"""Presets: published networks as in the papers' code, without its defects, and some of our own."""

from __future__ import annotations

from collections.abc import Iterable

from shd_genn.config.presets import (
    adaptive,
    meszaros,
    mlgenn,
    nowotny,
    own,
    parallel,
    step_methods,
)
from shd_genn.config.presets.preset import Preset
from shd_genn.support.errors import ConfigError
from shd_genn.support.names import similar_name

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        *nowotny.presets(),
        *mlgenn.presets(),
        *meszaros.presets(),
        *adaptive.presets(),
        *step_methods.presets(),
        *parallel.presets(),
        *own.presets(),
    )
}
"""All presets by name."""


def get(name: str) -> Preset:
    """The preset of a name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in PRESETS:
        similar = similar_name(name, PRESETS)
        cure = f"use {similar} if you mean that, or see" if similar else "see"
        raise ConfigError(
            f"there is no preset {name!r}; {cure} python -m shd_genn.run --list-presets"
        )
    return PRESETS[name]


def describe(presets: Iterable[Preset]) -> str:
    """Source, parameters and published accuracy of each, as lines of text."""
    return "\n\n".join(
        f"{preset.name}\n  {preset.about}\n  published: {preset.published} ({preset.source})\n"
        f"  {preset.parameters}"
        for preset in presets
    )
