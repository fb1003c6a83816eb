"""What tests of figures look up in run folders and in what has been drawn."""

import csv
import json
from pathlib import Path

import numpy as np

from analysis.tools import script

NOWHERE = Path("nowhere.pdf")
PLAIN = script.Options((), NOWHERE)


def rows(folder, name):
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def runs(grid, model, hidden):
    return sorted(grid.glob(f"tiny_{model}-{hidden}_*"))


def summaries(grid, model, hidden):
    return [json.loads((run / "summary.json").read_text()) for run in runs(grid, model, hidden)]


def lines(ax):
    """Label → line, of what has been drawn with one."""
    return {line.get_label(): line for line in ax.get_lines()}


def bars(ax):
    """Label → (x, y, half lengths of the vertical error bars)."""
    found = {}
    for bar in ax.containers:
        line, _, (segments,) = bar
        ends = [segment[:, 1] for segment in segments.get_segments()]
        found[bar.get_label()] = (*line.get_data(), [np.ptp(pair) / 2 for pair in ends])
    return found
