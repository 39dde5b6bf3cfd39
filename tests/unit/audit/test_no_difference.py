"""A difference that is not shown is not called chance, unless it is shown to be small."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from support.factories import make_record

from benchmark.audit.causes import likely_causes
from benchmark.audit.compare import Comparison
from benchmark.audit.entries import Entry
from benchmark.audit.evidence import Evidence
from benchmark.audit.sides import Side
from benchmark.reports.comparison import as_text
from benchmark.tasks import language_modeling

LM = language_modeling.PTB_SMALL


def runs(*values: float, first: int = 1, names: tuple[str, ...] = ("test_perplexity",)) -> Side:
    records = [
        make_record(LM, seed, metrics=dict.fromkeys(names, value), curve=[]) for seed, value in enumerate(values, first)
    ]
    return Side("runs", tuple(Entry(Path("none"), record.run, record) for record in records))


def compared(a: Side, b: Side) -> Comparison:
    evidence = Evidence(a, b, config=LM.config)
    return Comparison(evidence, tuple(likely_causes(evidence)), ())


def test_a_large_difference_of_few_runs_is_not_said_to_be_chance() -> None:
    """Four runs without references: a difference of 17 %, which such runs would hardly find."""
    names = ("train_perplexity", "validation_perplexity", "test_perplexity", "test_perplexity_known_words")
    found = compared(runs(120.0, 122.0, names=names), runs(140.0, 143.0, first=3, names=names))
    metric = found.evidence.metric("test_perplexity")
    error = math.sqrt((1**2 + 1**2 + 1.5**2 + 1.5**2) / 2 * (1 / 2 + 1 / 2))
    quantile = stats.t.ppf(1 - 0.01 / 8, 2)
    assert metric.half_width == pytest.approx(quantile * error) == pytest.approx(36.0, abs=0.05)
    assert metric.detectable == pytest.approx((quantile + stats.t.ppf(0.8, 2)) * error)
    assert metric.by_chance
    assert not metric.is_equivalent
    assert found.verdict == (
        "The difference of A and B cannot be told from that of seeds: such runs find a shift of test_perplexity by "
        f"{metric.detectable:.3f} ({metric.detectable / 121:.1%}) with a power of 80 %."
    )
    assert found.causes[0].sentence == "Other seeds may be all that differs: it cannot be told from what seeds do."
    shown = as_text(found)
    assert "differ by" not in shown
    assert f"{metric.detectable:.3f}" in shown.split("finds a shift of (80 %)")[1]


def test_a_difference_that_is_known_to_be_small_is_by_chance() -> None:
    near = np.random.default_rng(0).normal(100, 0.3, 20).tolist()
    found = compared(runs(*near[:10]), runs(*near[10:], first=11))
    assert found.verdict == "A and B differ by chance, and by less than is of interest (1 %, or 0.5 points)."
    assert found.causes[0].sentence == "They differ by chance, as seeds do."
    same = compared(runs(*near[:10]), runs(*near[10:]))
    assert same.verdict.startswith("A and B differ by less than seeds do, although their seeds are the same, and by")
    (metric,) = found.evidence.metrics
    assert metric.half_width < 1
    off = compared(runs(*near[:10]), runs(*(value + 0.3 for value in near[10:]), first=11))
    assert off.evidence.metrics[0].is_equivalent == (abs(metric.b + 0.3 - metric.a) + metric.half_width < 1)


def test_an_assumed_spread_shows_no_equivalence() -> None:
    many = [100.0] * 300  # all alike, so that the usual spread is assumed, which would be narrow enough
    found = compared(runs(*many), runs(*many, first=3000))
    (metric,) = found.evidence.metrics
    assert metric.is_assumed
    assert metric.half_width < 1
    assert "cannot be told from that of seeds" in found.verdict
