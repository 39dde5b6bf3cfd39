"""What each command does; `benchmark.cli` parses for it."""

import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt

from benchmark import UserError, averages, figures, rows, tables
from benchmark.claims import judge
from benchmark.configs import Profile, Row
from benchmark.launchers import Kind, make_launcher
from benchmark.lines import Line, gather, placement
from benchmark.plan import plan
from benchmark.processes import rank
from benchmark.progress import duration
from benchmark.records import COMMITTED, Record, Store
from benchmark.report import page
from benchmark.suite import Run, headline, run_grid
from benchmark.training import Options, rebuild_command, train
from datamodules.sources import DataError, FolderSource, Source

LONGEST_NAME = 150
"""Of a variant, which names a folder; what the name leaves out still tells its runs apart, by their fingerprint."""


def list_rows(profile: Profile | None = None, rows_file: Path | None = None) -> int:
    """Show the rows, their configurations in short, and the paper's figures for them.

    Args:
        profile: only the rows of this profile.
        rows_file: Python file with rows of your own.
    """
    table = [("row", "profiles", "size", "dropout", "paper", "")]
    for row in rows.load(rows_file):
        if profile is None or profile in row.profiles:
            table.append((row.name, ", ".join(row.profiles), row.size, placement(row.config), paper(row), row.note))
    _print_columns(table)
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
    chosen = rows.find(row, rows.load(rows_file))
    if chosen.average_of:
        raise UserError(f"{row} is an average, not trained; `rnnreg reproduce --only {row}` trains {chosen.average_of}")
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
    every = rows.load(rows_file)
    chosen = (
        [rows.find(name, every) for name in only.split(",")]
        if only
        else [row for row in every if profile in row.profiles]
    )
    trained = {row.name: row for row in (rows.find(row.average_of or row.name, every) for row in chosen)}.values()
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
        _print_columns(table)
        print("", *words, sep="\n")
        return 0
    failures = run_grid(grid, make(), retries, rows_file)
    device = "cuda" if options.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
    try:
        for record in averages.update(chosen, every, Store(options.store), options.data, device):
            row = rows.find(record.row, every)
            print(f"{row.name} of seeds {', '.join(map(str, record.details['members']))}: {headline(row, record)}")
    except (UserError, DataError) as error:  # the runs are there, and so shall be their table
        failures[f"averages: {error}"] = 0
    lines = _lines(chosen, options.store)
    tables.write({**_tables(lines, options.store), **_report(lines, options.store)}, check=False)
    print(tables.markdown(lines))
    print(tables.claims_summary(lines).markdown())
    print(f"\ntables: {options.store}/table.md, table.csv, claims.md; report: {options.store}/report.html")
    if failures:
        failed = sum(failures.values())
        what = f"{failed} of {len(grid)} runs failed, the others are kept" if failed else "all runs are kept, but"
        raise UserError(f"{what}: {'; '.join(failures)}")
    return 0


def table(
    store: Path = Path("runs"),
    output: Path | None = None,
    readme: Path | None = None,
    check: bool = False,
    rows_file: Path | None = None,
) -> int:
    """Make the tables, the figures and the report again from records, without training anything.

    Args:
        store: folder that holds the records.
        output: folder that takes them; that of the records if not given.
        readme: page to insert the table and the claims into, between their markers.
        check: write nothing, and fail when what is there is not what the records give.
        rows_file: Python file with rows of your own.
    """
    lines = _lines(rows.load(rows_file), _existing(store))
    files = {**_tables(lines, output or store), **_report(lines, output or store)}
    if readme:
        try:
            page = readme.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"--readme {readme}: {error.strerror}") from error
        page = tables.insert("results", tables.summary(lines), page, str(readme))
        files[readme] = tables.insert("claims", tables.claims_summary(lines).markdown(), page, str(readme))
    return _write(files, check)


def report(store: Path = Path("runs"), output: Path | None = None, rows_file: Path | None = None) -> int:
    """Write a page to look at, report.html, and the figures, from records: needs no network, and no training.

    Args:
        store: folder that holds the records.
        output: folder that takes them, and whose pictures of captions the page shows; that of the records if not given.
        rows_file: Python file with rows of your own.
    """
    return _write(_report(_lines(rows.load(rows_file), _existing(store)), output or store), check=False)


def claims(store: Path = Path("runs"), profile: Profile | None = None, rows_file: Path | None = None) -> int:
    """Say of each claim of the paper whether the finished runs reproduce it, with the figures.

    Args:
        store: folder that holds the records.
        profile: only the data of this profile.
        rows_file: Python file with rows of your own.
    """
    for judgement in judge(_lines(rows.load(rows_file), _existing(store))):
        if profile is None or profile in judgement.profiles:
            print(f"{judgement.verdict.upper()}: {judgement.claim.says} (section {judgement.claim.section})")
            print(f"  {judgement.caption.split(' (')[0]}; test: {judgement.claim.test}")
            for finding in judgement.findings if judgement.is_run else ():
                print(f"    {finding.about}: {finding.figures}: {finding.verdict} [{', '.join(finding.rows)}]")
            if not judgement.is_run:
                print("    not run yet")
    return 0


def _existing(store: Path) -> Path:
    if not store.is_dir():
        raise UserError(f"--store {store}: there is no such folder; `rnnreg reproduce` makes one")
    return store


def _tables(lines: Sequence[Line], output: Path) -> dict[Path, str]:
    return {
        output / "table.md": tables.markdown(lines),
        output / "table.csv": tables.as_csv(lines),
        output / "claims.md": tables.claims(lines),
    }


def _report(lines: Sequence[Line], output: Path) -> dict[Path, str]:
    drawn = figures.draw(lines)
    pictures = {path.stem: path.read_bytes() for path in sorted(output.glob("*-captions.png"))}
    files = {output / f"{name}.svg": svg for name, svg in drawn.items()}
    return {**files, output / "report.html": page(lines, drawn, pictures)}


def _write(files: dict[Path, str], check: bool) -> int:
    stale = tables.write(files, check)
    if check and stale:
        raise UserError(f"stale: {', '.join(map(str, stale))}; `make table` makes them anew from the records")
    print("up to date" if not stale else f"written: {', '.join(map(str, stale))}")
    return 0


def _lines(chosen: Sequence[Row], store: Path) -> list[Line]:
    """The rows with their records in a store; names on standard error what is left out."""
    notes: list[str] = []
    lines = gather(chosen, Store(store).records(skipped=notes), notes)
    for note in notes:
        _left_out(note)
    return lines


def _left_out(note: str) -> None:
    print(f"rnnreg: left out: {note}", file=sys.stderr)


def collect(store: Path = Path("runs"), into: Path = COMMITTED) -> int:
    """Copy the finished runs of shipped rows to where they are committed: records and log-probabilities only.

    Runs of changed configurations and of a changed working tree are named and left where they are.

    Args:
        store: folder that holds the runs.
        into: folder of committed records.
    """
    copied = 0
    for line in _lines(rows.ROWS, _existing(store)):
        for record in line.records:
            if record.commit == "unknown" or record.commit.endswith("-dirty"):
                _left_out(f"{record.run}: ran from uncommitted code ({record.commit})")
            elif not _is_there(record, into):
                (into / record.run).mkdir(parents=True, exist_ok=True)
                for name in ("log_probabilities.npz", "record.json"):
                    if (store / record.run / name).exists():  # an average has no log-probabilities of its own
                        shutil.copyfile(store / record.run / name, into / record.run / name)
                copied += 1
    for record in averages.update(rows.ROWS, rows.ROWS, Store(into)):
        print(f"{record.row} averages seeds {', '.join(map(str, record.details['members']))}")
    print(f"{copied} records copied to {into}; `make table` shows them")
    return 0


def _is_there(record: Record, into: Path) -> bool:
    """Whether a folder of committed records has this one; an average of other members is not this one."""
    there = Store(into).find(record.run)
    return there is not None and there.details.get("members") == record.details.get("members")


def data(
    action: Literal["list", "fetch", "verify"] = "list", names: list[str] | None = None, data: Path = Path("data")
) -> int:
    """List the data sources, download them, or check what is there.

    Args:
        action: list, fetch (download what is missing, then verify) or verify.
        names: of the sources; all if not given.
        data: folder that holds the data, one folder per source.
    """
    by_name = {source.name: source for source in rows.SOURCES}
    for name in names or []:
        if name not in by_name:
            raise UserError(f"there is no source {name!r}; there are {', '.join(by_name)}")
    chosen = [by_name[name] for name in names or by_name]
    if action == "list":
        listing = [
            (source.name, source.task, _here(source, data), source.description, source.terms) for source in chosen
        ]
        _print_columns([("source", "task", "here", "what", "terms"), *listing])
        return 0
    failures = []
    for source in chosen:
        try:
            (source.fetch if action == "fetch" else source.verify)(data)
            print(f"{source.name}: {data / source.name} {source.verified}")
        except DataError as error:
            failures.append(str(error))
    if failures:
        raise UserError("; ".join(failures))
    return 0


def _here(source: Source | FolderSource, data: Path) -> str:
    try:
        source.verify(data)
    except DataError:
        return "incomplete" if (data / source.name).exists() else "no"
    return "yes"


def paper(row: Row) -> str:
    """The paper's figures for a row, in short."""
    if not row.published:
        return "–"
    metrics = {metric.name: metric for metric in (row.config.training, *row.config.headline)}
    figures = [metrics[name].as_given(value) for name, value in row.published.metrics.items()]
    return f"{row.published.source}: {' / '.join(figures)}"


def _print_columns(table: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
