"""Which runs are repetitions of one another, and what to call each configuration."""

from __future__ import annotations

import pandas as pd

from analysis.tools.load import Results
from shd_genn.support.errors import DataError

UNITS = ("ms",)


def with_names(results: Results, runs: pd.DataFrame) -> pd.DataFrame:
    """Add what each run's configuration is called.

    Runs of one configuration differ in nothing but the seed. Names are as short as they can be:
    topology and hidden size, and of the other settings those that tell runs apart.

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
    parts = [_setting(name, runs[name]) for name in distinguishing]
    runs["variant"] = [", ".join(p for p in row if p) for row in zip(*parts, strict=True)] or ""
    runs["line"] = _join(runs["topology"], runs["variant"])
    network = runs["model"] + " " + runs.get("hidden_sizes", pd.Series("", runs.index)).astype(str)
    runs["configuration"] = _join(network, runs["variant"])
    return runs


def unequal(results: Results, runs: pd.DataFrame) -> str:
    """Settings that go along with others, so that names do not tell them; "" if there are none.

    For example a learning rate that is one for all recurrent runs, another for all others.
    """
    _, rest = _varying(results, runs)
    parts = []
    for name in rest:
        values = sorted(set(runs[name].dropna()), key=lambda v: (str(type(v)), v))
        listed = ", ".join(map(_value, values))
        parts.append(f"{words(name)} {listed}")
    return f"differ also in: {'; '.join(parts)}" if parts else ""


def repetitions(runs: pd.DataFrame) -> str:
    """What the runs of one configuration differ in, for captions."""
    folds = "validation_speaker" in runs and runs["validation_speaker"].notna().any()
    return "seeds and left-out speakers" if folds else "seeds"


def best(results: Results, dataset: str) -> pd.DataFrame:
    """The tested runs of a dataset's best configuration: by validation, never by the test set.

    Raises:
        DataError: if no run of the dataset was judged.
    """
    runs = with_names(results, results.tested())
    runs = runs[runs["dataset"] == dataset]
    if runs.empty:
        raise DataError(f"no run of {dataset} was tested; give the folder of one that was")
    return runs[
        runs["configuration"] == runs.groupby("configuration")["best_accuracy"].mean().idxmax()
    ]


def changes(results: Results, run: pd.Series, baseline: pd.Series) -> str:
    """All settings in which a run differs from another: ``recurrent → feedforward, …``."""
    parts = []
    for name in results.settings:
        old, new = baseline.get(name), run.get(name)
        if str(old) != str(new):
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


def _setting(name: str, values: pd.Series) -> list[str]:
    """How each run's value of a setting reads in its name."""
    return [f"{words(name)} {_value(value)}" for value in values]


def _join(first: pd.Series, second: pd.Series) -> pd.Series:
    return first + (", " + second).where(second != "", "")


def words(name: str) -> str:
    """A setting's name as it is written in figures, with its unit."""
    stem, _, unit = name.rpartition("_")
    return f"{stem.replace('_', ' ')} ({unit})" if unit in UNITS else name.replace("_", " ")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "unset" if pd.isna(value) else f"{value:g}"
    return str(value) or "none"
