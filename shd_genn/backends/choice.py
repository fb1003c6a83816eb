"""The registry of backends, and which of them ``auto`` means on this machine.

A backend is a package of `shd_genn.backends` that has what `protocols.Backend` lists. It is
imported when it is first asked for. To add one, write its package and add its name below.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Literal, cast, get_args

from shd_genn.backends.protocols import Backend
from shd_genn.support.errors import ConfigError, refuse_unless

BackendName = Literal["cuda", "genn", "native", "reference"]
"""All backends; ``auto`` prefers those that come first."""

BackendOption = Literal["auto", BackendName]
"""What a user may ask for."""

BACKENDS: tuple[BackendName, ...] = get_args(BackendName)


@dataclass(frozen=True)
class Choice:
    """The backend that is used, and why."""

    name: BackendName
    why: str


def load(name: str) -> Backend:
    """The backend of a name, whether or not it can be used on this machine.

    Raises:
        ConfigError: if there is none of that name.
    """
    refuse_unless(
        name in BACKENDS,
        f"there is no backend {name!r}",
        f"choose one of {', '.join(BACKENDS)}",
    )
    backend: Backend = importlib.import_module(f"{__package__}.{name}")
    return backend


def get(name: str) -> Backend:
    """The backend of a name; never another one in its place.

    Raises:
        ConfigError: if there is none of that name, or it cannot be used on this machine.
    """
    backend = load(name)
    status = backend.status()
    refuse_unless(
        status.usable, f"the {name} backend cannot be used, because {status.why}", status.cure
    )
    return backend


def choose(name: str) -> Choice:
    """What ``auto`` means on this machine: a GPU if a backend has one, else all cores.

    Any other name is that backend or an error; see `get`.
    """
    if name != "auto":
        get(name)
        return Choice(cast(BackendName, name), "asked for by name")
    reasons: list[str] = []
    for candidate in BACKENDS:
        backend = load(candidate)
        status = backend.status()
        if status.usable and (status.accelerator or backend.CAPABILITIES.threads):
            return Choice(candidate, "; ".join(reasons) or status.why)
        reasons.append(status.why)
    raise ConfigError(
        f"no backend can be used on this machine ({', '.join(reasons)}); "
        "install what one of them needs"
    )
