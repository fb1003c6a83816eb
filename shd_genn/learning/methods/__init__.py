"""Training methods, a file each: which rule changes the weights, and what networks it allows.

A method is a frozen dataclass, so that its constants are part of its value. A backend is compiled
for one, and its `Capabilities` list those that it has.
"""

from __future__ import annotations

from typing import Protocol

from shd_genn.learning.methods.eventprop import EventProp
from shd_genn.network import Network

__all__ = ["METHODS", "EventProp", "Method"]


class Method(Protocol):
    """A training method, with its constants."""

    def check(self, network: Network) -> None:
        """Refuse a network that the method cannot train.

        Raises:
            ConfigError: if it cannot; the message says why.
        """
        ...


METHODS: dict[str, type[Method]] = {"eventprop": EventProp}
"""All methods by their names in settings."""
