"""Runs that diverged: a small file in the folder of each, so that tables count them beside those that ended."""

import datetime
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.files import writable
from benchmark.store.provenance import describe_commit, is_committed
from benchmark.store.records import FLOAT32, RECORD, run_name
from benchmark.store.sealed import read_all, read_sealed, write_sealed
from datamodules.errors import UserError

DIVERGED = "diverged.json"
"""Name of the file in the run's folder."""

MESSAGE = "training diverged"
"""Begin of the message of a run whose metrics are not finite."""


class Diverged(UserError):
    """The metrics of a training are not finite; the message names them.

    Args:
        message: what is said of it.
        epoch: the epoch after which they were not.
    """

    def __init__(self, message: str, epoch: int = 0) -> None:
        super().__init__(message)
        self.epoch = epoch


def require_finite(metrics: Mapping[str, float], epoch: int, where: str) -> None:
    """Refuse metrics that are not finite.

    Args:
        metrics: metrics of a training.
        epoch: the last epoch that was trained.
        where: where they were measured, in words.

    Raises:
        Diverged: see above.
    """
    if not all(map(math.isfinite, metrics.values())):
        raise Diverged(f"{MESSAGE} {where}: {dict(metrics)}; a smaller lr or clip may help", epoch)


def tells_of(line: str, label: str) -> bool:
    """Whether a line on a run that failed, which begins with the run's label, says that it diverged."""
    return line.startswith(f"{label}: {MESSAGE}")


@dataclass(frozen=True, kw_only=True)
class DivergedRun:
    """A run without a record, since its training diverged."""

    row: str
    """Name of the row."""
    seed: int
    """Seed of the run."""
    fingerprint: str
    """Checksum of its configuration, as in a record."""
    data_sha256: str
    """Checksum of its data, as in a record."""
    epoch: int
    """The epoch after which its metrics were not finite."""
    commit: str
    """Git commit of the suite, as in a record."""
    finished: str
    """Time of its end, UTC, ISO 8601."""
    precision: str = FLOAT32
    """Precision of its products, as in a record; files from before there was a choice have none."""

    @property
    def run(self) -> str:
        """Name of its folder in a store."""
        return run_name(self.row, self.seed, self.fingerprint, self.data_sha256)

    @property
    def is_clean(self) -> bool:
        """Whether it comes from committed code, so that it can be repeated."""
        return is_committed(self.commit)


def keep_diverged(store: Path, **run: Any) -> None:
    """Write down that a run of this code has diverged just now.

    Args:
        store: the store of the run.
        run: the other fields of DivergedRun.

    Raises:
        UserError: the disk is full, or cannot be written for another reason.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_diverged(DivergedRun(commit=describe_commit(), finished=now, **run), store)


def write_diverged(run: DivergedRun, store: Path) -> None:
    """Write the file of a run that has diverged."""
    write_sealed(asdict(run), writable(store / run.run) / DIVERGED)


def read_diverged(store: Path, skipped: list[str] | None = None) -> Iterator[DivergedRun]:
    """The runs of a store that diverged and have not been trained to the end since, in the order of their names.

    Args:
        store: folder of the runs.
        skipped: a list to which a line is added for each file that cannot be trusted; None raises instead.

    Raises:
        CorruptRecord: a file cannot be trusted and `skipped` is None.
    """
    paths = (path for path in sorted(store.glob(f"*/*/{DIVERGED}")) if not (path.parent / RECORD).exists())
    yield from read_all(paths, _read, skipped)


def _read(path: Path) -> DivergedRun:
    return read_sealed(path, DivergedRun, "does not tell of a run that diverged", "train the run again")
