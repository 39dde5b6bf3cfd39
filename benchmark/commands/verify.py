"""The command that audits a store: verify."""

from pathlib import Path
from typing import Annotated

from benchmark.commands.arguments import POSITIONAL
from benchmark.tasks import registry


def verify(
    store: Annotated[Path, POSITIONAL] = Path("runs"),
    data: Path | None = None,
    junit: Path | None = None,
    rows_file: Path | None = None,
) -> int:
    """Recompute all that can be recomputed of a store's records, and name what is not as it should be.

    Nothing is trained, and nothing in the store is executed, so that a store sent by somebody else can be verified. The
    exit code is 0 if every record is as it should be and 1 if one is not. If GITHUB_STEP_SUMMARY is set, the table is
    added to the job summary.

    Args:
        store: folder that holds the records.
        data: folder of the data, to recompute its checksums; without it they are held against the published ones.
        junit: file to write the outcome to as JUnit XML.
        rows_file: Python file with rows of your own.
    """
    from benchmark.audit.history import History
    from benchmark.audit.verify import verify as audit
    from benchmark.reports.audit import junit as as_junit
    from benchmark.reports.audit import markdown
    from benchmark.reports.outcome import publish

    found = audit(store, registry.load(rows_file), History(), data)
    publish("rnnreg verify", markdown(found), as_junit(found), junit)
    print(f"{len(found.runs)} records, {len(found.faults)} faults")
    return 1 if found.faults else 0
