"""How all figures look: sized for a page of one column, in colours that all can tell apart."""

from __future__ import annotations

import itertools
import textwrap
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from shd_genn.support.errors import DataError

WIDTH = 5.9
"""Inches: the text of an A4 page with usual margins, where 8 points are 8 points in print."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444", "#999999")
"""Okabe and Ito's, which the colour-blind can tell apart; on white without their yellow."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
KNOWN = {"recurrent": 0, "feedforward": 1}
"""What has the same colour in all figures."""
DARK = "#262626"
"""Of text and axes."""
GREY = "#767676"
PALE = "#c8c8c8"
"""What a figure does not name."""
FALLBACKS = ("Noto Sans CJK JP", "WenQuanYi Zen Hei", "Hiragino Sans", "MS Gothic", "Noto Sans")
"""Fonts for characters that matplotlib's own font lacks; those that are installed are used."""
MOST_NAMES = 30
"""That a legend has room for."""
LEGEND_WIDTH = 100
"""Characters that fit beside each other in a legend, with 6 for each name's line and margins."""
NOTE_LINES = 3
"""Lines of a note that a figure has room for; with more of them it becomes higher."""
LEGEND_LINES = 4
"""Lines of a legend that a figure has room for; with more of them it becomes higher."""


@contextmanager
def applied() -> Iterator[None]:
    """The style, for as long as a figure is made and saved; nothing global is changed.

    It starts from matplotlib's defaults: a user's matplotlibrc changes nothing.
    """
    with mpl.rc_context(), warnings.catch_warnings():
        # where no font has a character, a box with its script is drawn instead
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_settings())
        yield


def _settings() -> dict[Any, Any]:
    installed = set(font_manager.get_font_names())
    return {
        "font.family": ["DejaVu Sans", *(f for f in FALLBACKS if f in installed)],
        "text.color": DARK,
        "axes.labelcolor": DARK,
        "axes.edgecolor": DARK,
        "xtick.color": DARK,
        "ytick.color": DARK,
        "font.size": 8,
        "axes.labelsize": 8,
        "axes.titlesize": 8.5,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5,
        "legend.title_fontsize": 7.5,
        "legend.frameon": False,
        "lines.solid_capstyle": "round",
        "lines.linewidth": 1.2,
        "lines.markersize": 4.5,
        "axes.linewidth": 0.7,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "xtick.minor.width": 0.8,
        "ytick.minor.width": 0.8,
        "xtick.major.size": 4.8,
        "ytick.major.size": 4.8,
        "xtick.minor.size": 3.2,
        "ytick.minor.size": 3.2,
        "patch.edgecolor": "white",
        "patch.force_edgecolor": True,
        "patch.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.6,
        "text.parse_math": False,  # a "$" in a name is one
        "pdf.fonttype": 42,  # text stays text
        "svg.hashsalt": "shd_genn",  # the same figure is the same file
        "savefig.dpi": 220,
    }


def figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of a given height in inches, in which nothing overlaps."""
    made = Figure(figsize=(width, height), layout="constrained")
    made.get_layout_engine().set(h_pad=0.04, w_pad=0.04, hspace=0.04, wspace=0.04)  # type: ignore[union-attr, call-arg]
    return made


def panels(
    names: Sequence[str], height: float = 2.6, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A panel for each name, two beside each other; the name is title and label of its axes."""
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    made = figure(height * rows + 0.5)
    axes = list(made.subplots(rows, columns, squeeze=False, sharey=sharey).flat)
    for ax, name in zip(axes, names, strict=False):
        ax.set_title(wrapped(name, 40 if columns > 1 else 80))
        ax.set_label(name)
    for ax in axes[len(names) :]:
        ax.remove()
    return made, axes[: len(names)]


def note(made: Figure, *parts: str) -> None:
    """Say below a figure what its error bars, n and marks are."""
    text = "; ".join(part for part in parts if part)
    lines = textwrap.wrap(text, round(made.get_figwidth() * 18))
    if len(lines) > NOTE_LINES:  # panels keep their height
        made.set_figheight(made.get_figheight() + 0.125 * (len(lines) - NOTE_LINES))
    made.supxlabel(
        "\n".join(lines), x=0.01, ha="left", fontsize=7, color="#555555", linespacing=1.25
    )


def colours(names: Iterable[str], named: Collection[str] | None = None) -> dict[str, str]:
    """A colour for each name; recurrent and feed-forward networks have theirs everywhere.

    More names than there are colours get an even walk through one that is dark to light. Where
    `named` is given, the names that are not in it are pale.
    """
    ordered = list(dict.fromkeys(names))
    if named is not None:
        pale = dict.fromkeys((name for name in ordered if name not in named), PALE)
        return colours(name for name in ordered if name in named) | pale
    if len(set(ordered) - set(KNOWN)) > len(COLOURS) - len(KNOWN):
        walk = mpl.colormaps["viridis"](np.linspace(0, 1, len(ordered) + 2)[1:-1])
        return {name: to_hex(colour) for name, colour in zip(ordered, walk, strict=True)}
    return {name: COLOURS[i] for name, i in _numbers(ordered, len(COLOURS)).items()}


def markers(names: Iterable[str]) -> dict[str, str]:
    """A marker for each name, as `colours`."""
    return {name: MARKERS[i] for name, i in _numbers(names, len(MARKERS)).items()}


def _numbers(names: Iterable[str], n: int) -> dict[str, int]:
    ordered = list(dict.fromkeys(names))
    free = range(len(KNOWN), n)
    others = [name for name in ordered if name not in KNOWN]
    taken = KNOWN | {name: free[i % len(free)] for i, name in enumerate(others)}
    return {name: taken[name] for name in ordered}


def size_axis(ax: Axes, sizes: Iterable[int]) -> None:
    """A logarithmic axis of hidden neurons, with a tick at each size."""
    ticks = sorted(set(sizes))
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [str(size) for size in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(min(ticks) / 1.35, max(ticks) * 1.35)
    ax.set_xlabel("hidden neurons")


def log_axis(axis: Axis, narrow: bool = False) -> None:
    """A logarithmic axis with ticks at 1, 2, 5, 10 … or 1, 10, 100 …, as plain numbers."""
    low, high = axis.get_view_interval()
    few = high < (20 if narrow else 200) * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axis.set_minor_locator(NullLocator())


def epoch_axis(ax: Axes, ends: Iterable[float]) -> None:
    """An axis of epochs; logarithmic where a few curves are much longer than most.

    Args:
        ax: The panel.
        ends: The last epoch of each curve.
    """
    ends = sorted(ends)
    if ends and ends[-1] > 5 * max(ends[len(ends) // 2], 1):
        ax.set_xscale("log")
        log_axis(ax.xaxis)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _plain(value: float) -> str:
    return EngFormatter(sep="")(value) if value >= 10_000 else f"{value:g}"


def legend(made: Figure | SubFigure, title: str = "", columns: int = 3, n_others: int = 0) -> None:
    """One legend for all panels, above them, with each name once.

    Args:
        made: The figure.
        title: Of the legend.
        columns: The most names beside each other.
        n_others: Lines that the figure draws pale and does not name.

    Raises:
        DataError: if no page would be left for the figure.
    """
    entries: dict[str, Artist] = {}
    for panel in made.axes:
        handles, labels = panel.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    if len(entries) > MOST_NAMES:
        raise DataError(
            f"this figure has room for at most {MOST_NAMES} different configurations, but got "
            f"{len(entries)}; name fewer runs"
        )
    if n_others:
        entries[f"{n_others} others"] = Line2D([], [], color=PALE)
    if entries:
        entries = {wrapped(name, LEGEND_WIDTH // 2 - 6): entry for name, entry in entries.items()}
        lines = [line for name in entries for line in name.split("\n")]
        widest = LEGEND_WIDTH // (max(map(len, lines)) + 6)
        n_columns = max(1, min(columns, len(entries), widest))
        n_lines = _lines(list(entries), n_columns)
        if isinstance(made, Figure) and n_lines > LEGEND_LINES:  # panels keep their height
            made.set_figheight(made.get_figheight() + 0.18 * (n_lines - LEGEND_LINES))
        made.legend(
            list(entries.values()),
            list(entries),
            loc="outside upper center",
            ncols=n_columns,
            title=title,
        )


def _lines(names: Sequence[str], n_columns: int) -> int:
    """Lines of a legend: of its longest column."""
    per_column = -(-len(names) // n_columns)
    columns = [names[i : i + per_column] for i in range(0, len(names), per_column)]
    return max(sum(name.count("\n") + 1 for name in column) for column in columns)


def label(name: str, named: Collection[str]) -> str:
    """What a line is called in the legend; one that is not named is left out of it."""
    return name if name in named else "_"


def pale_first(names: Iterable[str], named: Collection[str]) -> list[str]:
    """In which order lines are drawn: what is not named lies below."""
    return sorted(dict.fromkeys(names), key=lambda name: name in named)


def rows(labels: Sequence[str]) -> tuple[list[float], float]:
    """Where rows lie below each other that have labels of one or more lines, and their height.

    A label of one line has the height 1, each line more adds a half.
    """
    heights = [1 + 0.5 * label.count("\n") for label in labels]
    ends = list(itertools.accumulate(heights))
    places = [end - height / 2 - 0.5 for end, height in zip(ends, heights, strict=True)]
    return places, ends[-1] if ends else 0.0


def best_only(named: Collection[str], n: int) -> str:
    """What a note says where a figure names some of its `n` lines; "" if it names all of them."""
    return "" if len(named) == n else f"colours: the {len(named)} best by validation, pale: others"


def n_range(counts: Iterable[int]) -> str:
    """``n = 3``, or ``n = 1 to 3`` where the numbers of repetitions differ."""
    low, high = min(counts := list(counts)), max(counts)
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def wrapped(text: str, width: int) -> str:
    """A text in lines of at most so many characters."""
    return "\n".join(textwrap.wrap(text, width))
