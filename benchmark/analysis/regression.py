"""Compares the metrics of new runs with those of committed reference runs, for continuous integration."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from scipy import stats

from benchmark.analysis.references import LEAST_REFERENCES, Expected, Reference
from benchmark.analysis.results import RowResults
from benchmark.tasks.base import Metric

LEAST_SEEDS = 2
"""Fewest new runs of a row that are compared."""

Outcome = Literal["passed", "worse", "better", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """One metric of one row compared with its prediction interval."""

    row: str
    metric: Metric
    outcome: Outcome
    message: str
    """Why it has not passed, in words."""
    new: tuple[float, ...] = ()
    """The metric of each new run."""
    band: tuple[float, float] | None = None
    """The prediction interval of their mean."""


@dataclass(frozen=True)
class Report:
    """All comparisons of a check."""

    comparisons: tuple[Comparison, ...]
    bits: dict[str, str] = field(default_factory=dict)
    """For each row, how many runs match their reference bit for bit, in words."""

    @property
    def code(self) -> int:
        """Exit status: 1 if a metric has moved, 2 if none has but a comparison is undecided, else 0."""
        outcomes = {comparison.outcome for comparison in self.comparisons}
        return 1 if outcomes & {"worse", "better"} else 2 if "undecided" in outcomes or not outcomes else 0


def compare_all(table: Sequence[RowResults], expected: Mapping[str, Expected], level: float) -> Report:
    """Compare every metric of every row with its prediction interval.

    The training metric is compared too, since it shows faults that the others hide.

    Args:
        table: the rows with their new records.
        expected: the baseline.
        level: chance that all comparisons of unchanged code pass.
    """
    comparisons, bits = [], {}
    count = sum(len(results.row.config.shown_metrics()) for results in table)
    for results in table:
        references = expected[results.row.name].references
        reason = _undecidable(results, references)
        for metric in results.row.config.shown_metrics():
            if reason:
                comparisons.append(Comparison(results.row.name, metric, "undecided", reason))
            else:
                comparisons.append(_compare(results, metric, references, level, count))
        if not reason:
            bits[results.row.name] = _bits(results, references)
    return Report(tuple(comparisons), bits)


def _undecidable(results: RowResults, references: Sequence[Reference]) -> str:
    """Why runs cannot be compared with references; empty if they can."""
    if len(references) < LEAST_REFERENCES:
        return f"{len(references)} reference runs, needs {LEAST_REFERENCES}"
    if results.row.config.fingerprint() != references[0].fingerprint:
        return "the row's configuration or protocol differs from that of the references"
    if len(results.records) < LEAST_SEEDS:
        return f"{len(results.records)} new runs, needs {LEAST_SEEDS}"
    if results.records[0].data_sha256 != references[0].data_sha256:
        return "trained on other data than the references"
    return ""


def _compare(
    results: RowResults, metric: Metric, references: Sequence[Reference], level: float, count: int
) -> Comparison:
    name, sample = results.row.name, results.sample(metric.name)
    old = [one.metrics[metric.name] for one in references if metric.name in one.metrics]
    if not sample or len(old) < LEAST_REFERENCES:
        return Comparison(name, metric, "undecided", "not measured in the new runs or in the references")
    low, high = band = prediction_interval(old, len(sample.values), level, count)
    if low <= sample.mean <= high:
        return Comparison(name, metric, "passed", "", sample.values, band)
    better = (sample.mean < low) == (metric.better == "lower")
    outcome: Outcome = "better" if better else "worse"
    message = f"{outcome} than expected from {len(old)} reference runs"
    return Comparison(name, metric, outcome, message, sample.values, band)


def prediction_interval(references: Sequence[float], runs: int, level: float, comparisons: int) -> tuple[float, float]:
    """The interval that contains the mean of new runs if nothing has changed.

    Student's two-sided prediction interval for a mean, with Bonferroni's correction for the number of comparisons.

    Args:
        references: the metric of each reference run.
        runs: number of new runs whose mean is compared.
        level: chance that all comparisons hold if nothing has changed.
        comparisons: number of comparisons that share the level.
    """
    n, mean = len(references), statistics.fmean(references)
    quantile = stats.t.ppf(1 - (1 - level) / comparisons / 2, n - 1)
    half = float(quantile) * statistics.stdev(references) * math.sqrt(1 / runs + 1 / n)
    return mean - half, mean + half


def _bits(results: RowResults, references: Sequence[Reference]) -> str:
    by_seed = {one.seed: one for one in references}
    new = [Reference.from_record(record, results.row) for record in results.records]
    pairs = [(one, by_seed[one.seed]) for one in new if one.seed in by_seed]
    same_platform = [(one, reference) for one, reference in pairs if one.platform == reference.platform]
    if not same_platform:
        return "no reference run of these seeds on this platform, so bits are not compared"
    same = sum(one.matches(reference) for one, reference in same_platform)
    return f"{same} of {len(same_platform)} runs match their reference bit for bit"
