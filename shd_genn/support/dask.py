"""Connecting to a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shd_genn.support.errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client

SECONDS_TO_CONNECT = 20


def connect(address: str) -> Client:
    """Connect to a scheduler.

    Args:
        address: The scheduler's, e.g. ``tcp://head:8786``.

    Raises:
        ConfigError: if distributed is not installed, or the scheduler cannot be reached.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError(
            f"dask needs distributed, which is not installed ({error}); "
            "pip install 'shd_genn[distributed]', or leave --dask out"
        ) from error
    try:
        return Client(address, timeout=SECONDS_TO_CONNECT)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(
            f"a Dask scheduler must answer at {address}, but {error}; start one with "
            "dask scheduler, and workers with dask worker"
        ) from error
