"""Compares the metrics of new runs with those of committed reference runs, for continuous integration."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from benchmark.analysis.intervals import Component, Interval, interval
from benchmark.analysis.references import LEAST_REFERENCES, Expected, Reference
from benchmark.analysis.results import RowResults
from benchmark.analysis.verdicts import shift_found
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
    band: Interval | None = None
    """The prediction interval of their mean."""
    detectable: float | None = None
    """The smallest shift of the metric that this comparison finds with a power of 80 %."""
    basis: str = ""
    """The reference runs that the interval comes from, in words."""


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

    The training metric is compared too, since it shows faults that the others hide. A metric at its floor is not, as
    it says nothing of a model. Where runs of a row diverged, its metrics are undecided.

    Args:
        table: the rows with their new records.
        expected: the baseline.
        level: chance that all comparisons of unchanged code pass.
    """
    comparisons, bits = [], {}
    compared = {results.row.name: _compared(results, expected) for results in table}
    count = sum(map(len, compared.values()))
    for results in table:
        references = expected[results.row.name].references
        reason = _undecidable(results, references)
        for metric in compared[results.row.name]:
            if reason:
                comparisons.append(Comparison(results.row.name, metric, "undecided", reason))
            else:
                comparisons.append(_compare(results, metric, references, level, count))
        if not reason:
            bits[results.row.name] = _bits(results, references)
    return Report(tuple(comparisons), bits)


def _compared(results: RowResults, expected: Mapping[str, Expected]) -> list[Metric]:
    """The metrics of a row that are compared: those that its reference runs have, and not all of them at the floor."""
    known = [one.metrics for one in expected[results.row.name].references]
    return [
        metric
        for metric in results.row.config.shown_metrics()
        if any(not metric.is_at_floor(one[metric.name]) for one in known if metric.name in one)
    ]


def _undecidable(results: RowResults, references: Sequence[Reference]) -> str:
    """Why runs cannot be compared with references; empty if they can."""
    if len(references) < LEAST_REFERENCES:
        return f"{len(references)} reference runs, needs {LEAST_REFERENCES}"
    if results.row.config.fingerprint() != references[0].fingerprint:
        return "the row's configuration or protocol differs from that of the references"
    if lost := len(results.diverged):
        return f"{lost} of {lost + len(results.records)} new runs diverged, so that the others are a choice"
    if len(results.records) < LEAST_SEEDS:
        return f"{len(results.records)} new runs, needs {LEAST_SEEDS}"
    if results.records[0].data_sha256 != references[0].data_sha256:
        return "trained on other data than the references"
    if {record.precision for record in results.records} != {one.precision for one in references}:
        return "in another precision than the references"
    return ""


def _compare(
    results: RowResults, metric: Metric, references: Sequence[Reference], level: float, count: int
) -> Comparison:
    name, sample = results.row.name, results.sample(metric.name)
    if not sample:
        return Comparison(name, metric, "undecided", "not measured in the new runs")
    expectation = _expect(metric.name, sample.seeds, references)
    if expectation is None:
        return Comparison(name, metric, "undecided", "not measured in the references")
    middle, error, basis = expectation
    if not error.variance:
        return Comparison(name, metric, "undecided", f"{basis} agree to the last digit, which tells no spread")
    confidence = 1 - (1 - level) / count
    low, high = band = interval(middle, error, confidence)
    outcome: Outcome = "passed"
    if not low <= sample.mean <= high:
        outcome = "better" if (sample.mean < low) == (metric.better == "lower") else "worse"
    message = "" if outcome == "passed" else f"{outcome} than expected from {basis}"
    return Comparison(name, metric, outcome, message, sample.values, band, shift_found(error, confidence), basis)


def _expect(name: str, seeds: Sequence[int], references: Sequence[Reference]) -> tuple[float, Component, str] | None:
    """The mean of new runs with these seeds if nothing has changed, its error, and what both come from.

    If the reference runs were made on several platforms, new runs are compared with those of the same seeds, and the
    error is that of one platform against another: seeds themselves vary much more. Otherwise it is that of seeds. Runs
    of a seed that agree to the last bit count once: a platform that is another one by its versions only, which compute
    the same, says nothing of a further one.
    """
    by_seed: dict[int, list[float]] = {}
    for one in _without_copies(references):
        if name in one.metrics:
            by_seed.setdefault(one.seed, []).append(one.metrics[name])
    repeated = [values for values in by_seed.values() if len(values) > 1]
    if len(repeated) >= LEAST_REFERENCES and set(seeds) <= by_seed.keys():
        degrees = sum(len(values) - 1 for values in repeated)
        noise = sum(float(np.var(values)) * len(values) for values in repeated) / degrees
        mine = [by_seed[seed] for seed in seeds]
        variance = noise * (1 + statistics.fmean(1 / len(values) for values in mine)) / len(mine)
        middle = statistics.fmean(map(statistics.fmean, mine))
        return middle, Component(variance, degrees), f"runs of the same seeds on {max(map(len, repeated))} platforms"
    means = [statistics.fmean(values) for values in by_seed.values()]
    if len(means) < LEAST_REFERENCES:
        return None
    variance = statistics.variance(means) * (1 / len(seeds) + 1 / len(means))
    return statistics.fmean(means), Component(variance, len(means) - 1), f"{len(means)} reference runs"


def _without_copies(references: Sequence[Reference]) -> list[Reference]:
    """The reference runs without those that agree to the last bit with another one of their seed."""
    kept: dict[int, list[Reference]] = {}
    for one in references:
        of_seed = kept.setdefault(one.seed, [])
        if not any(one.matches(other) or other.matches(one) for other in of_seed):
            of_seed.append(one)
    return [one for of_seed in kept.values() for one in of_seed]


def _bits(results: RowResults, references: Sequence[Reference]) -> str:
    known = {(one.seed, one.platform): one for one in references}
    new = [Reference.from_record(record, results.row) for record in results.records]
    same_platform = [(one, known[one.seed, one.platform]) for one in new if (one.seed, one.platform) in known]
    if not same_platform:
        return "no reference run of these seeds on this platform, so bits are not compared"
    same = sum(one.matches(reference) for one, reference in same_platform)
    return f"{same} of {len(same_platform)} runs match their reference bit for bit"
