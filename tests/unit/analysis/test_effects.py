"""Effects by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from support.factories import make_record

from benchmark.analysis.effects import compare
from benchmark.analysis.intervals import TOKENS_PER_BLOCK
from benchmark.analysis.results import RowResults, gather
from benchmark.store.records import Store, checksum_arrays
from benchmark.tasks import registry
from benchmark.tasks.base import Metric, Row

TEST = Metric("test_perplexity", "test perplexity", "test", "lower")
PLAIN, REGULARIZED, LARGE = (registry.find(f"sotu-{name}") for name in ("medium", "medium-dropout", "large-dropout"))


def results_of(row: Row, *values: float, first_seed: int = 1) -> RowResults:
    records = [
        make_record(row, seed, metrics={"test_perplexity": value}) for seed, value in enumerate(values, first_seed)
    ]
    return gather([row], records)[0]


def test_welch_by_hand() -> None:
    """Variances 2 and 8 of two runs: standard error sqrt 5, 25 / (1 + 16) degrees of freedom."""
    effect = compare(results_of(REGULARIZED, 99, 101), results_of(LARGE, 88, 92), TEST)
    assert effect is not None
    assert effect.interval is not None
    low, high = effect.interval
    assert (low + high) / 2 == pytest.approx(-10)
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 25 / 17) * math.sqrt(5))


def test_runs_of_one_seed_are_not_paired() -> None:
    """Equal seeds give the same interval as others: Welch's, whatever the order of the runs."""
    one = compare(results_of(PLAIN, 100, 105, 103), results_of(REGULARIZED, 90, 91, 91), TEST)
    other = compare(results_of(PLAIN, 105, 103, 100), results_of(REGULARIZED, 91, 90, 91, first_seed=7), TEST)
    assert one is not None
    assert other is not None
    assert one.interval == pytest.approx(other.interval)


def test_an_effect_is_shown_with_its_interval_and_both_numbers_of_runs() -> None:
    effect = compare(results_of(PLAIN, 100, 102), results_of(REGULARIZED, 89, 90, 91), TEST)
    assert effect is not None
    half = stats.t.ppf(0.975, 1 * (1 + 1 / 2)) * math.sqrt(1 + 1 / 3)
    assert effect.interval == pytest.approx((-11 - half, -11 + half))
    assert effect.gain(effect.interval) == pytest.approx((11 - half, 11 + half))
    assert effect.show() == f"-11.0 ({-11 - half:+.1f} to {-11 + half:+.1f})"
    assert effect.runs == "2 and 3 runs"


def test_runs_that_agree_to_the_last_digit_have_no_interval() -> None:
    for without, regularized in (((100, 100), (90, 91)), ((100, 101), (90, 90, 90)), ((100, 100), (90, 90))):
        effect = compare(results_of(PLAIN, *without), results_of(REGULARIZED, *regularized), TEST)
        assert effect is not None
        assert effect.interval is None
        assert effect.runs.endswith(", all alike on a side")


def test_items_widen_the_interval_by_how_unevenly_the_change_falls_on_them(tmp_path: Path) -> None:
    """Twelve blocks of tokens: dropout halves the loss of one of them, the others stay as they are."""
    store = Store(tmp_path)
    for row, last in ((PLAIN, 4.0), (REGULARIZED, 2.0)):
        for seed in (1, 2):
            losses = np.repeat([2.0] * 11 + [last], TOKENS_PER_BLOCK).astype(np.float16)
            arrays = {"test": -losses}
            metrics = {"test_perplexity": math.exp(losses.astype(float).mean()) + 0.01 * seed}
            record = make_record(row, seed, metrics=metrics, log_probabilities_sha256=checksum_arrays(arrays))
            store.write(record, arrays)
    before, after = gather([PLAIN, REGULARIZED], store.records(), store=store)
    effect = compare(before, after, TEST)
    assert effect is not None
    assert effect.over_items is not None
    # With dropout no block stands out. Without it each is a twelfth of the text, and moves perplexity exp(26 / 12) by
    # its loss less the mean.
    influences = math.exp(26 / 12) / 12 * (np.array([2.0] * 11 + [4.0]) - 26 / 12)
    assert effect.over_items.variance == pytest.approx(np.square(influences).sum() * 12 / 11, rel=1e-3)
    assert effect.over_items.degrees == 11
    narrow, wide = effect.interval, effect.interval_with_items
    assert narrow is not None
    assert wide is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_a_metric_at_its_floor_is_known() -> None:
    bleu = replace(TEST, floor=5.0)
    low = compare(results_of(PLAIN, 1, 2), results_of(REGULARIZED, 3, 4), bleu)
    high = compare(results_of(PLAIN, 1, 2), results_of(REGULARIZED, 6, 7), bleu)
    assert low is not None
    assert low.is_at_floor
    assert high is not None
    assert not high.is_at_floor


def test_a_single_run_has_no_interval_and_none_no_effect() -> None:
    effect = compare(results_of(PLAIN, 100), results_of(REGULARIZED, 90, 91), TEST)
    assert effect is not None
    assert effect.interval is None
    assert effect.interval_with_items is None
    assert effect.show() == "-9.5"
    assert compare(results_of(PLAIN), results_of(REGULARIZED, 90), TEST) is None
