"""Pictures that commands draw, the same whatever a user has set for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from shd_genn.support.files import written_aside


def save_picture(output: Path, draw: Callable[[], Figure]) -> None:
    """Draw a picture with matplotlib's own settings, and write it.

    A user's matplotlibrc changes nothing: with LaTeX or tight boxes in it, for example, names of
    files could not be drawn, or the picture would have another size. No text is read as a formula.

    Args:
        output: The file: .png, .pdf or .svg.
        draw: Makes the figure.

    Raises:
        ConfigError: if the file cannot be written.
    """
    with mpl.rc_context(), written_aside(output) as aside:
        mpl.rcdefaults()
        mpl.rcParams["text.parse_math"] = False  # a "$" in a name is one
        draw().savefig(aside, dpi=150)
