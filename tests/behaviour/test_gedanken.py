"""The Gedanken experiment shows what it says, and its script draws."""

import sys
from pathlib import Path

import numpy as np
import pytest

from shd_genn.support.errors import ConfigError

ANALYSIS = Path(__file__).resolve().parents[2] / "analysis"


@pytest.fixture
def gedanken(monkeypatch):
    monkeypatch.syspath_prepend(ANALYSIS)
    import gedanken

    yield gedanken
    sys.modules.pop("gedanken")


@pytest.mark.parametrize(
    ("readout", "towards"), [("var", -1), ("avg_var", 0), ("avg_var_exp_weight", 1)]
)
def test_gradients_lead_where_spikes_vanish_or_appear(gedanken, readout, towards):
    """Every loss falls with the weight of the input, but only sum-exp's gradient leads there."""
    options = gedanken.Options(Path("unused"), backend="reference", dt_ms=1.0)
    words = gedanken.random_words(2)
    with gedanken.compiled(readout, options) as network:
        looks = [gedanken.look(network, words, weight) for weight in (1.0, 1.6, 2.2)]
    loss, gradient, spikes = np.array(looks).T
    assert (np.diff(loss) < -0.05).all() and (np.diff(spikes) > 2).all()
    curve = gedanken.Curve(np.array([1.0, 1.6, 2.2]), loss, gradient, spikes)
    np.testing.assert_array_equal(gedanken.direction(curve), towards)


def test_figure_is_drawn(gedanken, tmp_path, monkeypatch):
    small = "--backend reference --dt-ms 4 --words 2 --points 4 --updates 1"
    monkeypatch.setattr("sys.argv", ["gedanken.py", "-o", f"{tmp_path}/g.png", *small.split()])
    gedanken.main()
    assert (tmp_path / "g.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"words": 0}, "1 <= words must hold, but got 0"),
        ({"points": 1}, "2 <= points must hold, but got 1"),
        ({"updates": -5}, "0 <= updates must hold, but got -5"),
        ({"dt_ms": 0.0}, "0 < dt_ms <= 1000 must hold, but got 0.0"),
        ({"output": Path("g.txt")}, "output must end in .pdf, .svg, .png, but is g.txt"),
    ],
)
def test_what_cannot_be_drawn_is_refused(gedanken, wrong, told):
    with pytest.raises(ConfigError) as error:
        gedanken.check(gedanken.Options(**{"output": Path("g.png")} | wrong))
    assert told in str(error.value)
