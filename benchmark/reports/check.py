"""How the comparisons of `rnnreg check` are shown: a table in Markdown, and JUnit XML."""

import statistics
from collections.abc import Sequence

from benchmark.analysis.regression import Comparison, Report
from benchmark.analysis.steadiness import SpeedComparison
from benchmark.formatting import Table, as_markdown, count, rounded
from benchmark.reports import outcome
from benchmark.reports.outcome import TestCase


def markdown(report: Report) -> str:
    """A table of the comparisons and, for each row, how many runs match their reference bit for bit."""
    header = ("row", "metric", "new", "expected", "finds a shift of", "outcome", "")
    table = Table(header, tuple(_cells(comparison) for comparison in report.comparisons))
    bits = "".join(f"\n- {as_markdown(f'{row}: {text}')}" for row, text in report.bits.items())
    basis = "; ".join(sorted({comparison.basis for comparison in report.comparisons if comparison.basis}))
    legend = f"Expected from {basis}. A shift of the size given is found with a power of 80 %.\n" if basis else ""
    return f"{table.markdown()}\n\n{legend}{bits}\n"


def _cells(comparison: Comparison) -> tuple[str, ...]:
    digits, new, band = comparison.metric.digits + 1, comparison.new, comparison.band
    mean = f"{rounded(statistics.fmean(new), digits)} ({count(len(new), 'run')})" if new else "–"
    expected = f"{band[0]:.{digits}f} to {band[1]:.{digits}f}" if band else "–"
    shift = comparison.detectable
    finds = f"{shift:.{digits}f} ({shift / statistics.fmean(new):.1%})" if shift is not None and new else "–"
    return comparison.row, comparison.metric.label, mean, expected, finds, comparison.outcome, comparison.message


def junit(report: Report, failures: Sequence[str] = ()) -> str:
    """JUnit XML with a test case for each comparison, and one for each run that failed, of which this is the line."""
    failed = [TestCase("runs", line.partition(": ")[0], "error", line, "failed") for line in failures]
    return outcome.junit("rnnreg check", [*map(_test_case, report.comparisons), *failed])


def _test_case(comparison: Comparison) -> TestCase:
    row, metric = comparison.row, comparison.metric.name
    if comparison.outcome == "passed":
        return TestCase(row, metric)
    kind = "error" if comparison.outcome == "undecided" else "failure"
    return TestCase(row, metric, kind, comparison.message, comparison.outcome)


def speed_markdown(comparisons: Sequence[SpeedComparison]) -> str:
    """A table of speeds."""
    header = ("row", "step, in steps of a plain loop", "expected", "change", "outcome", "")
    body = []
    for one in comparisons:
        expected = f"{one.expected:.3f}" if one.expected else "–"
        change = f"{one.change:+.1%} ± {one.error:.1%}" if one.change is not None and one.error is not None else "–"
        body.append((one.row, f"{one.ratio:.3f}", expected, change, one.outcome, one.message))
    return Table(header, tuple(body)).markdown() + "\n"


def speed_junit(comparisons: Sequence[SpeedComparison]) -> str:
    """JUnit XML with a test case for each row's speed."""
    kinds = {"slower": "failure", "undecided": "error"}
    return outcome.junit(
        "rnnreg check --speed",
        [TestCase(one.row, "speed", kinds.get(one.outcome, ""), one.message, one.outcome) for one in comparisons],
    )
