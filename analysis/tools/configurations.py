"""Which runs are repetitions of one another, and what to call each configuration."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.tools.load import Results
from shd_genn.config import Config
from shd_genn.config.flat import all_settings
from shd_genn.support.errors import DataError

UNITS = ("ms",)
MOST_SETTINGS = 3
"""If more settings than these tell runs apart, names leave out the most frequent values."""
MOST_LINES, N_BEST = 12, 6
"""If a figure had more lines than the first, the second number of them is coloured and named."""


def with_names(results: Results, runs: pd.DataFrame) -> pd.DataFrame:
    """Add what each run's configuration is called.

    Runs of one configuration differ in nothing but the seed. Names are as short as they can be:
    topology and hidden size, and of the other settings those that tell runs apart. Where these are
    more than `MOST_SETTINGS`, a name leaves out values that most runs have.

    Args:
        results: Everything that was read.
        runs: Some rows of its runs.

    Returns:
        The runs with settings, with ``topology`` (the model, and the number of layers if several),
        ``variant`` (what else tells them apart; "" if nothing), ``line`` (these two) and
        ``configuration`` (with the hidden size).
    """
    runs = runs[runs["state"] != "damaged"].copy()
    several = runs["layers"] > 1
    layers = ", " + runs["layers"].astype(str) + " layers"
    runs["topology"] = runs["model"] + layers.where(several, "")
    distinguishing, _ = _varying(results, runs)
    usual = _usual(runs, distinguishing)
    parts = [_setting(name, runs[name], usual.get(name)) for name in distinguishing]
    runs["variant"] = [", ".join(p for p in row if p) for row in zip(*parts, strict=True)] or ""
    runs["line"] = _join(runs["topology"], runs["variant"])
    network = runs["model"] + " " + runs.get("hidden_sizes", pd.Series("", runs.index)).astype(str)
    runs["configuration"] = _join(network, runs["variant"])
    return runs


def unequal(results: Results, runs: pd.DataFrame) -> str:
    """What names do not tell of the settings; "" if they tell everything.

    Settings that go along with others, for example a learning rate that is one for all recurrent
    runs, another for all others; and the most frequent values, where names leave them out.
    """
    distinguishing, rest = _varying(results, runs)
    usual = _usual(runs, distinguishing)
    choice = {name: setting.choice for name, setting in all_settings(Config).items()}
    parts = []
    for name in rest:
        if usual and choice.get(name) in distinguishing:
            continue  # an option of a choice that the names tell
        values = sorted(set(runs[name].dropna()), key=lambda v: (str(type(v)), v))
        listed = ", ".join(map(_value, values))
        parts.append(f"{words(name)} {listed}")
    left_out = ", ".join(f"{words(name)} {_value(value)}" for name, value in usual.items())
    notes = [f"differ also in: {'; '.join(parts)}"] if parts else []
    notes += [f"where a name says nothing else: {left_out}"] if usual else []
    return "; ".join(notes)


def worth_naming(runs: pd.DataFrame, column: str) -> list[str]:
    """The names that a figure has colours for: all of them if they are few, else the best.

    Args:
        runs: Rows of `with_names`.
        column: ``line``, ``configuration`` or what else a figure has a line for.

    Returns:
        Up to `MOST_LINES` names, or `N_BEST` in their order: of each dataset as many, by the
        validation accuracy of the chosen epoch, never by the test set.
    """
    names = list(dict.fromkeys(runs[column]))
    if len(names) <= MOST_LINES:
        return names
    accuracy = runs.get("best_accuracy", pd.Series(float("nan"), runs.index)).fillna(-1.0)
    by_name = runs.assign(best_accuracy=accuracy).groupby(["dataset", column])["best_accuracy"]
    ranked = by_name.mean().sort_values(ascending=False, kind="stable").reset_index()
    ranked["rank"] = ranked.groupby("dataset").cumcount()
    best = list(dict.fromkeys(ranked.sort_values("rank", kind="stable")[column]))[:N_BEST]
    return [name for name in names if name in best]


def _usual(runs: pd.DataFrame, distinguishing: list[str]) -> dict[str, object]:
    """The most frequent value of each setting that names leave out; empty if they leave none."""
    if len(distinguishing) <= MOST_SETTINGS:
        return {}
    values = {name: runs[name].mode(dropna=False) for name in distinguishing}
    return {name: found.iloc[0] for name, found in values.items()}


def repetitions(runs: pd.DataFrame) -> str:
    """What the runs of one configuration differ in, for captions."""
    folds = "validation_speaker" in runs and runs["validation_speaker"].notna().any()
    return "seeds and left-out speakers" if folds else "seeds"


def best(results: Results, dataset: str) -> pd.DataFrame:
    """The tested runs of a dataset's best configuration: by validation, never by the test set.

    Raises:
        DataError: if no run of the dataset was evaluated.
    """
    runs = with_names(results, results.tested())
    runs = runs[runs["dataset"] == dataset]
    if runs.empty:
        raise DataError(f"no run of {dataset} was tested; give the folder of one that was")
    return runs[runs["configuration"] == best_name(runs)]


def best_name(runs: pd.DataFrame) -> str:
    """The configuration with the best validation accuracy; of equal ones the shortest name."""
    by_name = runs.groupby("configuration")["best_accuracy"].mean()
    equal = by_name.index[by_name == by_name.max()]
    return str(min(equal, key=lambda name: (len(name), name)))


def changes(results: Results, run: pd.Series, baseline: pd.Series) -> str:
    """All settings in which a run differs from another: ``recurrent → feedforward, …``."""
    choice = {name: setting.choice for name, setting in all_settings(Config).items()}
    differing = {n for n in results.settings if str(baseline.get(n)) != str(run.get(n))}
    parts = []
    for name in results.settings:
        old, new = baseline.get(name), run.get(name)
        # an option that only one of two choices has follows from the choice
        follows = choice.get(name) in differing and (pd.isna(old) or pd.isna(new))
        if name in differing and not follows:
            title = "" if name == "model" else f"{words(name)} "
            parts.append(f"{title}{_value(old)} → {_value(new)}")
    return ", ".join(parts)


def datasets(runs: pd.DataFrame) -> list[str]:
    """The datasets of some runs; figures draw them apart, as their accuracies do not compare."""
    return sorted(runs["dataset"].unique())


def _varying(results: Results, runs: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Settings that distinguish otherwise equal runs, and those that only vary with others."""
    known = ["dataset", "model", "hidden_sizes"]
    names = [name for name in results.settings if name not in known and name in runs]
    varying = [name for name in names if runs[name].nunique(dropna=False) > 1]
    text = runs[[*known, *varying]].astype(str)
    distinguishing: list[str] = []
    for name in varying:
        if (text.groupby([*known, *distinguishing])[name].nunique() > 1).any():
            distinguishing.append(name)
    return distinguishing, [name for name in varying if name not in distinguishing]


def _setting(name: str, values: pd.Series, usual: object = None) -> list[str]:
    """How each run's value of a setting reads in its name; "" if it is the usual one."""
    left_out = None if usual is None else _value(usual)
    texts = [_value(value) for value in values]
    return ["" if text == left_out else f"{words(name)} {text}" for text in texts]


def _join(first: pd.Series, second: pd.Series) -> pd.Series:
    return first + (", " + second).where(second != "", "")


def words(name: str) -> str:
    """A setting's name as it is written in figures, with its unit."""
    stem, _, unit = name.rpartition("_")
    return f"{stem.replace('_', ' ')} ({unit})" if unit in UNITS else name.replace("_", " ")


def _value(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "unset" if pd.isna(value) else f"{value:g}"
    return str(value) or "none"
