"""What a grid would do and about how long that takes, before it does anything."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.configs import Row
from benchmark.progress import duration
from benchmark.records import Record, Store
from benchmark.suite import Run, finished
from benchmark.training import Options
from datamodules.sources import DataError


@dataclass(frozen=True)
class Estimate:
    """How long one run of a row takes on one device, as far as records tell."""

    seconds: float | None
    """None where no record tells."""
    basis: str
    """What it is taken from."""


def plan(
    grid: Sequence[Run], options: Options, slots: int | None, stores: Sequence[Path]
) -> tuple[list[tuple[str, ...]], list[str]]:
    """What the grid has to do, a table row by row, and the sum of it in words.

    Args:
        grid: the runs.
        options: where and how.
        slots: runs at a time; None where that is not known.
        stores: folders of records to learn times from.
    """
    found = finished_if_readable(grid, options)
    known = [record for store in stores for record in Store(store).records(skipped=[])]
    table: list[tuple[str, ...]] = [("row", "runs", "done", "under way", "each takes", "left", "as in")]
    seconds, unknown = 0.0, []
    for row in {run.row.name: run.row for run in grid}.values():
        runs = [run for run in grid if run.row.name == row.name]
        claims = [run.claim(options.store) for run in runs if run.label not in found]
        done, under_way = len(runs) - len(claims), sum(claim.is_held for claim in claims)
        estimate = estimate_of(row, known)
        each = left = "?"
        if estimate.seconds is not None:
            part = sum(1 - epoch / epochs if epochs else 1.0 for epoch, epochs in (claim.progress for claim in claims))
            seconds += part * estimate.seconds
            each, left = duration(estimate.seconds), duration(part * estimate.seconds)
        elif claims:
            unknown.append(row.name)
        table.append((row.name, str(len(runs)), str(done), str(under_way), each, left, estimate.basis))
    words = [f"{len(grid) - len(found)} runs to do, {seconds / 3600:.2f} device hours"]
    if slots:
        words[0] += f", about {duration(seconds / slots)} with {slots} at a time"
    if unknown:
        words.append(f"not counted, as no record tells how long they take: {', '.join(unknown)}")
    return table, words


def finished_if_readable(grid: Sequence[Run], options: Options) -> dict[str, Record]:
    """The runs that the store has; none where data that decides it is not here, which a plan need not have."""
    try:
        return finished(grid, options)
    except DataError:
        return {}


def estimate_of(row: Row, records: Sequence[Record]) -> Estimate:
    """Time of a run of a row: that of its own records, else by its work from the most similar row on the same data."""
    config, fingerprint = row.config, row.config.fingerprint()
    if own := [record for record in records if record.fingerprint == fingerprint and record.curve]:
        return Estimate(statistics.median(record.wall_seconds for record in own), _basis(own))
    similar = [
        (record, type(config)(**record.configuration).work / config.work)
        for record in records
        if record.task == config.task and record.configuration["source"] == config.source and record.curve
    ]
    if not similar:
        return Estimate(None, "no record")
    nearest = min((abs(math.log(ratio)), record.row) for record, ratio in similar)[1]
    of_nearest = [(record, record.wall_seconds / ratio) for record, ratio in similar if record.row == nearest]
    seconds = statistics.median(seconds for _, seconds in of_nearest)
    return Estimate(seconds, f"{nearest}, by its work; {_basis([record for record, _ in of_nearest])}")


def _basis(records: Sequence[Record]) -> str:
    throughput = statistics.median(record.throughput for record in records)
    devices = sorted({record.device for record in records})
    return f"{len(records)} records: {throughput:,.0f} {records[0].unit} per second, {'; '.join(devices)}"
