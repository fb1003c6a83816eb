"""How training time grows, beside the law that it should follow.

Dots are the time of a batch against one quantity at a time, from tables of
python -m shd_genn.bench scaling. The line is the law, whose constants were fitted to the dots.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.load import Results
from shd_genn.support.errors import DataError


def load(results: Results, options: script.Options) -> pd.DataFrame:
    """The rows; of rows with equal settings the last.

    Raises:
        DataError: if there are none.
    """
    if results.scaling.empty:
        raise DataError("there is no table of python -m shd_genn.bench scaling; give one (.csv)")
    return results.scaling.drop_duplicates(["quantity", "value", "cpu"], keep="last")


def plot(rows: pd.DataFrame) -> Figure:
    """A panel for each quantity, both axes logarithmic."""
    figure, axes = style.panels(list(dict.fromkeys(rows["quantity"])), height=1.9)
    for ax in axes:
        part = rows[rows["quantity"] == str(ax.get_label())].sort_values("value")
        ax.plot(part["value"], part["law_ms"], color=style.GREY, lw=1, label="law")
        ax.plot(part["value"], part["batch_ms"], "o", color=style.COLOURS[0], label="measured")
        ax.set_title(f"{str(ax.get_label()).replace('_', ' ')}: {part['law'].iloc[0]}")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_ylabel("ms per batch")
        for axis in (ax.xaxis, ax.yaxis):
            style.log_axis(axis)
    style.legend(figure)
    style.note(figure, "fastest batch", ", ".join(sorted(rows["cpu"].unique())))
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
