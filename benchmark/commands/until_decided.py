"""The part of `rnnreg reproduce` that adds seeds until the paper's claims are decided."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.formatting import print_columns
from benchmark.store.diverged import tells_of
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from benchmark.training.options import Options
from datamodules.errors import UserError, counted

if TYPE_CHECKING:
    from benchmark.analysis.results import RowResults
    from benchmark.analysis.sequential import Comparison
    from benchmark.grid.grid import Run
    from benchmark.grid.launchers.base import Launcher
    from benchmark.store.records import Record


def require_looks(max_seeds: int, seeds: int) -> None:
    """Refuse a largest number of seeds that no procedure ends with.

    Raises:
        UserError: it is below the first look, above the last one, or below the number of seeds that are asked for.
    """
    from benchmark.analysis.sequential import LOOKS

    if not LOOKS[0] <= max_seeds <= LOOKS[-1]:
        planned = ", ".join(map(str, LOOKS))
        raise UserError(f"--max-seeds {max_seeds}: expected {LOOKS[0]} to {LOOKS[-1]}, as looks are at {planned} seeds")
    if seeds > max_seeds:
        raise UserError(f"--seeds {seeds}: expected at most --max-seeds {max_seeds}, as all of them are judged")


def run_until_decided(
    rows: Sequence[Row],
    options: Options,
    max_seeds: int,
    make_launcher: "Callable[[int], Launcher]",
    retries: int,
    rows_file: Path | None,
) -> dict[str, int]:
    """Run the next look of the cheapest open comparison, until none is open; print each decision.

    A run that diverges ends its comparisons, which stay undecided. Others that fail end the procedure.

    Returns:
        The runs that failed, as `run_grid` does.

    Raises:
        UserError: a run that was made does not count, so that it would be asked for again and again.
    """
    from benchmark.analysis import sequential
    from benchmark.grid.grid import Run, data_at_hand, run_grid
    from benchmark.store.looks import note_looks
    from benchmark.store.provenance import rebuild_command

    lost: dict[str, int] = {}
    told: set[tuple[str, ...]] = set()
    made: set[str] = set()
    here = data_at_hand(options.data)
    note_looks(options.store, max_seeds)
    while True:
        comparisons = sequential.compare(_at_hand(rows, options.store, here), max_seeds)
        for one in comparisons:
            if not one.is_open and one.key not in told:
                told.add(one.key)
                why = ", as runs diverged" if one.diverged else ""
                about = f"{Path(one.judgment.source).name}, {one.finding.comparison}"
                print(f"{one.verdict} with {one.look} seeds{why}: {about}", flush=True)
        waiting = [one for one in comparisons if one.is_open]
        if not waiting:
            return lost
        records = _records(options.store)
        hours = [_hours(one, records, rows) for one in waiting]
        known = [math.inf if each is None else each for each in hours]
        cheapest = waiting[known.index(min(known))]
        print(f"look at {cheapest.look} seeds: {cheapest.finding.comparison}", flush=True)
        grid = [
            Run(registry.find(name, rows), seed, rebuild_command(name, seed, rows_file))
            for name, seed in sorted(cheapest.missing, key=lambda run: run[1])
        ]
        if again := sorted({run.label for run in grid} & made):
            raise UserError(
                f"{again[0]} has been made and does not count: its data are others than {options.data} holds; "
                "name the folder of its data by --data"
            )
        failures = run_grid(grid, make_launcher(len(grid)), retries, rows_file)
        made |= {run.label for run in grid if not any(tells_of(line, run.label) for line in failures)}
        if others_than_diverged(failures, grid) or failures.keys() & lost.keys():
            return lost | failures
        lost |= failures


def others_than_diverged(failures: Mapping[str, int], grid: "Sequence[Run]") -> list[str]:
    """The failures of a grid but for the runs that diverged, which would do so again."""
    return [line for line in failures if not any(tells_of(line, run.label) for run in grid)]


def show_open_comparisons(rows: Sequence[Row], options: Options, max_seeds: int) -> int:
    """Print the comparisons that are not decided yet, with the runs and hours of their next look.

    They are judged as the command itself judges them: by runs of the data at hand.
    """
    from benchmark.analysis import sequential
    from benchmark.analysis.results import gather
    from benchmark.grid.grid import data_at_hand

    here = data_at_hand(options.data)
    results = _at_hand(rows, options.store, here) if options.store.is_dir() else gather(rows, [])
    comparisons = [one for one in sequential.compare(results, max_seeds) if one.is_open]
    table: list[tuple[str, ...]] = [("data", "comparison", "next look", "runs", "device hours")]
    records = _records(options.store)
    for one in comparisons:
        hours = _hours(one, records, rows)
        name = one.judgment.name
        cost = "?" if hours is None else f"{hours:.2f}"
        table.append((name, one.finding.comparison, f"{one.look} seeds", str(len(one.missing)), cost))
    planned = ", ".join(map(str, sequential.looks(max_seeds)))
    open_ones = counted(len(comparisons), "comparison", "is", "are")
    print(f"\nuntil decided: {open_ones} open; looks at {planned} seeds of each row")
    if comparisons:
        print_columns(table)
    return 0


def _at_hand(rows: Sequence[Row], store: Path, here: Callable[[Row], str | None]) -> "list[RowResults]":
    """The rows with their runs of the data at hand alone, which the next runs are of, if it is known.

    Tables show runs of other data where there are no others.
    """
    from benchmark.analysis.results import read_store

    table = read_store(rows, store, here=here)
    return [
        replace(one, records=(), diverged=())
        if one.records and here(one.row) not in (None, one.records[0].data_sha256)
        else one
        for one in table
    ]


def _records(store: Path) -> "list[Record]":
    from benchmark.store.records import COMMITTED, Store

    return [*Store(store).records(skipped=[]), *Store(COMMITTED).records(skipped=[])]


def _hours(comparison: "Comparison", records: "Sequence[Record]", rows: Sequence[Row]) -> float | None:
    from benchmark.grid.estimates import hours_of

    return hours_of([(registry.find(name, rows), 1) for name, _ in comparison.missing], records)
