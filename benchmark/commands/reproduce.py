"""Commands that run rows: list, run, reproduce."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt

from benchmark.analysis import ensembles
from benchmark.analysis.results import placement, read_store
from benchmark.formatting import duration, print_columns
from benchmark.grid.grid import Run, headline, run_grid
from benchmark.grid.launchers import Kind, make_launcher
from benchmark.grid.plan import plan
from benchmark.reports import tables, write
from benchmark.store.provenance import rebuild_command
from benchmark.store.records import Store
from benchmark.tasks import registry
from benchmark.tasks.base import Profile, Row
from benchmark.training.devices import rank
from benchmark.training.options import Options
from benchmark.training.train import train
from datamodules.errors import UserError

LONGEST_NAME = 150
"""Of a variant, which names a folder; what the name leaves out still tells its runs apart, by their fingerprint."""


def list_rows(profile: Profile | None = None, rows_file: Path | None = None) -> int:
    """Show the rows, their configurations in short, and the paper's figures for them.

    Args:
        profile: only the rows of this profile.
        rows_file: Python file with rows of your own.
    """
    table = [("row", "profiles", "size", "dropout", "paper", "")]
    for row in registry.load(rows_file):
        if profile is None or profile in row.profiles:
            table.append((row.name, ", ".join(row.profiles), row.size, placement(row.config), paper(row), row.note))
    print_columns(table)
    return 0


def run(
    row: str,
    options: Options,
    seed: NonNegativeInt = 1,
    rows_file: Path | None = None,
    overrides: dict[str, Any] | None = None,
) -> int:
    """Train and evaluate one row with one seed.

    Args:
        row: name of the row; `rnnreg run ROW --help` shows every field of its configuration, each an option.
        options: where and how.
        seed: of initialisation, dropout masks and data order.
        rows_file: Python file with rows of your own.
        overrides: fields of the configuration to change; the run then counts as a variant, not as the row.
    """
    chosen = registry.find(row, registry.load(rows_file))
    if chosen.ensemble_of:
        raise UserError(
            f"{row} is an average, not trained; `rnnreg reproduce --only {row}` trains {chosen.ensemble_of}"
        )
    changes = {name: value for name, value in (overrides or {}).items() if value != getattr(chosen.config, name)}
    if changes:
        name = "+".join([row, *(f"{field}={value}" for field, value in changes.items())])
        try:
            chosen = chosen.variant(name.replace("/", "_")[:LONGEST_NAME], **changes)
        except ValueError as error:
            raise UserError(str(error)) from error
    record = train(chosen, seed, options, command=rebuild_command(row, seed, rows_file, changes))
    if rank() == 0:
        print(f"{chosen.name} seed {seed}: {headline(chosen, record)}, {duration(record.wall_seconds)}")
        print(f"record: {options.store / record.run / 'record.json'}")
    return 0


def reproduce(
    options: Options,
    profile: Profile = "quick",
    seeds: PositiveInt = 2,
    only: str = "",
    launcher: Kind = "local",
    jobs: PositiveInt | None = None,
    runs_per_device: PositiveInt = 1,
    slurm: dict[str, Any] | None = None,
    retries: NonNegativeInt = 1,
    dry_run: bool = False,
    rows_file: Path | None = None,
) -> int:
    """Train all rows of a profile, make the averages of models, and print the table.

    Runs that have a record are not trained again, half-finished ones go on after their last epoch. Several of these
    commands may work on one store, on one machine or on many: each run is done by one of them.

    Args:
        options: where and how.
        profile: quick (CPU, minutes), standard (one GPU) or paper.
        seeds: runs of each row, with seeds 1 to this; rows that are averaged may ask for more.
        only: names of the rows to run, separated by commas; all of the profile if not given.
        launcher: local (this machine's GPUs, or its cores), ray (the cluster at RAY_ADDRESS, else a Ray of this
            machine's) or slurm (jobs of the cluster that this machine submits to).
        jobs: runs at a time; if not given, one a GPU, or as many as there are cores, or what the cluster has room for.
        runs_per_device: runs that share a GPU.
        slurm: parameters of SLURM's jobs, as submitit takes them: '{"slurm_partition": "gpu", "gpus_per_node": 1}'.
        retries: how often a run is tried again that crashed or whose process died.
        dry_run: say what would be run and about how long it takes, from records of such runs, and run nothing.
        rows_file: Python file with rows of your own, which join their profiles.
    """
    every = registry.load(rows_file)
    chosen = (
        [registry.find(name, every) for name in only.split(",")]
        if only
        else [row for row in every if profile in row.profiles]
    )
    trained = {row.name: row for row in (registry.find(row.ensemble_of or row.name, every) for row in chosen)}.values()
    grid = [
        Run(row, seed, rebuild_command(row.name, seed, rows_file))
        for seed in range(1, max([seeds, *(row.seeds for row in trained)]) + 1)
        for row in trained
        if seed <= max(seeds, row.seeds)
    ]
    make = partial(make_launcher, launcher, options, len(grid), jobs, runs_per_device, slurm)
    if dry_run:
        slots = make().slots if launcher == "local" else jobs
        table, words = plan(grid, options, slots)
        print_columns(table)
        print("", *words, sep="\n")
        return 0
    failures = run_grid(grid, make(), retries, rows_file)
    device = "cuda" if options.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
    try:
        for record in ensembles.update(chosen, every, Store(options.store), options.data, device):
            row = registry.find(record.row, every)
            print(f"{row.name} of seeds {', '.join(map(str, record.members))}: {headline(row, record)}")
    except UserError as error:  # the runs are there, and so shall be their table
        failures[f"averages: {error}"] = 0
    results = read_store(chosen, options.store)
    write.write(write.everything(results, options.store))
    print(tables.markdown(results))
    print(tables.claims_summary(results))
    print(f"\ntables: {options.store}/table.md, table.csv, claims.md; report: {options.store}/report.html")
    if failures:
        failed = sum(failures.values())
        what = f"{failed} of {len(grid)} runs failed, the others are kept" if failed else "all runs are kept, but"
        raise UserError(f"{what}: {'; '.join(failures)}")
    return 0


def paper(row: Row) -> str:
    """The paper's figures for a row, in short."""
    if not row.published:
        return "–"
    metrics = {metric.name: metric for metric in row.config.shown_metrics()}
    figures = [metrics[name].as_given(value) for name, value in row.published.metrics.items()]
    return f"{row.published.source}: {' / '.join(figures)}"
