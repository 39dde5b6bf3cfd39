"""Has a metric moved? New runs against committed reference runs, for continuous integration."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args
from xml.etree import ElementTree

from scipy import stats

from benchmark.analysis.references import LEAST_REFERENCES, Expected, Reference, all_metrics, compared, platform
from benchmark.analysis.results import Line
from benchmark.formatting import Table
from benchmark.tasks.base import Metric

LEAST_SEEDS = 2
"""New runs of a row below which nothing is decided."""

Outcome = Literal["passed", "worse", "better", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """One metric of one row against its band."""

    row: str
    metric: Metric
    outcome: Outcome
    message: str
    """What was found, in words."""
    new: tuple[float, ...] = ()
    band: tuple[float, float] | None = None


@dataclass(frozen=True)
class Report:
    """All comparisons of a check."""

    comparisons: tuple[Comparison, ...]
    bits: dict[str, str] = field(default_factory=dict)
    """For each row, whether its runs are the references' to the last bit."""

    @property
    def code(self) -> int:
        """Exit status: 1 when a metric has moved, 2 when nothing has but something could not be decided."""
        outcomes = {comparison.outcome for comparison in self.comparisons}
        return 1 if outcomes & {"worse", "better"} else 2 if "undecided" in outcomes or not outcomes else 0

    def table(self) -> Table:
        """A line for each comparison."""
        body = []
        for one in self.comparisons:
            digits = one.metric.digits + 1
            new = f"{statistics.fmean(one.new):.{digits}f} ({len(one.new)} runs)" if one.new else "–"
            band = f"{one.band[0]:.{digits}f} to {one.band[1]:.{digits}f}" if one.band else "–"
            body.append((one.row, one.metric.label, new, band, one.outcome, one.message))
        return Table(("row", "metric", "new", "expected", "outcome", ""), tuple(body))

    def markdown(self) -> str:
        """The table, and what is said of bits."""
        bits = "".join(f"\n- {row}: {text}" for row, text in self.bits.items())
        return f"{self.table().markdown()}\n{bits}\n"

    def junit(self) -> str:
        """As JUnit XML: a test case for each comparison."""
        count = {outcome: sum(one.outcome == outcome for one in self.comparisons) for outcome in get_args(Outcome)}
        suite = ElementTree.Element(
            "testsuite",
            name="rnnreg check",
            tests=str(len(self.comparisons)),
            failures=str(count["worse"] + count["better"]),
            errors=str(count["undecided"]),
        )
        for one in self.comparisons:
            case = ElementTree.SubElement(suite, "testcase", classname=one.row, name=one.metric.name)
            if one.outcome != "passed":
                kind = "error" if one.outcome == "undecided" else "failure"
                ElementTree.SubElement(case, kind, message=one.message, type=one.outcome)
        ElementTree.indent(suite)
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def compare_all(table: Sequence[Line], expected: dict[str, Expected], level: float) -> Report:
    """Compare every metric of every row with its band.

    Args:
        table: the rows with their new records.
        expected: the baseline.
        level: chance that all comparisons of unchanged code pass.
    """
    comparisons, bits = [], {}
    count = sum(len(compared(line.row)) for line in table)
    for line in table:
        references = expected[line.row.name].references
        reason = _undecidable(line, references)
        for metric in compared(line.row):
            if reason:
                comparisons.append(Comparison(line.row.name, metric, "undecided", reason))
            else:
                comparisons.append(_compare(line, metric, references, level, count))
        if not reason:
            bits[line.row.name] = _bits(line, references)
    return Report(tuple(comparisons), bits)


def _undecidable(line: Line, references: Sequence[Reference]) -> str:
    """Why runs cannot be held against references; empty where they can."""
    if len(references) < LEAST_REFERENCES:
        return f"{len(references)} reference runs, needs {LEAST_REFERENCES}"
    if line.row.config.fingerprint() != references[0].fingerprint:
        return "the row's configuration or protocol is not the references'"
    if len(line.records) < LEAST_SEEDS:
        return f"{len(line.records)} new runs, needs {LEAST_SEEDS}"
    if line.records[0].data_sha256 != references[0].data_sha256:
        return "trained on other data than the references"
    return ""


def _compare(line: Line, metric: Metric, references: Sequence[Reference], level: float, count: int) -> Comparison:
    sample = line.sample(metric.name)
    old = [one.metrics[metric.name] for one in references if metric.name in one.metrics]
    if not sample or len(old) < LEAST_REFERENCES:
        return Comparison(line.row.name, metric, "undecided", "not measured in the new runs or in the references")
    low, high = band = prediction_interval(old, len(sample.values), level, count)
    if low <= sample.mean <= high:
        return Comparison(line.row.name, metric, "passed", "", sample.values, band)
    better = (sample.mean < low) == (metric.better == "lower")
    outcome: Outcome = "better" if better else "worse"
    message = f"{outcome} than {len(old)} reference runs let expect"
    return Comparison(line.row.name, metric, outcome, message, sample.values, band)


def prediction_interval(references: Sequence[float], runs: int, level: float, comparisons: int) -> tuple[float, float]:
    """Where the mean of some new runs lies if nothing has changed.

    Student's two-sided prediction interval for a mean, its level shared out among all comparisons (Bonferroni).

    Args:
        references: the metric of each reference run.
        runs: new runs whose mean is compared.
        level: chance that all comparisons hold if nothing has changed.
        comparisons: how many there are.
    """
    n, mean = len(references), statistics.fmean(references)
    quantile = stats.t.ppf(1 - (1 - level) / comparisons / 2, n - 1)
    half = float(quantile) * statistics.stdev(references) * math.sqrt(1 / runs + 1 / n)
    return mean - half, mean + half


def _bits(line: Line, references: Sequence[Reference]) -> str:
    by_seed = {one.seed: one for one in references}
    pairs = [(record, by_seed[record.seed]) for record in line.records if record.seed in by_seed]
    here = [(record, one) for record, one in pairs if platform(record) == one.platform]
    if not here:
        return "no reference run of these seeds on this platform, bits are not compared"
    same = sum(
        all_metrics(record, line.row) == one.metrics and record.log_probabilities_sha256 == one.log_probabilities_sha256
        for record, one in here
    )
    return f"{same} of {len(here)} runs are the references' to the last bit"
