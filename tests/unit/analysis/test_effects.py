"""Intervals by hand, and when runs are paired."""

import math

import pytest
from scipy import stats
from support.factories import make_record

from benchmark.analysis.effects import against, compare
from benchmark.analysis.results import RowResults, gather
from benchmark.tasks import registry
from benchmark.tasks.base import Metric, Row

TEST = Metric("test_perplexity", "test perplexity", "test", "lower")
PLAIN, REGULARIZED, LARGE = (registry.find(f"sotu-{name}") for name in ("medium", "medium-dropout", "large-dropout"))


def results_of(row: Row, *values: float, first_seed: int = 1) -> RowResults:
    records = [
        make_record(row, seed, metrics={"test_perplexity": value}) for seed, value in enumerate(values, first_seed)
    ]
    return gather([row], records)[0]


def test_paired_by_seed_by_hand() -> None:
    """Differences -10, -14, -12: mean -12, standard error 2 / sqrt 3, t(2, 97.5 %) = 4.302653."""
    effect = compare(results_of(PLAIN, 100, 105, 103), results_of(REGULARIZED, 90, 91, 91), TEST)
    assert effect is not None
    assert effect.method == "paired by seed"
    half = 4.302653 * 2 / math.sqrt(3)
    assert effect.interval == pytest.approx((-12 - half, -12 + half), rel=1e-5)
    assert effect.gain == pytest.approx((12 - half, 12 + half), rel=1e-5)
    assert effect.show() == "-12.0 (-17.0 to -7.0)"


@pytest.mark.parametrize(
    ("before", "after"), [(results_of(PLAIN, 1, 2, first_seed=3), REGULARIZED), (results_of(PLAIN, 1, 2), LARGE)]
)
def test_other_seeds_and_other_shapes_are_not_paired(before: RowResults, after: Row) -> None:
    effect = compare(before, results_of(after, 1, 2), TEST)
    assert effect is not None
    assert effect.method == "Welch"


def test_welch_by_hand() -> None:
    """Variances 2 and 8 of two runs: standard error sqrt 5, 25 / (1 + 16) degrees of freedom."""
    effect = compare(results_of(REGULARIZED, 99, 101), results_of(LARGE, 88, 92), TEST)
    assert effect is not None
    assert effect.interval is not None
    low, high = effect.interval
    assert (low + high) / 2 == pytest.approx(-10)
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 25 / 17) * math.sqrt(5))


def test_five_runs_are_bootstrapped_and_always_the_same_way() -> None:
    runs = results_of(REGULARIZED, 100, 101, 102, 103, 104), results_of(LARGE, 90, 91, 92, 93, 94)
    effect = compare(*runs, TEST)
    assert effect == compare(*runs, TEST)
    assert effect is not None
    assert effect.interval is not None
    assert effect.method == "bootstrap"
    assert -14 < effect.interval[0] < -10 < effect.interval[1] < -6
    constant = compare(results_of(REGULARIZED, *[3.0] * 5), results_of(LARGE, *[2.0] * 5), TEST)
    assert constant is not None
    assert constant.interval == (-1.0, -1.0)


def test_a_single_run_has_no_interval_and_none_no_effect() -> None:
    effect = compare(results_of(PLAIN, 100), results_of(REGULARIZED, 90, 91), TEST)
    assert effect is not None
    assert effect.interval is None
    assert effect.gain is None
    assert effect.show() == "-9.5"
    assert compare(results_of(PLAIN), results_of(REGULARIZED, 90), TEST) is None
    assert against(results_of(PLAIN), 3.0, TEST) is None


def test_against_a_given_value() -> None:
    effect = against(results_of(PLAIN, 9, 11), 8.0, TEST)
    assert effect is not None
    assert effect.interval == pytest.approx((2 - 12.7062, 2 + 12.7062), rel=1e-4)
