"""How many cores there are to compute with."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores that this process may use; where the system cannot tell, all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
