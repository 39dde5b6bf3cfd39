"""Runs until a claim is decided: looks that are declared beforehand share the error among them.

Whoever looks after every run and stops when the interval is right is wrong far more often than 5 % of the time. Here
the numbers of runs at which a comparison is judged are fixed, and each look has its part of the 5 % (Bonferroni), so
that looking several times costs nothing in honesty. A look uses the first seeds only, whatever others are there, and
its part of the error does not depend on how many looks are asked for. The same records always give the same decisions,
and a stopped procedure resumes, with more seeds than before if that is asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.analysis.claims import Judgment, judge
from benchmark.analysis.findings import Finding
from benchmark.analysis.results import RowResults
from benchmark.analysis.verdicts import Verdict
from benchmark.store.looks import most_seeds

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
    def key(self) -> tuple[str, ...]:
        """What tells it from all other comparisons."""
        return _key(self.judgment, self.finding)

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
    found: dict[tuple[str, ...], Comparison] = {}
    for look in looks(most):
        first = [_first(results, look) for results in table]
        lost = {results.row.name for results in first if results.diverged}
        for judgment, finding in _deciding(judge(first, 1 - ERROR / len(LOOKS))):
            key = _key(judgment, finding)
            if key in found and found[key].is_settled:
                continue
            diverged = bool(lost & set(finding.rows))
            asked = () if diverged else range(1, look + 1)
            missing = [(name, seed) for name in finding.rows for seed in asked if seed not in seeds[name]]
            verdict: Verdict = "undecided" if missing else finding.verdict
            found[key] = Comparison(judgment, finding, verdict, look, tuple(missing), diverged)
    return list(found.values())


def judged(table: Sequence[RowResults], store: Path) -> list[Judgment]:
    """Every claim, judged as the runs of a store were made: by looks where looks decided how many there are.

    An interval at 95 % after as many runs as it took to decide is wrong more often than 5 % of the time.

    Args:
        table: the rows with their runs.
        store: the store of these runs, which knows whether `rnnreg reproduce --until_decided` has added to them.

    Raises:
        DataError: what the store says of it is damaged.
    """
    judgments, most = judge(table), most_seeds(store)
    if most is None:
        return judgments
    by_looks = {one.key: one for one in compare(table, most)}
    return [
        replace(one, findings=tuple(_by_looks(finding, by_looks.get(_key(one, finding))) for finding in one.findings))
        for one in judgments
    ]


def _by_looks(finding: Finding, comparison: Comparison | None) -> Finding:
    """A finding with the verdict of its looks, if it has any."""
    if comparison is None:
        return finding
    where = f"{comparison.verdict} with {comparison.look} seeds" if not comparison.is_open else "a look is to come"
    return replace(
        finding,
        figures=f"{finding.figures}; by looks at 99 %: {where}",
        verdict=comparison.verdict,
        with_items=comparison.finding.with_items if comparison.verdict != "undecided" else None,
    )


def _key(judgment: Judgment, finding: Finding) -> tuple[str, ...]:
    return judgment.claim.statement, judgment.source, finding.comparison, *finding.rows


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
