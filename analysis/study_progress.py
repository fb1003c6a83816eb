"""Progress of a study.

The value of each trial, and the best so far. Crosses are trials that the pruner ended, at their
last value; ticks below are failed ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.tools import script, style
from analysis.tools.load import Results
from analysis.tools.studies import Study, choose, label

EACH = "study"


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        study: The study.
        trials: number, state, and for each objective its value and ``best OBJECTIVE`` so far.
    """

    study: Study
    trials: pd.DataFrame


def load(results: Results, options: script.StudyOptions) -> Numbers:
    """Values, and the best complete one up to each trial.

    Raises:
        DataError: if there is no study, or none of its trials is complete.
    """
    study = choose(results.studies, options.study)
    study.complete  # noqa: B018 - raises if nothing is
    trials = study.trials.sort_values("number").copy()
    for objective, maximised in zip(study.objectives, study.maximised, strict=True):
        values = study.in_axis_unit(trials, objective)
        trials[objective] = values
        done = values.where(trials["state"] == "COMPLETE")
        trials[f"best {objective}"] = (done.cummax() if maximised else done.cummin()).ffill()
    return Numbers(study, trials)


def plot(numbers: Numbers) -> Figure:
    """A panel for each objective."""
    study, trials = numbers.study, numbers.trials
    figure = style.figure(2.3 * len(study.objectives) + 0.6)
    axes = figure.subplots(len(study.objectives), 1, squeeze=False, sharex=True)[:, 0]
    counts = trials["state"].value_counts()
    for ax, objective in zip(axes, study.objectives, strict=True):
        for state, shape, name in (("COMPLETE", "o", "complete"), ("PRUNED", "x", "pruned")):
            mine = trials[trials["state"] == state]
            if len(mine):
                colour = style.COLOURS[0] if state == "COMPLETE" else style.GREY
                ax.plot(mine["number"], mine[objective], shape, color=colour, ms=3.5, label=name)
        best = trials.dropna(subset=f"best {objective}")
        ax.step(
            best["number"],
            best[f"best {objective}"],
            where="post",
            color=style.COLOURS[1],
            label="best so far",
        )
        failed = trials[trials["state"] == "FAIL"]["number"]
        if len(failed):
            ax.plot(
                failed,
                [0.02] * len(failed),
                "|",
                color="black",
                transform=ax.get_xaxis_transform(),
                label="failed",
            )
        ax.set_ylabel(label(objective))
    axes[-1].set_xlabel("trial")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend(figure, study.name, columns=4)
    states = ", ".join(f"{count} {str(state).lower()}" for state, count in counts.items())
    style.note(figure, f"{len(trials)} trials: {states}")
    return figure


if __name__ == "__main__":
    script.draw(script.StudyOptions, load, plot)
