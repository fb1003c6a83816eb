"""Spreads, intervals and tests against other ways to compute them."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from helpers import fakes

from analysis.tools import stats
from analysis.tools.configurations import with_names
from analysis.tools.load import read
from shd_genn.support.errors import ConfigError


def test_spread_has_the_sample_standard_deviation():
    told = stats.spread([0.8, 0.9, 0.7])
    assert (told.n, told.mean) == (3, pytest.approx(0.8))
    assert told.sd == pytest.approx(math.sqrt((0.1**2 + 0.1**2) / 2))
    assert str(told) == "80.0 ± 10.0 (n = 3)"
    assert math.isnan(stats.spread([0.8]).sd) and str(stats.spread([0.8])) == "80.0 (n = 1)"
    with pytest.raises(ConfigError, match="1 <= repetitions"):
        stats.spread([])


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (187, 200), (30, 30)])
def test_wilson_is_wilsons_formula(correct, n):
    z, p = scipy.stats.norm.ppf(0.975), correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert stats.wilson(correct, n) == pytest.approx((centre - half, centre + half))


def test_bootstrap_of_one_seed_is_that_of_its_samples():
    right = np.random.default_rng(0).random(400) < 0.8
    ours = stats.bootstrap(pd.DataFrame([right]))
    theirs = scipy.stats.bootstrap(
        (right.astype(float),), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    # 2000 resamples place the ends of an interval of width 0.08 within about 0.005
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.006)
    assert stats.bootstrap(pd.DataFrame([right])) == ours


def test_bootstrap_is_wider_where_seeds_differ():
    rng = np.random.default_rng(0)
    alike = pd.DataFrame([rng.random(300) < 0.8 for _ in range(3)])
    apart = pd.DataFrame([rng.random(300) < p for p in (0.6, 0.8, 1.0)])
    widths = [np.ptp(stats.bootstrap(table)) for table in (alike, apart)]
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 1), (10, 2), (5, 5)])
def test_mcnemar_counts_all_ways_the_discordant_samples_could_fall(first, second):
    n = first + second
    as_far = sum(abs(sum(way) - n / 2) >= abs(first - n / 2) for way in product((0, 1), repeat=n))
    assert stats.mcnemar(first, second) == pytest.approx(as_far / 2**n)


def test_holm_is_holms():
    # by hand: 0.01·3, then max(0.03, 0.02·2), then max(0.04, 0.9·1)
    nan = float("nan")
    assert stats.holm([0.02, nan, 0.01, 0.9])[2] == pytest.approx(0.03)
    assert stats.holm([0.02, nan, 0.01, 0.9])[0] == pytest.approx(0.04)
    assert stats.holm([0.02, nan, 0.01, 0.9])[3] == pytest.approx(0.9)
    assert math.isnan(stats.holm([0.02, nan])[1])


def test_three_pairs_of_seeds_make_a_paired_t_test(results):
    runs = with_names(results, results.tested())
    first = runs[runs["configuration"] == "recurrent 16"]
    second = runs[runs["configuration"] == "feedforward 8"].iloc[::-1]  # in another order
    second = second.assign(test_accuracy=second["test_accuracy"] + 0.01 * second["seed"] ** 2)
    told = stats.compare(results, first, second)
    d = np.array([22 - 11, 23 - 12, 24 - 13]) / 30 - 0.01 * np.arange(3) ** 2
    t = d.mean() / (d.std(ddof=1) / math.sqrt(3))
    assert (told.n, told.test) == (3, "paired t") and told.difference == pytest.approx(d.mean())
    assert told.p == pytest.approx(2 * scipy.stats.t.sf(t, 2))


def test_differences_without_spread_have_no_t(results):
    runs = with_names(results, results.tested())
    first = runs[runs["configuration"] == "recurrent 16"]
    assert stats.compare(results, first, first).p == 1.0
    # 1/3 and 0.1 are no binary fractions: the differences agree up to rounding
    better = first.assign(test_accuracy=first["test_accuracy"] + 0.1)
    told = stats.compare(results, better, first)
    assert told.difference == pytest.approx(0.1) and math.isnan(told.p)


def test_a_single_pair_makes_mcnemars_test_over_samples(tmp_path):
    fakes.write(tmp_path, hidden=8, right=20)
    fakes.write(tmp_path, hidden=16, right=27)
    results = read([tmp_path])
    runs = with_names(results, results.tested())
    told = stats.compare(results, runs[runs["hidden"] == 16], runs[runs["hidden"] == 8])
    assert (told.n, told.test) == (1, "McNemar") and told.difference == pytest.approx(7 / 30)
    assert told.p == pytest.approx(2 * 0.5**7)  # seven samples, all in favour of one


def test_no_seed_in_common_is_said(tmp_path):
    fakes.write(tmp_path, hidden=8, seed=0)
    fakes.write(tmp_path, hidden=16, seed=1)
    results = read([tmp_path])
    runs = with_names(results, results.tested())
    told = stats.compare(results, runs[runs["hidden"] == 16], runs[runs["hidden"] == 8])
    assert told.n == 0 and told.test == "no seed in common" and math.isnan(told.p)
