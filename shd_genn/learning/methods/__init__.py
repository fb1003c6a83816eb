"""Training methods, a file each: which rule changes the weights, and what networks it allows.

A method is a frozen dataclass, so that its constants are part of its value. A network is compiled
for one. The methods that there are, are those that the `Capabilities` of backends list.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from shd_genn.learning.methods.eventprop import EventProp
from shd_genn.network import Network

__all__ = ["EventProp", "Method"]


class Method(Protocol):
    """A training method, with its constants.

    Attributes:
        name: Its name in settings and tables.
    """

    name: ClassVar[str]

    def check(self, network: Network) -> None:
        """Refuse a network that the method cannot train.

        Raises:
            ConfigError: if it cannot; the message says why.
        """
        ...
