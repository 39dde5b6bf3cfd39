"""Commands that show results: table, report, claims, collect."""

import sys
from pathlib import Path

from benchmark.analysis.results import read_store
from benchmark.formatting import count, print_left_out
from benchmark.tasks import registry
from benchmark.tasks.base import Profile
from benchmark.training.options import STORE
from datamodules.errors import UserError


def table(
    store: Path = STORE,
    output: Path | None = None,
    readme: Path | None = None,
    check: bool = False,
    rows_file: Path | None = None,
) -> int:
    """Make the tables and figures again from records, without training anything.

    Args:
        store: Folder that holds the records.
        output: Folder to write to; that of the records if not given.
        readme: README whose table is renewed, between its markers.
        check: Write nothing; fail when a file is stale.
        rows_file: Python file with rows of your own.
    """
    from benchmark.reports import write

    results = read_store(registry.load(rows_file), store, every_row=True)
    folder = output or store
    files = write.tables_and_figures(results, store, folder)
    if readme:
        files |= write.readme(results, readme)
    if check and (stale := write.stale(files)):
        raise UserError(f"stale: {', '.join(map(str, stale))}; `make table` makes them again from the records")
    written = write.write(files)
    print(f"written: {', '.join(map(str, written))}" if written else "up to date")
    return 0


def report(store: Path = STORE, output: Path | None = None, rows_file: Path | None = None) -> int:
    """Write report.html from records: one page with every figure, table, sample and run, to open in a browser.

    Args:
        store: Folder that holds the records.
        output: Folder to write to, whose pictures of captions the page shows; that of the records if not given.
        rows_file: Python file with rows of your own.
    """
    from benchmark.reports import write

    files = write.page_alone(read_store(registry.load(rows_file), store, every_row=True), store, output or store)
    write.write(files)
    print(*(f"report: {path}" for path in files), sep="\n")
    return 0


def claims(store: Path = STORE, profile: Profile | None = None, rows_file: Path | None = None) -> int:
    """Print for each claim of the paper whether the finished runs reproduce it, with the figures.

    Args:
        store: Folder that holds the records.
        profile: Show only the data of this profile.
        rows_file: Python file with rows of your own.
    """
    from benchmark.analysis.sequential import judged

    for judgment in judged(read_store(registry.load(rows_file), store, every_row=True), store):
        if profile is None or profile in judgment.profiles:
            verdict = judgment.verdict if judgment.is_decided_here else "not decided on this data"
            print(f"{verdict.upper()}: {judgment.claim.statement} ({judgment.claim.place})")
            print(f"  {judgment.data_set.title}; test: {judgment.claim.test}")
            for finding in judgment.findings if judgment.is_run else ():
                reason = judgment.reason_shown_only(finding)
                shown_only = f" (shown only: {reason})" if reason else ""
                rows = ", ".join(finding.rows)
                print(f"    {finding.comparison}: {finding.figures}: {finding.verdict}{shown_only} [{rows}]")
            if not judgment.is_run:
                print("    not run yet")
    return 0


def collect(store: Path = STORE, into: Path = Path("results/records")) -> int:
    """Copy the finished runs of shipped rows to the committed ones: records and arrays, no checkpoints.

    Their evaluations and tunings are copied as well. What is of changed configurations or of a changed working tree is
    named and not copied. The exit code is 1 if something was altered after it was written, which is not copied either.

    Args:
        store: Folder that holds the runs.
        into: Folder of committed records.
    """
    from benchmark.analysis import collection

    corrupt: list[str] = []
    outcome = collection.collect(read_store(registry.ROWS, store, corrupt, every_row=True), store, into)
    for record in outcome.unclean:
        commits = ", ".join(dict.fromkeys(record.uncommitted))
        print(f"rnnreg: left out: {record.run}: ran from uncommitted code ({commits})", file=sys.stderr)
    print_left_out((*outcome.left_out, *outcome.corrupt))
    for record in outcome.ensembles:
        print(f"{record.row} is made of seeds {', '.join(map(str, record.members))}")
    if outcome.evaluations:
        print(f"{count(len(outcome.evaluations), 'evaluation')} copied")
    print(f"{count(len(outcome.copied), 'record')} copied to {into}; `make table` shows them")
    if untrusted := len(corrupt) + len(outcome.corrupt):
        raise UserError(f"{count(untrusted, 'file')} of {store} cannot be trusted, left out; see above")
    return 0
