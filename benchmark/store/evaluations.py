"""Records of evaluations by other methods than the paper's, which are kept apart from the records of runs."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.files import writable
from benchmark.store.provenance import is_committed
from benchmark.store.sealed import read_all, read_sealed, write_sealed

EVALUATIONS = "evaluations"
"""Folder of them in a store."""


@dataclass(frozen=True, kw_only=True)
class EvaluationRecord:
    """The outcome of one evaluation of one model."""

    row: str
    """Name of the row of the model."""
    seed: int
    """Seed of the model."""
    fingerprint: str
    """Fingerprint of the configuration that the model was trained with."""
    data_sha256: str
    """Checksum of the data that it was trained and is evaluated on."""
    log_probabilities_sha256: str
    """Checksum of the log-probabilities that the run left, which tells this model from any other."""
    method: str
    """Name of the method."""
    settings: dict[str, Any]
    """Settings of the method."""
    chosen: list[str]
    """Settings that were chosen on the validation set."""
    metrics: dict[str, float]
    """Figures by this method."""
    plain: dict[str, float]
    """The same figures in the record of the run."""
    seconds: float
    """Duration of the evaluation, the choice of settings included."""
    device: str
    """Device that it ran on."""
    versions: dict[str, str]
    """Versions of Python and of the packages that decide the numbers, and the kind of processor."""
    commit: str
    """Git commit of the suite, as in the record of a run."""
    finished: str
    """Time of its end, UTC, ISO 8601."""
    command: str
    """Command line that evaluates the model again."""

    @property
    def is_clean(self) -> bool:
        """Whether it comes from committed code, so that it can be repeated."""
        return is_committed(self.commit)

    @property
    def name(self) -> str:
        """Name of its file."""
        identity = json.dumps([self.log_probabilities_sha256, self.settings, self.chosen], sort_keys=True)
        checksum = hashlib.sha256(identity.encode()).hexdigest()[:8]
        return f"{self.row}-seed-{self.seed}-{self.method}-{checksum}.json"


def write_evaluation(record: EvaluationRecord, store: Path) -> Path:
    """Keep an evaluation in a store, and return its file.

    Raises:
        UserError: the store cannot be written.
    """
    path = writable(store / EVALUATIONS) / record.name
    write_sealed(asdict(record), path)
    return path


def read_evaluations(store: Path, skipped: list[str] | None = None) -> Iterator[EvaluationRecord]:
    """All evaluations of a store, in the order of their names.

    Args:
        store: folder of runs.
        skipped: a list to which a line is added for each corrupt one, which is skipped; None raises instead.

    Raises:
        CorruptRecord: one cannot be trusted and `skipped` is None.
    """
    yield from read_all(sorted((store / EVALUATIONS).glob("*.json")), read_evaluation, skipped)


def read_evaluation(path: Path) -> EvaluationRecord:
    """Read and verify one evaluation.

    Raises:
        CorruptRecord: the file is not JSON, has missing or unknown fields, or was altered since it was written.
    """
    return read_sealed(path, EvaluationRecord, "is no evaluation of this suite", "evaluate again")
