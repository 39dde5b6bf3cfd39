"""Every committed record can be recomputed as far as records can, and comes from code that is in the history."""

from pathlib import Path

from benchmark.audit.history import History
from benchmark.audit.verify import verify
from benchmark.tasks import registry

RECORDS = Path(__file__).parents[2] / "results" / "records"
STORES = ("records", "tuning", "surface", "precision")


def test_no_committed_record_has_a_fault() -> None:
    history = History()
    assert history.is_whole, "needs the whole history: git fetch --unshallow"
    audit = verify(RECORDS, registry.ROWS, history)
    assert [f"{fault.run}: {fault.message}" for fault in audit.faults] == []
    unpublished = {gap.run.split("/")[0] for gap in audit.gaps if gap.check == "data"}
    assert unpublished <= {"surface"}  # parts of a text have checksums of their own
    assert len(audit.runs) == sum(path.parts[-4] in STORES for path in RECORDS.rglob("record.json")) > 200
