"""Pictures of commands: nothing that a user has set for matplotlib changes them."""

import matplotlib as mpl
from matplotlib.figure import Figure

from shd_genn.support.pictures import save_picture


def draw():
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot([0, 1], label="a_word 50%")
    axes.legend()
    return figure


def test_a_users_matplotlibrc_changes_no_picture(tmp_path):
    """With LaTeX, which need not be installed, and tight boxes."""
    save_picture(tmp_path / "plain.png", draw)
    theirs = {"text.usetex": True, "savefig.bbox": "tight", "figure.autolayout": True}
    with mpl.rc_context(theirs | {"font.size": 30, "savefig.dpi": 20}):
        save_picture(tmp_path / "theirs.png", draw)
        assert mpl.rcParams["text.usetex"]  # what is theirs stays so
    assert (tmp_path / "theirs.png").read_bytes() == (tmp_path / "plain.png").read_bytes()
