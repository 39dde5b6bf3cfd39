"""What a grid would do and about how long that takes, before it does anything."""

from collections.abc import Sequence

from benchmark.formatting import duration
from benchmark.grid.estimates import estimate_of
from benchmark.grid.grid import Run, finished
from benchmark.store.records import COMMITTED, Store
from benchmark.training.options import Options


def plan(grid: Sequence[Run], options: Options, slots: int | None) -> tuple[list[tuple[str, ...]], list[str]]:
    """What the grid has to do, a table row by row, and the sum of it in words.

    Args:
        grid: the runs.
        options: where and how.
        slots: runs at a time; None where that is not known.
    """
    own = list(Store(options.store).records(skipped=[]))
    known = [*own, *Store(COMMITTED).records(skipped=[])]
    found = finished(grid, options, own)
    table: list[tuple[str, ...]] = [("row", "runs", "done", "under way", "each takes", "left", "as in")]
    seconds, unknown = 0.0, []
    for row in {run.row.name: run.row for run in grid}.values():
        runs = [run for run in grid if run.row.name == row.name]
        locks = [run.lock(options.store) for run in runs if run.label not in found]
        done, under_way = len(runs) - len(locks), sum(lock.is_held for lock in locks)
        estimate = estimate_of(row, known)
        each = left = "?"
        if estimate.seconds is not None:
            part = sum(1 - lock.fraction_kept for lock in locks)
            seconds += part * estimate.seconds
            each, left = duration(estimate.seconds), duration(part * estimate.seconds)
        elif locks:
            unknown.append(row.name)
        table.append((row.name, str(len(runs)), str(done), str(under_way), each, left, estimate.basis))
    words = [f"{len(grid) - len(found)} runs to do, {seconds / 3600:.2f} device hours"]
    if slots:
        words[0] += f", about {duration(seconds / slots)} with {slots} at a time"
    if unknown:
        words.append(f"not counted, as no record tells how long they take: {', '.join(unknown)}")
    return table, words
