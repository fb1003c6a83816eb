"""The description of a network as text, so that a file that is read again gives the same one.

NIR keeps numbers, but not how they were drawn or which are learned. The text says it in JSON: each
part is an object with the name of its class, ``kind``, and its fields.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

from shd_genn.network import (
    Clipped,
    Connection,
    Dense,
    Exponential,
    Gamma,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
    Trainable,
    Uniform,
)
from shd_genn.network.initialisers import Given
from shd_genn.support.errors import ConfigError

KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(Network, Population, Connection, Dense, SpikeInput, LeakyIntegrate, LeakyIntegrateFire),
        *(Exponential, Normal, Uniform, Gamma, Clipped, Given, Trainable),
    )
}
"""What a description is made of; nothing else is ever made of a text."""


def as_text(network: Network) -> str:
    """A network's description; see `from_text`."""
    return json.dumps(_plain(network))


def from_text(text: str) -> Network | None:
    """The network of a description; None if the text is none that this version understands."""
    try:
        network = _made(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError):
        return None
    return network if isinstance(network, Network) else None


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        given = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        return {"kind": type(value).__name__, **given}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _made(value: Any) -> Any:
    if isinstance(value, dict):
        kind = KINDS[value["kind"]]
        return kind(**{name: _made(part) for name, part in value.items() if name != "kind"})
    return tuple(_made(part) for part in value) if isinstance(value, list) else value
