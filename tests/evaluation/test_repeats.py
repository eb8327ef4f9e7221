"""Repeats of a setting as one result, and whether two differ: against SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from dlrun.evaluation.repeats import difference, summary
from dlrun.evaluation.student import critical, two_sided_p


@pytest.mark.parametrize("freedom", [1, 2, 3.7, 9, 50, 1143, 1e5])
def test_students_distribution_is_that_of_scipy(freedom):
    assert critical(0.95, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)
    for t in (0.0, 0.1, 1, 2, 5, 30):
        assert two_sided_p(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=1e-8)


def test_a_summary_has_students_interval_and_the_worst():
    values = [0.91, 0.94, 0.92, 0.97, 0.9]
    found = summary(values, "max")
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert (found["n"], found["worst"]) == (5, 0.9)
    assert found["mean"] == pytest.approx(np.mean(values), rel=1e-12)
    assert found["deviation"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)
    assert (found["low"], found["high"]) == pytest.approx((low, high), rel=1e-9)
    assert summary(values, "min")["worst"] == 0.97
    assert summary([0.5], "min")["deviation"] is None
    assert summary([0.5, math.nan], "min")["mean"] is None


def test_equal_seeds_are_paired_and_others_take_welchs_test():
    draw = np.random.default_rng(0)
    base = draw.normal(0.9, 0.05, 6)
    one = dict(enumerate(base.tolist()))
    other = dict(enumerate((base + draw.normal(0.01, 0.004, 6)).tolist()))
    paired, expected = difference(one, other), stats.ttest_rel([*other.values()], [*one.values()])
    interval = expected.confidence_interval(0.95)
    assert (paired["test"], paired["differs"]) == ("paired t", True)
    assert (paired["t"], paired["p"]) == pytest.approx(tuple(expected), rel=1e-9)
    assert (paired["low"], paired["high"]) == pytest.approx(tuple(interval), rel=1e-9)

    apart = {seed + 1: value for seed, value in list(other.items())[:4]}
    welch = difference(one, apart)
    expected = stats.ttest_ind([*apart.values()], [*one.values()], equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert (welch["test"], welch["differs"]) == ("Welch's t", False)
    assert (welch["t"], welch["p"]) == pytest.approx(tuple(expected), rel=1e-9)
    assert welch["freedom"] == pytest.approx(expected.df, rel=1e-9)
    assert (welch["low"], welch["high"]) == pytest.approx(tuple(interval), rel=1e-9)


def test_equal_values_do_not_differ_and_one_value_tells_nothing():
    same = {0: 0.5, 1: 0.5}
    assert difference(same, same)["differs"] is False
    assert difference(same, {0: 0.6, 1: 0.6})["p"] == 0
    assert difference({0: 0.5}, same) is None
