"""Training methods, a file each: which rule changes the weights, and what networks it allows.

A method is a frozen dataclass, so that its constants are part of its value, and it is a choice of
the settings (``--method``). A network is compiled for one. The methods that a backend has are in
its `Capabilities`.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from shd_genn.learning.methods.conversion import Conversion
from shd_genn.learning.methods.eprop import EProp, EPropOnline
from shd_genn.learning.methods.eventprop import EventProp
from shd_genn.learning.methods.stdp import STDP, RewardSTDP
from shd_genn.learning.methods.surrogate import Surrogate
from shd_genn.network import Network

__all__ = [
    "STDP",
    "Conversion",
    "EProp",
    "EPropOnline",
    "EventProp",
    "Method",
    "MethodChoice",
    "RewardSTDP",
    "Surrogate",
]


class Method(Protocol):
    """A training method, with its constants.

    Attributes:
        kind: Its name in settings and tables.
    """

    kind: ClassVar[str]

    def check(self, network: Network) -> None:
        """Refuse a network that the method cannot train.

        Raises:
            ConfigError: if it cannot; the message says why.
        """
        ...


MethodChoice = EventProp | Surrogate | EProp | EPropOnline | STDP | RewardSTDP | Conversion
"""What can be chosen as ``--method``."""
