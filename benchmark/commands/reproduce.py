"""Commands that run rows: list, run, reproduce."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from jsonargparse.typing import NonNegativeInt, PositiveInt

from benchmark.commands.arguments import FieldsOf, RowName, listed, refuse_unused
from benchmark.commands.until_decided import (
    others_than_diverged,
    require_looks,
    run_until_decided,
    show_open_comparisons,
)
from benchmark.formatting import count, duration, print_columns
from benchmark.grid.launchers import LaunchOptions
from benchmark.tasks import registry
from benchmark.tasks.base import NOT_IN_PAPER, Config, Profile, Row
from benchmark.tasks.row_checks import NO_FOLDER
from benchmark.training.options import Options, require_at_most
from datamodules.errors import UserError

if TYPE_CHECKING:
    from benchmark.grid.grid import Run

LONGEST_NAME = 150
"""Most bytes in the name of a variant, which names a folder. A cut name still tells its runs apart, by their
fingerprint."""
ELSEWHERE = "*"
"""Mark of figures of the paper that are on another data set than the row's."""


def list_rows(profile: Profile | None = None, task: str = "", rows_file: Path | None = None) -> int:
    """Show the rows, their configurations in short, and the paper's figures for them.

    The dropout column shows the probability on the non-recurrent connections and, after a plus, on the recurrent ones.
    An asterisk marks figures of the paper on another data set, which are not for comparison.

    Args:
        profile: Show only the rows of this profile.
        task: Show only the rows of this task: language-modeling, speech, translation or captions.
        rows_file: Python file with rows of your own.
    """
    rows = registry.load(rows_file)
    tasks = dict.fromkeys(row.config.task for row in rows)
    if task and task not in tasks:
        raise UserError(f"--task {task}: there is no such task; there are {', '.join(tasks)}")
    table: list[tuple[str, ...]] = [("row", "task", "data", "profiles", "size", "dropout", "paper")]
    for row in rows:
        if (profile is None or profile in row.profiles) and (not task or task == row.config.task):
            table.append(_cells(row))
    print_columns(table)
    if any(cells[-1].endswith(ELSEWHERE) for cells in table):
        print(f"rnnreg: {ELSEWHERE} on another data set than the row's, so not for comparison", file=sys.stderr)
    return 0


def _cells(row: Row) -> tuple[str, ...]:
    """A row's line in the list."""
    config = row.config
    probabilities = [f"{p:.2g}" for p in (config.dropout, config.recurrent_dropout)]
    dropout = "+".join(probabilities) if config.recurrent_dropout else probabilities[0] if config.dropout else "none"
    note = row.note.removesuffix(NOT_IN_PAPER).removesuffix(", ")
    paper = "; ".join(part for part in (published(row), note) if part) or "–"
    return row.name, config.task, Path(config.source).name, ", ".join(row.profiles) or "none", row.size, dropout, paper


def published(row: Row) -> str:
    """The paper's figures for a row in short, marked if they are on another data set; empty if there are none."""
    if not row.published:
        return ""
    metrics = {metric.name: metric for metric in row.config.shown_metrics()}
    figures = [metrics[name].as_given(value) for name, value in row.published.metrics.items()]
    return f"{row.published.source}: {'/'.join(figures)}{ELSEWHERE if row.published.on else ''}"


def row_config(row: str, rows_file: str = "") -> Config:
    """The configuration whose fields `run` takes as options: that of its row.

    Raises:
        UserError: there is no such row.
    """
    return registry.find(row, registry.load(Path(rows_file) if rows_file else None)).config


def run(
    row: RowName,
    overrides: Annotated[Mapping[str, Any], FieldsOf(row_config)],
    options: Options = Options(),  # noqa: B008  frozen
    seed: NonNegativeInt = 1,
    rows_file: Path | None = None,
) -> int:
    """Train and evaluate one row with one seed.

    `rnnreg run ROW --help` shows every field of the row's configuration, each of them an option. A run with a changed
    field counts as a variant, not as the row.

    Args:
        row: Name of the row.
        overrides: Fields of the configuration.
        options: Where and how to run.
        seed: Seed of initialization, dropout masks and data order.
        rows_file: Python file with rows of your own.
    """
    from benchmark.grid.progress import headline
    from benchmark.store.provenance import rebuild_command
    from benchmark.training.devices import rank
    from benchmark.training.train import train

    chosen = registry.find_trained(row, registry.load(rows_file))
    changes = {name: value for name, value in overrides.items() if value != getattr(chosen.config, name)}
    if changes:
        chosen = _variant(chosen, changes)
    record = train(chosen, seed, options, command=rebuild_command(row, seed, rows_file, changes))
    if rank() == 0:
        print(f"{chosen.name} seed {seed}: {headline(chosen, record)}, {duration(record.wall_seconds)}")
        print(f"record: {options.store / record.run / 'record.json'}")
    return 0


def _variant(row: Row, changes: Mapping[str, Any]) -> Row:
    """The row with changed fields, under a name that tells them."""
    name = "+".join([row.name, *(f"{field}={value}" for field, value in changes.items())])
    try:
        return row.variant(os.fsencode(NO_FOLDER.sub("_", name))[:LONGEST_NAME].decode(errors="ignore"), **changes)
    except ValueError as error:
        raise UserError(str(error)) from error


def reproduce(
    options: Options = Options(),  # noqa: B008  frozen
    profile: Profile = "quick",
    seeds: PositiveInt = 2,
    only: str = "",
    launching: LaunchOptions = LaunchOptions(),  # noqa: B008  frozen
    until_decided: bool = False,
    max_seeds: PositiveInt = 20,
    dry_run: bool = False,
    rows_file: Path | None = None,
) -> int:
    """Train all rows of a profile, make the ensembles of models, and print the table.

    Runs that have a record are not trained again, interrupted ones resume from their last checkpoint. Several of these
    commands may work on one store, on one machine or on many: each run is executed by one of them.

    Args:
        options: Where and how to run.
        profile: Rows to run: quick (CPU, minutes), standard (one GPU), paper, or atlas (ways to regularize).
        seeds: Runs of each row, with seeds 1 to this number; a row that an ensemble is made of may need more.
        only: Names of the rows to run, separated by commas; all rows of the profile if not given.
        launching: Where runs are executed, and how many at a time.
        until_decided: Afterward, add seeds to the rows of the paper's claims until each comparison is decided: it is
            judged with 3, 5, 8, 12 and 20 seeds, at 95 % over all these looks, the cheapest comparison first.
        max_seeds: With --until_decided, most seeds of a row, from 3 to 20.
        dry_run: Run nothing; say what would be run and about how long it takes, from records of such runs.
        rows_file: Python file with rows of your own, which join their profiles.
    """
    from benchmark.grid.grid import data_at_hand, run_grid

    require_at_most("--seeds", seeds)
    if only:
        refuse_unused(reproduce, "with --only, which names the rows", profile=profile)
    if not until_decided:
        refuse_unused(reproduce, "without --until-decided", max_seeds=max_seeds)
    else:
        require_looks(max_seeds, seeds)
    every = registry.load(rows_file)
    chosen = _chosen(only, profile, every)
    grid = _grid(chosen, every, seeds, rows_file)
    make, retries = partial(launching.make, options), launching.retries
    if dry_run:
        show_plan(grid, options, launching)
        return show_open_comparisons(chosen, options, max_seeds) if until_decided else 0
    failures, all_are_asked_for = run_grid(grid, make(len(grid)), retries, rows_file), True
    if until_decided and not others_than_diverged(failures, grid):
        failures |= run_until_decided(chosen, options, max_seeds, make, retries, rows_file)
        all_are_asked_for = False
    here = data_at_hand(options.data)
    not_made = _make_ensembles(chosen, every, options, here)
    _show_results(chosen, every, options.store, here)
    if failures:
        lines = "; ".join([*failures, *not_made])
        lost = sum(failures.values())
        which = f"{lost} of {len(grid)} runs" if all_are_asked_for else count(lost, "run")
        raise UserError(f"{which} failed, the others are kept: {lines}")
    if not_made:
        raise UserError(f"all runs are kept, but {'; '.join(not_made)}")
    return 0


def _chosen(only: str, profile: Profile, every: Sequence[Row]) -> list[Row]:
    """The rows that are named, or else those of the profile."""
    if only:
        return [registry.find(name, every) for name in listed("--only", only)]
    return [row for row in every if profile in row.profiles]


def _grid(chosen: Sequence[Row], every: Sequence[Row], seeds: int, rows_file: Path | None) -> "list[Run]":
    """The runs of the rows, and of those that ensembles among them are made of, seed by seed."""
    from benchmark.grid.grid import Run
    from benchmark.store.provenance import rebuild_command

    trained = _trained(chosen, every)
    return [
        Run(row, seed, rebuild_command(row.name, seed, rows_file))
        for seed in range(1, max([seeds, *(row.seeds for row in trained)]) + 1)
        for row in trained
        if seed <= max(seeds, row.seeds)
    ]


def _trained(chosen: Sequence[Row], every: Sequence[Row]) -> list[Row]:
    """The rows that are trained for these: themselves, or those of which an ensemble is made."""
    return list(
        {row.name: row for row in (registry.find(row.ensemble_of or row.name, every) for row in chosen)}.values()
    )


def show_plan(grid: "Sequence[Run]", options: Options, launching: LaunchOptions) -> None:
    """Print what is left of a grid, and about how long it takes; of variants of rows the totals alone."""
    from benchmark.grid.plan import plan

    table, words = plan(grid, options, launching.slots(options, len(grid)))
    if not any(run.variant_of for run in grid):
        print_columns([*table, ("",) * len(table[0])])
    print(*words, sep="\n")


def _make_ensembles(
    chosen: Sequence[Row], every: Sequence[Row], options: Options, here: Callable[[Row], str | None]
) -> list[str]:
    """Make the ensembles that the finished runs allow; gives a line where that fails, since the runs are there."""
    import torch

    from benchmark.analysis import ensembles
    from benchmark.grid.progress import headline
    from benchmark.store.records import Store

    device = "cuda" if options.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
    try:
        for record in ensembles.update(chosen, every, Store(options.store), options.data, device, here):
            row = registry.find(record.row, every)
            print(f"{row.name} of seeds {', '.join(map(str, record.members))}: {headline(row, record)}")
    except UserError as error:
        return [f"ensembles: {error}"]
    return []


def _show_results(chosen: Sequence[Row], every: Sequence[Row], store: Path, here: Callable[[Row], str | None]) -> None:
    """Write tables and report into the store, and print the table, an ensemble's with the runs that it is made of.

    Where the store has runs of other data too, those of the data at hand are shown.
    """
    from benchmark.analysis.results import read_store
    from benchmark.analysis.sequential import judged
    from benchmark.reports import tables, write

    shown = {row.name for row in (*chosen, *_trained(chosen, every))}
    results = read_store([row for row in every if row.name in shown], store, here=here)
    write.write(write.everything(results, store, store))
    print(tables.markdown(results))
    print(tables.claims_summary(judged(results, store)))
    print(f"\ntables: {store}/table.md, table.csv, claims.md; report: {store}/report.html")
