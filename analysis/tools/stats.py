"""Statistics of few repetitions: spreads, intervals, and paired tests that say their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy  # loads its parts when they are first used

from analysis.tools.load import Results
from shd_genn.support.errors import require

LEVEL = 0.95
"""Of all confidence intervals."""
RESAMPLES = 2000
ROUNDING = 1e-9
"""Differences of accuracies that are less apart are the same: one sample in 10⁹ is none."""


@dataclass(frozen=True)
class Spread:
    """Some repetitions.

    Attributes:
        n: Their number.
        mean: Their mean.
        sd: Their standard deviation (n - 1 in the denominator); nan for a single one.
    """

    n: int
    mean: float
    sd: float

    def __str__(self) -> str:
        """``85.1 ± 0.7 (n = 3)``, in per cent."""
        sd = f" ± {100 * self.sd:.1f}" if self.n > 1 else ""
        return f"{100 * self.mean:.1f}{sd} (n = {self.n})"


def spread(values: Sequence[float] | pd.Series) -> Spread:
    """Mean and standard deviation over repetitions.

    Raises:
        ConfigError: if there are none.
    """
    array = np.asarray(values, float)
    require(len(array) > 0, "1 <= repetitions", 0, "give some runs")
    return Spread(
        len(array), float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else np.nan
    )


def wilson(correct: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a proportion: where a network's accuracy on all such samples may lie.

    Args:
        correct: Samples that were right.
        n: All samples.
        level: Coverage, 0 to 1.
    """
    require(0 <= correct <= n and n > 0, "0 <= correct <= n, 0 < n", (correct, n), "count again")
    interval = scipy.stats.binomtest(correct, n).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap(correct: pd.DataFrame, seed: int = 0, level: float = LEVEL) -> tuple[float, float]:
    """Bootstrap interval of a configuration's accuracy over both seeds and test samples.

    Seeds (rows) and samples (columns) are drawn anew, each with replacement: so the interval says
    what other seeds and other recordings might have given.

    Args:
        correct: (n_seeds, n_samples): whether each sample was right.
        seed: Decides the resamples.
        level: Coverage, 0 to 1.
    """
    right = correct.to_numpy(float)
    rng = np.random.default_rng([seed, *b"bootstrap"])
    n_seeds, n_samples = right.shape
    means = np.empty(RESAMPLES)
    for i in range(len(means)):
        weight = np.bincount(rng.integers(0, n_samples, n_samples), minlength=n_samples)
        means[i] = right[rng.integers(0, n_seeds, n_seeds)].mean(axis=0) @ weight / n_samples
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """A configuration against a baseline.

    Attributes:
        difference: Mean of its accuracy minus the baseline's, over pairs.
        n: Number of pairs.
        test: The name of the test.
        p: Its two-sided p value; nan where there is nothing to test, or all
            differences are the same.
    """

    difference: float
    n: int
    test: str
    p: float


def compare(results: Results, runs: pd.DataFrame, baseline: pd.DataFrame) -> Comparison:
    """Test whether a configuration differs from another in test accuracy.

    Runs of the same seed, and so the same division of the data, are a pair. With three pairs or
    more: paired t test over seeds. With fewer: McNemar's exact test over the test samples of the
    first pair, which says nothing about other seeds.

    Args:
        results: Where the predictions are.
        runs: The tested runs of one configuration.
        baseline: Those of another on the same dataset.
    """
    pairs = runs.merge(baseline, on="seed", suffixes=("", "_baseline"))
    if pairs.empty:
        return Comparison(np.nan, 0, "no seed in common", np.nan)
    differences = (pairs["test_accuracy"] - pairs["test_accuracy_baseline"]).to_numpy(float)
    mean, n = float(differences.mean()), len(differences)
    if n < 3:
        return Comparison(mean, n, "McNemar", _mcnemar(results, runs, baseline, pairs))
    if np.ptp(differences) < ROUNDING:  # without spread t is infinite, and says nothing
        return Comparison(mean, n, "paired t", 1.0 if abs(mean) < ROUNDING else np.nan)
    test = scipy.stats.ttest_rel(pairs["test_accuracy"], pairs["test_accuracy_baseline"])
    return Comparison(mean, n, "paired t", float(test.pvalue))


def _mcnemar(
    results: Results, runs: pd.DataFrame, baseline: pd.DataFrame, pairs: pd.DataFrame
) -> float:
    seed = pairs["seed"].min()
    ours, theirs = (
        results.predictions(table[table["seed"] == seed]).set_index("sample")["correct"]
        for table in (runs, baseline)
    )
    ours, theirs = ours.align(theirs, join="inner")
    return mcnemar(int((ours & ~theirs).sum()), int((theirs & ~ours).sum()))


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact two-sided p value; given are the samples that only one network got right."""
    if only_first + only_second == 0:
        return 1.0
    return float(scipy.stats.binomtest(only_first, only_first + only_second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction of p values for their number; those that are nan stay and do not count."""
    p = np.asarray(p_values, float)
    corrected = np.full(len(p), np.nan)
    order = [i for i in np.argsort(p) if np.isfinite(p[i])]
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[i]))
        corrected[i] = largest
    return corrected.tolist()
