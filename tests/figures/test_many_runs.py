"""Many mixed runs: names stay short, and every figure names the best and shows the rest."""

import itertools

import pandas as pd
import pytest
from helpers import fakes
from helpers.drawn import NOWHERE, PLAIN

from analysis import (
    ablation,
    accuracy_by_size,
    accuracy_by_spikes,
    accuracy_by_time,
    comparison,
    epoch_time,
    learning_curves,
    loss_curves,
    silent_neurons,
)
from analysis.tools import style
from analysis.tools.configurations import (
    MOST_LINES,
    N_BEST,
    best_name,
    changes,
    unequal,
    with_names,
    worth_naming,
)
from analysis.tools.load import read
from shd_genn.learning.methods import Surrogate
from shd_genn.learning.settings import Cosine

N_LINES = 36


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Runs of 36 configurations, more than a legend names, that differ in five settings."""
    folder = tmp_path_factory.mktemp("mixed")
    for i in range(30):
        fakes.write(folder, right=i, weight_decay=i / 100)
    for i, setting in enumerate(("hidden_dropout", "label_smoothing", "average_decay")):
        fakes.write(folder, right=5 * i, **{setting: 0.25})
        fakes.write(folder, right=5 * i, hidden=16, **{setting: 0.5})
    return read([folder])


def test_names_leave_out_what_most_runs_have(mixed):
    runs = with_names(mixed, mixed.runs)
    names = set(runs["configuration"])
    assert len(names) == N_LINES
    assert {"recurrent 8", "recurrent 8, weight decay 0.01"} <= names
    assert "recurrent 16, hidden dropout 0.5" in names
    assert max(map(len, names)) < 40
    text = unequal(mixed, runs)
    assert "where a name says nothing else: hidden dropout 0, weight decay 0" in text


def test_the_best_by_validation_are_named_of_each_dataset_as_many():
    runs = pd.DataFrame({
        "dataset": ["a"] * 20 + ["b"] * 20,
        "line": [f"{d}{i}" for d in "ab" for i in range(20)],
        "best_accuracy": [*(i / 20 for i in range(20)), *(1 - i / 20 for i in range(20))],
    })  # fmt: skip
    assert set(worth_naming(runs, "line")) == {"a17", "a18", "a19", "b0", "b1", "b2"}
    few = runs[:MOST_LINES]
    assert worth_naming(few, "line") == list(few["line"])
    runs["configuration"], runs["best_accuracy"] = runs["line"] + " of many", 1.0
    assert best_name(runs) == "a0 of many"


@pytest.mark.parametrize(
    "module",
    [accuracy_by_size, learning_curves, accuracy_by_time, accuracy_by_spikes, loss_curves],
)
def test_a_figure_of_many_configurations_names_the_best(module, mixed):
    options = getattr(module, "Options", None)
    numbers = module.load(mixed, options((), NOWHERE) if options else PLAIN)
    assert len(numbers.named) == N_BEST
    with style.applied():
        figure = module.plot(numbers)
    (legend,) = figure.legends
    texts = [text.get_text().replace("\n", " ") for text in legend.get_texts()]
    assert set(numbers.named) < set(texts) and f"{N_LINES - N_BEST} others" in texts
    note = figure._supxlabel.get_text().replace("\n", " ")
    assert f"colours: the {N_BEST} best by validation" in note


def test_costs_of_many_configurations_name_the_best(mixed):
    with style.applied():
        figure = epoch_time.plot(epoch_time.load(mixed, PLAIN))
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert f"{N_LINES - N_BEST} others" in texts and len(texts) == N_BEST + 2  # and the device


def test_silent_neurons_of_many_lines_share_a_panel(mixed):
    numbers = silent_neurons.load(mixed, PLAIN)
    with style.applied():
        figure = silent_neurons.plot(numbers)
    assert len(figure.axes) == N_BEST + 1
    last = figure.axes[-1]
    assert last.get_title() == f"tiny, the {N_LINES - N_BEST} others"
    assert len(last.get_lines()) >= N_LINES - N_BEST


@pytest.mark.parametrize("module", [comparison, ablation])
def test_every_row_has_its_height(module, mixed):
    """Labels of several lines do not overlap, and short ones take no more than they need."""
    numbers = module.load(mixed, getattr(module, "Options", type(PLAIN))((), NOWHERE))
    with style.applied():
        figure = module.plot(numbers)
        figure.canvas.draw()
    (ax,) = figure.axes
    boxes = sorted(
        (label.get_window_extent() for label in ax.get_yticklabels()), key=lambda box: box.y0
    )
    assert len(boxes) >= N_LINES - 1
    assert all(above.y0 >= below.y1 for below, above in itertools.pairwise(boxes))
    assert figure.get_figheight() < 0.3 * N_LINES + 3


def test_a_change_of_method_does_not_list_its_options(tmp_path):
    fakes.write(tmp_path)
    fakes.write(tmp_path, right=10, method=Surrogate(), schedule=Cosine())
    results = read([tmp_path])
    first, second = (row for _, row in results.runs.iterrows())
    text = {changes(results, first, second), changes(results, second, first)}
    assert "method eventprop → surrogate, schedule constant → cosine" in text


def test_notes_and_legends_take_no_height_from_the_panels():
    heights = []
    for words in (5, 300):
        with style.applied():
            figure = style.figure(3)
            ax = figure.subplots()
            ax.plot([0, 1], [0, 1], label="line")
            style.legend(figure)
            style.note(figure, "word " * words)
            figure.canvas.draw()
        heights.append(ax.get_window_extent().height)
    assert heights[1] > 0.85 * heights[0]


def test_a_run_that_is_much_longer_than_most_leaves_the_others_readable():
    with style.applied():
        for ends, scale in (([3] * 9 + [500], "log"), ([3, 4, 6], "linear"), ([], "linear")):
            ax = style.figure(2).subplots()
            ax.plot([1, 500], [0, 1])
            style.epoch_axis(ax, ends)
            assert ax.get_xscale() == scale
