"""The command that certifies a machine: certify."""

from pathlib import Path

from benchmark.analysis.results import gather, read_store
from benchmark.commands.outputs import refuse_lost
from benchmark.files import write_text
from benchmark.tasks import registry
from benchmark.tasks.base import Profile
from benchmark.training.options import STORE


def certify(
    store: Path = STORE,
    against: Path | None = None,
    output: Path = Path("certificate.json"),
    profile: Profile | None = None,
    processor: str = "",
) -> int:
    """Write what this machine's runs gave beside the committed ones: claims, numbers, bits, hardware, versions, time.

    The certificate is one JSON file, which is RO-Crate metadata too. `rnnreg verify certificate.json` holds it against
    the committed records again.

    Args:
        store: Folder of the machine's runs, as `make reproduce` leaves it.
        against: Folder of the committed records; the suite's own if not given.
        output: File to write.
        profile: Certify the rows of this profile only.
        processor: Certify only runs whose processor or device has this in its name, of a store of several machines.
    """
    import json

    from benchmark.audit.certificate import certify as make
    from benchmark.audit.certificate import summary
    from benchmark.store.records import COMMITTED, Store

    refuse_lost("--output", output)
    rows = [row for row in registry.ROWS if profile is None or profile in row.profiles]
    records = [record for results in read_store(rows, store) for record in results.records]
    mine = [one for one in records if processor in f"{one.device}, {one.versions.get('processor', '')}"]
    own = gather(rows, mine, store=Store(store))
    data = {results.row.config.data_key: run.data_sha256 for results in own for run in results.records}
    committed = read_store(rows, against or COMMITTED, here=lambda row: data.get(row.config.data_key))
    certificate = make(own, committed)
    write_text(output, json.dumps(certificate, indent=1, ensure_ascii=False) + "\n")
    print(summary(certificate["rnnreg"]))
    print(f"written: {output}")
    return 0
