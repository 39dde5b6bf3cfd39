"""The values of a metric over the runs of a row."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.formatting import count, rounded


@dataclass(frozen=True)
class Sample:
    """The values of one metric over the seeds of a row."""

    values: tuple[float, ...]
    seeds: tuple[int, ...]
    """The seed of each value."""
    diverged: int = 0
    """Further runs of the row that diverged; these are a choice of the better ones, then."""

    @classmethod
    def of(cls, by_seed: Mapping[int, float], diverged: int = 0) -> Sample:
        """The sample of values by their seeds, in the order of the seeds."""
        seeds = tuple(sorted(by_seed))
        return cls(tuple(by_seed[seed] for seed in seeds), seeds, diverged)

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds (n - 1), None for a single run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def spread(self) -> float | None:
        """The standard deviation where it tells of other seeds: runs all alike, or not all of them, tell nothing."""
        return None if self.diverged else self.sd or None

    def show(self, digits: int, of: int | None = None) -> str:
        """Mean and standard deviation for a table cell, and how many runs have the metric if these are not all of them.

        Args:
            digits: digits after the point.
            of: runs of the row; not compared if None.
        """
        spread = "" if self.sd is None else f" ± {rounded(self.sd, digits)}"
        runs = f" ({count(len(self.values), 'run')})" if of not in (None, len(self.values)) else ""
        return f"{rounded(self.mean, digits)}{spread}{runs}"
