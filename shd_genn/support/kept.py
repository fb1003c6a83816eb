"""Results that take long to compute and are kept in the cache as JSON."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from typing import TypeVar

import msgspec

from shd_genn.support.errors import ConfigError
from shd_genn.support.files import cache_dir, is_intact, write_checksum, write_text

Result = TypeVar("Result")


def kept_in_cache(key: object, kind: type[Result], compute: Callable[[], Result]) -> Result:
    """A result from the cache or, the first time, computed.

    Args:
        key: All that the result depends on; its ``repr`` tells it from others of its kind.
        kind: The result's type, which msgspec writes and reads.
        compute: Computes the result. Where the cache cannot be written, it does so every time.
    """
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
    path = cache_dir("neurons") / f"{kind.__name__}-{digest}.json"
    if is_intact(path):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(path.read_bytes(), type=kind)
    result = compute()
    with contextlib.suppress(ConfigError, OSError):
        write_text(path, msgspec.json.encode(result).decode())
        write_checksum(path)
    return result
