"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def similar_name(name: str, known: Iterable[str]) -> str:
    """The known name that is most similar to a misspelt one; "" if none is similar."""
    close = difflib.get_close_matches(name.lower().replace("-", "_"), list(known), 1, cutoff=0.6)
    return close[0] if close else ""
