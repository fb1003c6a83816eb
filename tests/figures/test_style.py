"""What all figures have in common: fonts, legends, colours."""

import matplotlib as mpl
import pytest
from helpers import fakes
from helpers.drawn import PLAIN
from matplotlib.text import Text

from analysis import ablation, comparison, learning_curves, silent_neurons
from analysis.tools import script, style
from analysis.tools.load import read
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


def test_a_users_matplotlibrc_changes_no_figure(grid, tmp_path):
    """LaTeX fonts, tight boxes and other sizes in it would break or change the layout."""
    numbers = comparison.load(read([grid]), PLAIN)
    files = [tmp_path / "plain.png", tmp_path / "users.png"]
    users = {"text.usetex": True, "savefig.bbox": "tight", "font.size": 20, "axes.grid": False}
    for file, settings in zip(files, ({}, users), strict=True):
        with mpl.rc_context(settings):
            with style.applied():
                script.save(comparison.plot(numbers), file)
            assert all(mpl.rcParams[name] == value for name, value in settings.items())
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    "name", ["日本語-" + "слова-" * 12, r"cost $5^ and $x_{", "a_b$\\frac$ 50%"]
)
def test_names_of_any_script_and_length_stay_inside_the_figure(tmp_path, name):
    for hidden in (8, 16):
        fakes.write(tmp_path / "runs", dataset=name, hidden=hidden)
    results = read([tmp_path / "runs"])
    for module in (silent_neurons, learning_curves, comparison, ablation):
        options = getattr(module, "Options", script.Options)((), tmp_path)
        with style.applied():
            figure = module.plot(module.load(results, options))
            script.save(figure, tmp_path / "x.png")
            renderer = figure._get_renderer()
            for ax in figure.axes:
                box = ax.get_tightbbox(renderer)
                assert box.x0 >= 0 and box.x1 <= figure.bbox.width, module.__name__
                assert ax.has_data()
            # what was written is drawn, letter for letter
            shown = "".join(t.get_text() for t in figure.findobj(Text)).replace("\n", "")
            assert "".join(name.split()) in "".join(shown.split()), module.__name__
            assert not [t for t in figure.findobj(Text) if t.get_parse_math()]
