"""Samplers compared.

The best value so far against the number of trials: means over the studies of each sampler, bands
their range. Studies of one search space belong together, each repetition a study of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.tools import script, style
from analysis.tools.load import Results
from analysis.tools.studies import Study, label
from shd_genn.support.errors import DataError


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        objective: What is optimised.
        best: sampler, study, trial (from 1), best (so far, in the unit shown).
    """

    objective: str
    best: pd.DataFrame


def load(results: Results, options: script.Options) -> Numbers:
    """The best value of each study up to each trial; failed trials count, for they cost time, too.

    Raises:
        DataError: if there is no study of one objective, or they search different spaces.
    """
    studies = [study for study in results.studies if len(study.objectives) == 1]
    if not studies:
        raise DataError("there is no study with one objective; give some (.db or .journal)")
    first = studies[0]
    for study in studies:
        if (study.objectives, set(study.parameters)) != (first.objectives, set(first.parameters)):
            raise DataError(
                f"studies must be of one search space to be compared, but {first.name} and "
                f"{study.name} are not; name those that belong together"
            )
    return Numbers(first.objectives[0], pd.concat(map(_best, studies), ignore_index=True))


def _best(study: Study) -> pd.DataFrame:
    (objective,) = study.objectives
    trials = study.trials[study.trials["state"].isin(["COMPLETE", "PRUNED", "FAIL"])]
    trials = trials.sort_values("number")
    values = study.in_axis_unit(trials, objective).where(trials["state"] == "COMPLETE")
    best = (values.cummax() if study.maximised[0] else values.cummin()).ffill()
    return pd.DataFrame(
        {
            "sampler": sampler(study),
            "study": study.name,
            "trial": np.arange(1, len(trials) + 1),
            "best": best.to_numpy(),
        }
    )


def sampler(study: Study) -> str:
    """The sampler that a study says it used; else its name without the number at its end."""
    sampler = study.study.user_attrs.get("sampler")
    return str(sampler) if sampler else re.sub(r"[_-]?\d+$", "", study.name)


def plot(numbers: Numbers) -> Figure:
    """A curve for each sampler."""
    figure = style.figure(3.0)
    ax = figure.subplots()
    colours = style.colours(sorted(numbers.best["sampler"].unique()))
    repeats = []
    for name, mine in numbers.best.groupby("sampler"):
        curves = mine.pivot_table(index="trial", columns="study", values="best")
        curves = curves.dropna()  # as far as all repetitions have come
        repeats.append(curves.shape[1])
        colour = colours[str(name)]
        ax.step(curves.index, curves.mean(axis=1), where="post", color=colour, label=str(name))
        low, high = curves.min(axis=1), curves.max(axis=1)
        ax.fill_between(curves.index, low, high, step="post", color=colour, alpha=0.15, lw=0)
    ax.set(xlabel="trials", ylabel=f"best {label(numbers.objective)}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend(figure)
    style.note(figure, f"means and ranges over repetitions, {style.n_range(repeats)} a sampler")
    return figure


if __name__ == "__main__":
    script.draw(script.Options, load, plot)
