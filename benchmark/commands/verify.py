"""The command that audits a store: verify."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from benchmark.commands.arguments import POSITIONAL
from benchmark.commands.outputs import refuse_lost
from benchmark.formatting import count
from benchmark.tasks import registry
from benchmark.training.options import STORE

if TYPE_CHECKING:
    from benchmark.tasks.base import Row


def verify(
    store: Annotated[Path, POSITIONAL] = STORE,
    data: Path | None = None,
    junit: Path | None = None,
    rows_file: Path | None = None,
) -> int:
    """Recompute all that can be recomputed of a store's records, and name what is not as it should be.

    The trials of `rnnreg tune`, the runs of `rnnreg surface` and those in another precision are verified with the store
    that they lie in, and so are its evaluations and tunings. Nothing is trained, and nothing in the store is executed,
    so that a store sent by somebody else can be verified. The exit code is 0 if everything is as it should be and 1 if
    something is not. If GITHUB_STEP_SUMMARY is set, the table is added to the job summary.

    Args:
        store: Folder that holds the records, or a certificate that `rnnreg certify` wrote.
        data: Folder of the data, to recompute its checksums; without it they are held against the published ones.
        junit: File to write the outcome to as JUnit XML.
        rows_file: Python file with rows of your own.
    """
    from benchmark.audit.history import History
    from benchmark.audit.verify import verify as audit
    from benchmark.reports.audit import junit as as_junit
    from benchmark.reports.audit import markdown
    from benchmark.reports.outcome import publish

    refuse_lost("--junit", junit, [store] if store.is_file() else [])
    rows = registry.load(rows_file)
    if store.is_file():
        return _verify_certificate(store, rows)
    found = audit(store, rows, History(), data)
    publish("rnnreg verify", markdown(found), as_junit(found), junit)
    print(f"{found.counts}, {count(len(found.faults), 'fault')}")
    return 1 if found.faults else 0


def _verify_certificate(path: Path, rows: "Sequence[Row]") -> int:
    """Hold a certificate against the committed records, and print what is not as it should be."""
    from benchmark.analysis.results import gather
    from benchmark.audit.certificate import faults_of, no_longer_committed, read_certificate, summary
    from benchmark.audit.history import History
    from benchmark.store.records import COMMITTED, Store

    findings = read_certificate(path)
    faults = list(faults_of(findings, rows, History()))
    for fault in faults:
        print(f"- {fault}")
    if faults:
        print(count(len(faults), "fault"))
        return 1
    print(summary(findings))
    if gone := no_longer_committed(findings, gather(rows, Store(COMMITTED).readable())):
        print(f"{gone} values that it was held against are not committed any more: records have changed since")
    print("0 faults")
    return 0
