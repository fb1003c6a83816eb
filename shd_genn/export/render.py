"""Files that are made from templates."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

from shd_genn.support.version import __version__

TEMPLATES = Path(__file__).parent / "templates"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: object) -> str:
    """The text of a template of `templates/`."""
    return _environment().get_template(template).render(version=__version__, **values)
