"""Names of populations and connections as C++ identifiers."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path

from shd_genn.support.interface import INCLUDE

KERNELS = Path(__file__).parent / "kernels"

KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        alignas alignof and and_eq asm auto bitand bitor bool break case catch char
        char8_t char16_t char32_t class co_await co_return co_yield compl concept const
        const_cast consteval constexpr constinit continue decltype default delete do
        double dynamic_cast else enum explicit export extern false float for friend goto
        if inline int long mutable namespace new noexcept not not_eq nullptr operator or
        or_eq private protected public register reinterpret_cast requires return short
        signed sizeof static static_assert static_cast struct switch template this
        thread_local throw true try typedef typeid typename union unsigned using virtual
        void volatile wchar_t while xor xor_eq
        """,
    )
)
MACROS = frozenset(("assert", "errno", "linux", "unix", "stdin", "stdout", "stderr", "alloca"))
"""Names in lower case that headers of the system may define as macros."""


def identifiers(names: Iterable[str], prefix: str, taken: set[str]) -> list[str]:
    """A C++ identifier for each name: the name itself if C++ and the kernels leave it free.

    Args:
        names: Python identifiers.
        prefix: Stands before a number, and before the name where it is ASCII, if it is not free.
        taken: Identifiers that are not free either; the new ones are added.
    """
    found = []
    for i, name in enumerate(names):
        identifier = name
        if not _is_free(name) or name in taken:
            identifier = f"{prefix}{i}" + (f"_{name.strip('_')}" if name.isascii() else "")
        taken.add(identifier)
        found.append(identifier)
    return found


def _is_free(name: str) -> bool:
    return (
        name.isascii()
        and not name.startswith("_")
        and "__" not in name
        and not name.isupper()  # as macros are
        and name not in KEYWORDS | MACROS | _used_by_kernels()
    )


@functools.cache
def _used_by_kernels() -> frozenset[str]:
    """All words of the kernels outside of comments and of what Jinja replaces."""
    words: set[str] = set()
    for folder in (KERNELS, INCLUDE):
        for path in folder.iterdir():
            text = path.read_text(encoding="utf-8")
            code = re.sub(
                r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}|//[^\n]*|\"[^\n]*?\"", " ", text, flags=re.S
            )
            words.update(re.findall(r"[A-Za-z_]\w*", code))
    return frozenset(words)
