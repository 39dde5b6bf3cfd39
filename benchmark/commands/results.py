"""Commands that show results: table, report, claims, collect."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.analysis import ensembles
from benchmark.analysis.claims import judge
from benchmark.analysis.results import Line, gather
from benchmark.reports import figures, tables
from benchmark.reports.page import page
from benchmark.store.records import COMMITTED, Record, Store
from benchmark.tasks import registry
from benchmark.tasks.base import Profile, Row
from datamodules.errors import UserError


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
    lines = _lines(registry.load(rows_file), _existing(store))
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
    return _write(_report(_lines(registry.load(rows_file), _existing(store)), output or store), check=False)


def claims(store: Path = Path("runs"), profile: Profile | None = None, rows_file: Path | None = None) -> int:
    """Say of each claim of the paper whether the finished runs reproduce it, with the figures.

    Args:
        store: folder that holds the records.
        profile: only the data of this profile.
        rows_file: Python file with rows of your own.
    """
    for judgement in judge(_lines(registry.load(rows_file), _existing(store))):
        if profile is None or profile in judgement.profiles:
            print(f"{judgement.verdict.upper()}: {judgement.claim.says} (section {judgement.claim.section})")
            print(f"  {judgement.data_set.title}; test: {judgement.claim.test}")
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
    for line in _lines(registry.ROWS, _existing(store)):
        for record in line.records:
            if not record.is_clean:
                _left_out(f"{record.run}: ran from uncommitted code ({record.commit})")
            elif not _is_there(record, into):
                (into / record.run).mkdir(parents=True, exist_ok=True)
                for name in ("log_probabilities.npz", "record.json"):
                    if (store / record.run / name).exists():  # an average has no log-probabilities of its own
                        shutil.copyfile(store / record.run / name, into / record.run / name)
                copied += 1
    for record in ensembles.update(registry.ROWS, registry.ROWS, Store(into)):
        print(f"{record.row} averages seeds {', '.join(map(str, record.members))}")
    print(f"{copied} records copied to {into}; `make table` shows them")
    return 0


def _is_there(record: Record, into: Path) -> bool:
    """Whether a folder of committed records has this one; an average of other members is not this one."""
    there = Store(into).find(record.run)
    return there is not None and there.members == record.members
