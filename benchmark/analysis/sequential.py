"""Runs until a claim is decided: looks that are declared beforehand share the error among them.

Whoever looks after every run and stops when the interval is right is wrong far more often than 5 % of the time. Here
the numbers of runs at which a comparison is judged are fixed, and each look has its part of the 5 % (Bonferroni), so
that looking several times costs nothing in honesty. A look uses the first seeds only, whatever others are there, and
its part of the error does not depend on how many looks are asked for. The same records always give the same decisions,
and a stopped procedure resumes, with more seeds than before if that is asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmark.analysis.claims import Judgment, judge
from benchmark.analysis.findings import Finding
from benchmark.analysis.results import RowResults
from benchmark.analysis.verdicts import Verdict

LOOKS = (3, 5, 8, 12, 20)
"""Numbers of seeds of each row at which comparisons are judged; there are no others."""

ERROR = 0.05
"""Probability of a wrong decision about a comparison, over all its looks."""


@dataclass(frozen=True)
class Comparison:
    """A comparison that decides a claim, and how far the procedure is with it."""

    judgment: Judgment
    finding: Finding
    verdict: Verdict
    """Undecided until a look decides it."""
    look: int
    """Seeds of each row at the look that decided it, or at the next one; of one that stays undecided, at the last."""
    missing: tuple[tuple[str, int], ...] = ()
    """Row and seed of the runs that the next look needs; none if the procedure is through with it."""
    diverged: bool = False
    """Whether runs of the look diverged, which the others decide nothing beside; it ends there."""

    @property
    def is_open(self) -> bool:
        """Whether there is a look to come."""
        return bool(self.missing)

    @property
    def is_settled(self) -> bool:
        """Whether no later look changes it: it waits for runs, is decided, or runs of it diverged."""
        return self.is_open or self.verdict != "undecided" or self.diverged


def looks(most: int) -> tuple[int, ...]:
    """The looks of a procedure that makes at most so many runs of a row."""
    return tuple(look for look in LOOKS if look <= most)


def compare(table: Sequence[RowResults], most: int) -> list[Comparison]:
    """Every comparison of two trained rows that decides a claim, each after the looks that its runs allow.

    A look with a run that diverged decides nothing, and as another seed would not mend that, it is the last one.

    Args:
        table: the rows with their runs; comparisons with other rows are left out.
        most: most runs of a row.
    """
    seeds = {results.row.name: {record.seed for record in results.records} for results in table}
    found: dict[tuple[str, str, str], Comparison] = {}
    for look in looks(most):
        first = [_first(results, look) for results in table]
        lost = {results.row.name for results in first if results.diverged}
        for judgment, finding in _deciding(judge(first, 1 - ERROR / len(LOOKS))):
            key = (judgment.claim.statement, judgment.source, finding.comparison)
            if key in found and found[key].is_settled:
                continue
            diverged = bool(lost & set(finding.rows))
            asked = () if diverged else range(1, look + 1)
            missing = [(name, seed) for name in finding.rows for seed in asked if seed not in seeds[name]]
            verdict: Verdict = "undecided" if missing else finding.verdict
            found[key] = Comparison(judgment, finding, verdict, look, tuple(missing), diverged)
    return list(found.values())


def _first(results: RowResults, seeds: int) -> RowResults:
    """A row with its runs of the first seeds from 1 on, and those of them that diverged."""
    return replace(
        results,
        records=tuple(record for record in results.records if 1 <= record.seed <= seeds),
        diverged=tuple(seed for seed in results.diverged if 1 <= seed <= seeds),
    )


def _deciding(judgments: Sequence[Judgment]) -> Iterator[tuple[Judgment, Finding]]:
    """The comparisons of two trained rows that decide a claim; ensembles need members, not looks."""
    for judgment in judgments:
        for finding in judgment.deciding if judgment.is_decided_here else ():
            if finding.is_of_two_rows:
                yield judgment, finding
