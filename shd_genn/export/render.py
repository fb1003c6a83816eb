"""Files that are made from templates."""

from __future__ import annotations

from pathlib import Path

from shd_genn.support.interface import templates
from shd_genn.support.version import __version__

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: object) -> str:
    """The text of a template of `templates/`."""
    return templates(TEMPLATES).get_template(template).render(version=__version__, **values)
