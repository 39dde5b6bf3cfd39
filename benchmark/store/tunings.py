"""Tunings: which trials were drawn of a row's settings. Their records lie in a store of their own."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmark.files import writable
from benchmark.store.sealed import read_all, read_sealed, write_sealed

TUNING = "tuning"
"""Folder of a store that holds its tunings, and is the store of their trials."""

SURFACE = "surface"
"""Folder of a store that is the store of runs on parts of the training text."""

PRECISION = "precision"
"""Folder of a store that is the store of runs in another precision, to be compared with those of the store."""

STUDIES = (TUNING, SURFACE, PRECISION)
"""The stores within a store, whose runs are in no table of rows."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The trials that were drawn of one row's settings."""

    row: str
    """Name of the row."""
    task: str
    """Name of its task."""
    source: str
    """Data that it is trained on."""
    size: str
    """The paper's name for its size."""
    label: str
    """Name of its model in tables."""
    seed: int
    """Seed of the draws."""
    space: dict[str, Any]
    """The settings that were drawn, as `--space` takes them."""
    settings: list[dict[str, Any]]
    """Drawn settings of each trial."""
    fingerprints: list[str]
    """Fingerprint of each trial's configuration, by which its record is found."""
    diverged: list[str]
    """Fingerprints of the trials that diverged, so that there is no record of them."""
    data: list[str] = field(default_factory=list)
    """Checksum of each trial's data, empty where they were not there; tunings until 0.1.0 have none."""

    def data_of(self, fingerprint: str) -> str:
        """Checksum of the data of a trial; empty if it is not known."""
        return dict(zip(self.fingerprints, self.data, strict=False)).get(fingerprint, "")

    def extends(self, other: "Tuning") -> bool:
        """Whether its first trials are all those of another tuning of the row, which it may then replace."""
        return self.settings[: len(other.settings)] == other.settings


def write_tuning(tuning: Tuning, folder: Path) -> Path:
    """Keep a tuning in a folder of tunings, and return its file.

    Raises:
        UserError: the folder cannot be written.
    """
    path = writable(folder) / f"{tuning.row}.json"
    write_sealed(asdict(tuning), path)
    return path


def read_tunings(folder: Path, skipped: list[str] | None = None) -> Iterator[Tuning]:
    """All tunings of a folder, in the order of their names.

    Args:
        folder: the folder, which need not exist.
        skipped: a list to which a line is added for each corrupt one, which is skipped; None raises instead.

    Raises:
        CorruptRecord: one cannot be trusted and `skipped` is None.
    """
    yield from read_all(sorted(folder.glob("*.json")), read_tuning, skipped)


def read_tuning(path: Path) -> Tuning:
    """Read and verify one tuning.

    Raises:
        CorruptRecord: the file is not JSON, has missing or unknown fields, or was altered since it was written.
    """
    return read_sealed(path, Tuning, "is no tuning of this suite", "tune again")
