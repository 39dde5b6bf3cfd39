"""Estimates of how long runs take, from records of similar runs."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.formatting import count
from benchmark.store.records import Record
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from datamodules.errors import UserError


@dataclass(frozen=True)
class Estimate:
    """Estimated duration of one run of a row on one device."""

    seconds: float | None
    """Estimate in seconds; None if there is no record of a similar run."""
    basis: str
    """Records that the estimate is taken from, in words."""


def estimate_of(row: Row, records: Sequence[Record]) -> Estimate:
    """Estimate a row from its own records, else from those of the row on the same data that is closest in cost."""
    config, fingerprint = row.config, row.config.fingerprint()
    if own := [record for record in records if record.fingerprint == fingerprint and record.curve]:
        return Estimate(statistics.median(record.wall_seconds for record in own), _basis(own))
    similar = [
        (record, cost / config.relative_cost)
        for record in records
        if record.task == config.task and record.configuration.get("source") == config.source and record.curve
        if (cost := _relative_cost(record))
    ]
    if not similar:
        return Estimate(None, "no record")
    nearest = min((abs(math.log(ratio)), record.row) for record, ratio in similar)[1]
    of_nearest = [(record, record.wall_seconds / ratio) for record, ratio in similar if record.row == nearest]
    seconds = statistics.median(seconds for _, seconds in of_nearest)
    return Estimate(seconds, f"{nearest}, by its work; {_basis([record for record, _ in of_nearest])}")


def _relative_cost(record: Record) -> float | None:
    """The relative cost of a record's run; None if this version of the suite has no such configuration."""
    try:
        return registry.configuration_of(record).relative_cost
    except UserError:
        return None


def hours_of(runs: Iterable[tuple[Row, int]], records: Sequence[Record]) -> float | None:
    """Device hours of some runs of each row; None if there are none, or no record tells how long one takes."""
    seconds = [(count, estimate_of(row, records).seconds) for row, count in runs if count]
    if not seconds or any(each is None for _, each in seconds):
        return None
    return sum(count * each for count, each in seconds if each is not None) / 3600


def shares(rows: Iterable[Row], records: Sequence[Record]) -> dict[str, float]:
    """Cost of a run of each row, by name, in seconds if there is a record of any similar run.

    The cost of a row without such a record is scaled from the others by its relative cost, as if all tasks and data
    were alike.
    """
    chosen = {row.name: row for row in rows}
    known = {name: estimate_of(row, records).seconds for name, row in chosen.items()}
    rates = [seconds / chosen[name].config.relative_cost for name, seconds in known.items() if seconds is not None]
    rate = statistics.median(rates) if rates else 1.0
    return {
        name: rate * chosen[name].config.relative_cost if seconds is None else seconds
        for name, seconds in known.items()
    }


def _basis(records: Sequence[Record]) -> str:
    throughput = statistics.median(record.throughput for record in records)
    devices = sorted({record.device for record in records})
    return f"{count(len(records), 'record')}: {throughput:,.0f} {records[0].unit} per second, {'; '.join(devices)}"
