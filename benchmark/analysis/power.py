"""The runs that would decide what is undecided, and what today's runs could find."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmark.analysis.claims import Judgment
from benchmark.analysis.findings import Finding
from benchmark.analysis.verdicts import MOST_RUNS, detectable, runs_needed


@dataclass(frozen=True)
class Plan:
    """One undecided comparison and the runs that would decide it."""

    judgment: Judgment
    finding: Finding
    detectable: float | None
    """The smallest difference that today's runs find with a power of 80 %; None where a side has no spread."""
    needed: int | None
    """Runs of each row that find the expected difference with that power; None if it is unknown, as where a side
    has no spread, or above MOST_RUNS."""

    @property
    def needed_in_words(self) -> str:
        """The runs that are needed, as far as they are known.

        Where there are as many and the comparison is undecided still, the difference is likely smaller than expected.
        """
        if self.needed is not None:
            enough = "" if any(self.missing.values()) else ", which there are: the difference is likely smaller"
            return f"{self.needed} of each row{enough}"
        if self.detectable is not None:
            return f"more than {MOST_RUNS:,} of each row"
        if self.finding.effect and self.finding.effect.diverged:
            return "not known where runs diverge"
        return "unknown before each row has 2 that differ" if self.finding.is_of_two_rows else "not known of ensembles"

    @property
    def missing(self) -> dict[str, int]:
        """Runs that each row lacks, by its name."""
        if self.needed is None or self.finding.effect is None:
            return {}
        sides = (self.finding.effect.before, self.finding.effect.after)
        there = [len(side.values) for side in sides]
        return {name: max(0, self.needed - runs) for name, runs in zip(self.finding.rows, there, strict=True)}


def plans(judgments: Iterable[Judgment]) -> Iterator[Plan]:
    """The undecided comparisons that decide a claim, each with the runs that it needs."""
    for judgment in judgments:
        for finding in judgment.deciding if judgment.is_decided_here else ():
            if finding.verdict == "undecided":
                yield _plan(judgment, finding)


def _plan(judgment: Judgment, finding: Finding) -> Plan:
    effect = finding.effect
    if effect is None or effect.before.spread is None or effect.after.spread is None:
        return Plan(judgment, finding, None, None)
    spreads = (effect.before.spread, effect.after.spread)
    runs = (len(effect.before.values), len(effect.after.values))
    return Plan(judgment, finding, detectable(spreads, runs), runs_needed(finding.expected, spreads))
