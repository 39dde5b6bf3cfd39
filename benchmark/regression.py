"""Has a metric moved? New runs against committed reference runs, for continuous integration."""

import datetime
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args
from xml.etree import ElementTree

from jsonargparse.typing import OpenUnitInterval, PositiveInt
from scipy import stats

from benchmark import UserError, rows
from benchmark.baselines import (
    BASELINE,
    LEAST_REFERENCES,
    Expected,
    Reference,
    all_metrics,
    compared,
    platform,
    read,
)
from benchmark.configs import Metric
from benchmark.launchers.local import Local
from benchmark.lines import Line, gather
from benchmark.records import Store
from benchmark.suite import Run, run_grid
from benchmark.tables import Table
from benchmark.training import Options, rebuild_command

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


def check(
    options: Options,
    only: str = "",
    seeds: PositiveInt = 2,
    jobs: PositiveInt | None = None,
    level: OpenUnitInterval = 0.99,
    baseline: Path = BASELINE,
    junit: Path | None = None,
    trained: bool = False,
    rows_file: Path | None = None,
) -> int:
    """Train the rows of the baseline again and fail when a metric has moved.

    The mean of the new runs has to lie in the two-sided prediction interval that the spread of the reference runs gives
    for it. A metric that is better than that has moved too; `rnnreg baseline update` accepts it. Ends with 0 when all
    is as expected, 1 when a metric has moved, 2 when that could not be decided. Where GITHUB_STEP_SUMMARY is set, the
    table goes there too.

    Args:
        options: where and how.
        only: names of the rows to check, separated by commas; all of the baseline if not given.
        seeds: new runs of each row, with seeds 1 to this.
        jobs: runs at a time; as many as there are cores, or one on a GPU, if not given.
        level: chance that a check of unchanged code passes, over all its comparisons.
        baseline: file of the reference runs.
        junit: file that takes the outcome as JUnit XML.
        trained: train nothing, compare what the store has.
        rows_file: Python file with rows of your own.
    """
    expected, every = read(baseline), rows.load(rows_file)
    names = only.split(",") if only else list(expected)
    for name in names:
        if name not in expected:
            raise UserError(f"{baseline} has no reference runs of {name}; there are {', '.join(expected) or 'none'}")
    chosen = [rows.find(name, every) for name in names]
    failures: dict[str, int] = {}
    if not trained:  # into a new folder: a run of older code must not stand in for one of today's
        options = replace(options, store=options.store / f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H%M%S.%f}")
        grid = [
            Run(row, seed, rebuild_command(row.name, seed, rows_file)) for seed in range(1, seeds + 1) for row in chosen
        ]
        failures = run_grid(grid, Local(options, jobs), rows_file=rows_file)
    report = compare_all(gather(chosen, Store(options.store).records(skipped=[])), expected, level)
    print(report.markdown())
    try:
        if junit:
            junit.parent.mkdir(parents=True, exist_ok=True)
            junit.write_text(report.junit(), encoding="utf-8")
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(f"## rnnreg check\n\n{report.markdown()}")
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from error
    for failure in failures:
        print(f"failed: {failure}")
    print(f"runs: {options.store}")
    print(VERDICTS[report.code])
    return report.code


VERDICTS = {
    0: "every metric is where the reference runs say",
    1: "a metric has moved; if that is meant, `rnnreg baseline update --reason ...` accepts it",
    2: "nothing has moved, but not all could be decided: see above",
}


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
