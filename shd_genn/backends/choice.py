"""Backends by name, and which one ``auto`` means on this machine."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Literal, cast, get_args

from shd_genn.backends.genn import installation
from shd_genn.backends.protocols import Backend
from shd_genn.support.errors import ConfigError

BackendName = Literal["genn", "native", "reference"]


BACKENDS: tuple[BackendName, ...] = get_args(BackendName)


def get(name: str) -> Backend:
    """The backend of a name; never another one in its place.

    Raises:
        ConfigError: if there is none of that name, or it is not installed.
    """
    if name not in BACKENDS:
        raise ConfigError(f"backend in {', '.join(BACKENDS)} must hold, but got {name!r}")
    if name == "genn":
        installation.require_installed()
    backend: Backend = importlib.import_module(f"shd_genn.backends.{name}")
    return backend


@dataclass(frozen=True)
class Choice:
    """The backend that is used, and why."""

    name: BackendName
    why: str


def choose(name: str) -> Choice:
    """What ``auto`` means on this machine: genn if it is installed and has a GPU, else native.

    Any other name is that backend or an error; see `get`.
    """
    if name != "auto":
        get(name)
        return Choice(cast(BackendName, name), "asked for by name")
    if absent := installation.missing():
        return Choice("native", installation.said_missing(absent))
    gpu, why = installation.gpu()
    return Choice("native" if gpu is None else "genn", why)


BackendOption = Literal["auto", "genn", "native", "reference"]
