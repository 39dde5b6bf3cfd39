"""Log-probabilities are kept in half precision, for which no honest run is accused."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.factories import make_record

from benchmark.audit.cases import Case
from benchmark.audit.checks import perplexity_of
from benchmark.audit.history import History
from benchmark.audit.verify import seeds
from benchmark.store.records import Record

FIRST = make_record(seed=1, log_probabilities_sha256="a" * 64)
METRICS = {name: value + 0.001 for name, value in FIRST.metrics.items()}
CURVE = [{**point, "validation_perplexity": 130.0} for point in FIRST.curve]


def said(*records: Record) -> list[str]:
    cases = [Case(SimpleNamespace(name=f"tiny/seed-{one.seed}"), one, {}, History()) for one in records]
    return [message for _, message in seeds(cases)]


@pytest.mark.parametrize(
    ("changes", "is_copy"),
    [
        ({"metrics": METRICS, "curve": CURVE}, False),
        ({"curve": CURVE}, True),
        ({"metrics": METRICS}, True),
        ({"metrics": METRICS, "curve": [{**point, "seconds": 1.5} for point in FIRST.curve]}, True),
        ({"metrics": METRICS, "curve": []}, False),
        ({"metrics": METRICS, "log_probabilities_sha256": "b" * 64}, True),  # a curve of so many digits
    ],
)
def test_runs_of_the_same_rounded_log_probabilities_are_one_if_more_is_equal(changes, is_copy: bool) -> None:
    message = "is the same run as tiny/seed-1, to the last bit, under another seed"
    assert said(FIRST, replace(FIRST, seed=2, **changes)) == [message] * is_copy


@pytest.mark.parametrize("words", [2, 5, 7, 23])
def test_a_constant_prediction_is_rounded_once_for_all_tokens(words: int) -> None:
    """The same probability for each of a million tokens: its rounding does not average out."""
    exact = -math.log(words + 0.02)
    right, rounding = perplexity_of(np.full(1_000_000, exact).astype(np.float16))
    assert abs(-exact - math.log(right)) <= rounding
    assert math.log(1.01) > rounding  # what is wrong by 1 % is found


def test_tokens_of_many_values_are_rounded_each_by_itself() -> None:
    exact = np.log(np.random.default_rng(1).uniform(1e-4, 1, 100_000))
    right, rounding = perplexity_of(exact.astype(np.float16))
    assert abs(-exact.mean() - math.log(right)) <= rounding < 2e-4
