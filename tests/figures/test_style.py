"""What all figures have in common: fonts, legends, colours."""

import matplotlib as mpl
import pytest

from analysis.tools import style
from shd_genn.support.errors import DataError


def test_the_style_leaves_nothing_behind():
    before = dict(mpl.rcParams)
    with style.applied():
        assert mpl.rcParams["font.size"] == 8
    assert dict(mpl.rcParams) == before


def test_a_legend_that_would_leave_no_room_is_refused():
    figure = style.figure(2)
    ax = figure.subplots()
    for i in range(style.MOST_NAMES + 1):
        ax.plot([0], [0], label=str(i))
    with pytest.raises(DataError, match="at most 30 different configurations"):
        style.legend(figure)


def test_every_palette_tells_its_lines_apart():
    assert len(set(style.colours(map(str, range(20))).values())) == 20
    names = ["feedforward", "recurrent", *"abcdef"]
    assert len(set(style.colours(names).values())) == 8
    assert style.colours(["feedforward"]) == {"feedforward": style.COLOURS[1]}
