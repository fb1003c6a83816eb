"""`python -m shd_genn.backends`: print the table of what each backend can do, as Markdown."""

from __future__ import annotations

from shd_genn.backends import BACKENDS, load, markdown_table


def table() -> str:
    """The table in docs/backends.md."""
    return markdown_table({name: load(name).CAPABILITIES for name in BACKENDS})


if __name__ == "__main__":
    print(table(), end="")
