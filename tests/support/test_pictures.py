"""Pictures of commands: nothing that a user has set for matplotlib changes them."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from shd_genn.support.pictures import save_picture


def draw():
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot([0, 1], label="a_word 50%")
    axes.legend()
    return figure


def test_no_text_is_a_formula(tmp_path):
    """A word or a file may have any name: ``$x^$`` could not be drawn."""

    def named():
        figure = Figure(figsize=(3, 2))
        figure.subplots().set_title("costs $5_ and $x^$ \\frac{")
        return figure

    save_picture(tmp_path / "a.png", named)
    with Image.open(tmp_path / "a.png") as image:
        assert (np.asarray(image.convert("L")) < 128).any()


def test_a_users_matplotlibrc_changes_no_picture(tmp_path):
    """With LaTeX, which need not be installed, and tight boxes."""
    save_picture(tmp_path / "plain.png", draw)
    theirs = {"text.usetex": True, "savefig.bbox": "tight", "figure.autolayout": True}
    with mpl.rc_context(theirs | {"font.size": 30, "savefig.dpi": 20}):
        save_picture(tmp_path / "theirs.png", draw)
        assert mpl.rcParams["text.usetex"]  # what is theirs stays so
    assert (tmp_path / "theirs.png").read_bytes() == (tmp_path / "plain.png").read_bytes()
