"""The plan of a grid: what is left to do, and about how long it takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.formatting import count, duration
from benchmark.grid.estimates import Estimate, estimate_of
from benchmark.grid.grid import Run, finished
from benchmark.store.records import COMMITTED, Store
from benchmark.training.options import Options

HEADER = ("row", "runs", "done", "under way", "each takes", "left", "as in")


@dataclass(frozen=True)
class RowPlan:
    """The plan of a grid's runs of one row."""

    row: str
    runs: int
    done: int
    """Runs that have a record."""
    under_way: int
    """Runs that a process is training now."""
    left: float
    """Work that is left, in runs: of a run that was stopped only the epochs that are missing."""
    estimate: Estimate
    """Estimated duration of one run."""

    @property
    def seconds(self) -> float:
        """Estimated seconds on one device for what is left; 0 if there is no estimate."""
        return self.left * (self.estimate.seconds or 0.0)

    @property
    def is_unknown(self) -> bool:
        """Whether runs are left and nobody knows how long they take."""
        return self.estimate.seconds is None and self.done < self.runs

    def cells(self) -> tuple[str, ...]:
        """The row's line of the table."""
        known = self.estimate.seconds is not None
        each, left = (duration(self.estimate.seconds or 0.0), duration(self.seconds)) if known else ("?", "?")
        return (self.row, str(self.runs), str(self.done), str(self.under_way), each, left, self.estimate.basis)


def plan(grid: Sequence[Run], options: Options, slots: int | None) -> tuple[list[tuple[str, ...]], list[str]]:
    """Plan a grid: a table with a line for each row, and lines of text with the totals.

    Args:
        grid: the runs.
        options: options of the runs.
        slots: number of runs at a time; None if it is not known.
    """
    own = list(Store(options.store).records(skipped=[]))
    known = [*own, *Store(COMMITTED).records(skipped=[])]
    found = finished(grid, options, own)
    rows = []
    for row in {run.row.name: run.row for run in grid}.values():
        runs = [run for run in grid if run.row.name == row.name]
        locks = [run.lock(options.store) for run in runs if run.label not in found]
        under_way, left = sum(lock.is_held for lock in locks), sum(1 - lock.fraction_kept for lock in locks)
        rows.append(RowPlan(row.name, len(runs), len(runs) - len(locks), under_way, left, estimate_of(row, known)))
    return [HEADER, *(row.cells() for row in rows)], totals(rows, slots)


def totals(rows: Sequence[RowPlan], slots: int | None) -> list[str]:
    """The totals of a plan in words: the runs left, how long they take, and rows for which that is unknown."""
    seconds = sum(row.seconds for row in rows)
    unknown = [row.row for row in rows if row.is_unknown]
    lines = [f"{count(sum(row.runs - row.done for row in rows), 'run')} to do"]
    if seconds or not unknown:
        lines[0] += f", {seconds / 3600:.2f} device hours"
        lines[0] += f", about {duration(seconds / slots)} with {slots} at a time" if slots else ""
    if unknown:
        lines.append(f"not counted, as no record tells how long they take: {', '.join(unknown)}")
    return lines
