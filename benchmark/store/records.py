"""Records: one small JSON file per finished run, and the folder that holds them."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import UserError

COMMITTED = Path("results/records")
"""Where the project's own records are, seen from its top folder."""


class CorruptRecord(UserError):
    """A record that cannot be trusted; the message names the file."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that is kept of one finished run."""

    row: str
    """Name of the row."""
    task: str
    """Name of the task."""
    seed: int
    """Seed of initialisation, dropout masks and data order."""
    configuration: dict[str, Any]
    """Every field of the row's configuration, overrides included."""
    fingerprint: str
    """Checksum of the configuration, protocol version and code of a user's backbone: Config.fingerprint."""
    protocol: int
    """Version of the task's protocol."""
    data_sha256: str
    """Checksum of the data as the model saw it."""
    metrics: dict[str, float]
    """Final metrics, of the model after the last epoch."""
    curve: list[dict[str, float]]
    """For each epoch its learning rate, metrics, seconds and training throughput."""
    parameters: int
    """Trained parameters of the model."""
    throughput: float
    """Median over the epochs of training units per second."""
    unit: str
    """What throughput counts."""
    wall_seconds: float
    """Training, validation and final evaluation, over all sittings."""
    device: str
    """What it ran on."""
    versions: dict[str, str]
    """Python and the packages that decide the numbers."""
    commit: str
    """Git commit of the suite, with "-dirty" when the working tree had changes; "unknown" outside a checkout."""
    finished: str
    """When, UTC, ISO 8601."""
    command: str
    """What rebuilds it."""
    log_probabilities_sha256: str
    """Checksum of the arrays in log_probabilities.npz."""
    details: dict[str, Any] = field(default_factory=dict)
    """What data and model say besides: what was left out, samples, the signature of a score, members of an average."""

    @property
    def run(self) -> str:
        """Name of its folder in a store."""
        return run_name(self.row, self.seed, self.fingerprint, self.data_sha256)

    # Readers go through the properties below, so that the spelling of `details` is known in one place. Two spellings
    # of a key are those of captions' records until 0.1.0 and of all records since.

    @property
    def members(self) -> tuple[int, ...]:
        """Seeds of the runs that an ensemble is made of; empty for the record of a single run."""
        return tuple(self.details.get("members", ()))

    @property
    def is_ensemble(self) -> bool:
        """Whether it is the record of an ensemble, for which nothing was trained."""
        return "members" in self.details

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Output of the model on test data, a few examples."""
        return list(self.details.get("samples", ()))

    @property
    def excluded(self) -> dict[str, int]:
        """How many items of the data were left out, for each reason."""
        return dict(self.details.get("left_out") or self.details.get("left out") or {})

    @property
    def trivial_baselines(self) -> dict[str, dict[str, float]]:
        """Metrics of what needs no model, such as always naming the majority class, by its name."""
        return dict(self.details.get("baselines", {}))

    @property
    def bleu_signature(self) -> str:
        """How BLEU was measured, as sacrebleu says it; empty where there is no BLEU."""
        return str(self.details.get("bleu_signature") or self.details.get("bleu") or "")

    @property
    def is_clean(self) -> bool:
        """Whether it comes from committed code, so that it can be rebuilt."""
        return self.commit != "unknown" and not self.commit.endswith("-dirty")


def run_name(row: str, seed: int, fingerprint: str, data_sha256: str) -> str:
    """Folder of a run in a store, <row>/seed-<seed>-<configuration and data>: the same run, the same folder."""
    return f"{row}/seed-{seed}-{hashlib.sha256((fingerprint + data_sha256).encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Store:
    """A folder of runs: <row>/<run>/record.json, with its log-probabilities and, where trained, its checkpoint."""

    root: Path

    def write(self, record: Record, log_probabilities: dict[str, np.ndarray]) -> None:
        """Keep a finished run; the record comes last, so that a run with a record is whole."""
        folder = self.root / record.run
        folder.mkdir(parents=True, exist_ok=True)
        if log_probabilities:
            _replace(
                folder / "log_probabilities.npz",
                lambda file: np.savez_compressed(file, allow_pickle=False, **log_probabilities),
            )
        content = asdict(record)
        text = json.dumps({**content, "sha256": _checksum(content)}, indent=1, allow_nan=False) + "\n"
        _replace(folder / "record.json", lambda file: file.write(text.encode()))

    def find(self, run: str) -> Record | None:
        """The record of a run, None if it has not finished.

        Raises:
            CorruptRecord: it is there but cannot be trusted.
        """
        path = self.root / run / "record.json"
        return read_record(path) if path.exists() else None

    def records(self, skipped: list[str] | None = None) -> Iterator[Record]:
        """All records, in the order of their names.

        Args:
            skipped: takes one line for each corrupt record, which is passed over; None to raise instead.

        Raises:
            CorruptRecord: a record cannot be trusted and `skipped` is None.
        """
        for path in sorted(self.root.glob("*/*/record.json")):
            try:
                yield read_record(path)
            except CorruptRecord as error:
                if skipped is None:
                    raise
                skipped.append(str(error))

    def has_log_probabilities(self, record: Record) -> bool:
        """Whether the log-probabilities of a run are there beside its record."""
        return (self.root / record.run / "log_probabilities.npz").is_file()

    def log_probabilities(self, record: Record) -> dict[str, np.ndarray]:
        """Log-probabilities of the true tokens, per split, as half-precision arrays [tokens].

        Raises:
            CorruptRecord: the file is missing or is not the one that the record was written with.
        """
        path = self.root / record.run / "log_probabilities.npz"
        try:
            with np.load(path) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError) as error:
            raise CorruptRecord(f"{path} cannot be read: {error}") from error
        if checksum_arrays(arrays) != record.log_probabilities_sha256:
            raise CorruptRecord(f"{path} is not what its record was written with; delete the run and train it again")
        return arrays


def read_record(path: Path) -> Record:
    """Read and verify one record.

    Raises:
        CorruptRecord: not JSON, fields missing or unknown, or altered since it was written.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        checksum = content.pop("sha256")
        record = Record(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptRecord(f"{path} is not a record of this suite ({error}); delete it and run it again") from error
    if checksum != _checksum(content):
        raise CorruptRecord(f"{path} was altered after it was written (checksum differs); delete it and run it again")
    return record


def checksum_arrays(arrays: dict[str, np.ndarray]) -> str:
    """Checksum of named arrays, whatever the archive that holds them."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _replace(path: Path, write: Any) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("wb") as file:
        write(file)
    os.replace(scratch, path)


CHECKPOINT = "last.ckpt"
