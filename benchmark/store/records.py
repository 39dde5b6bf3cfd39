"""Records: one small JSON file per finished run, and the folder that holds them."""

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.files import replacing, writable
from benchmark.store.provenance import is_committed
from benchmark.store.sealed import CorruptRecord, read_all, read_sealed, write_sealed
from datamodules.errors import in_one_line, require_file
from datamodules.runs import CHECKPOINT as CHECKPOINT
from datamodules.runs import RECORD as RECORD
from datamodules.runs import run_name as run_name

if TYPE_CHECKING:
    import numpy as np

    Arrays = dict[str, np.ndarray[Any, Any]]

COMMITTED = Path(__file__).parents[2] / "results" / "records"
"""Folder of the project's own records, wherever a command is run; there is none where the suite is installed."""

FLOAT32 = "32"
"""Lightning's name of single precision, in which runs are trained unless another is asked for."""

LOG_PROBABILITIES = "log_probabilities.npz"
ITEMS = "items.npz"
CONFIGURATION = "config.yaml"
"""Names of the files in a run's folder."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that is kept of one finished run."""

    row: str
    """Name of the row."""
    task: str
    """Name of the task."""
    seed: int
    """Seed of initialization, dropout masks and data order."""
    configuration: dict[str, Any]
    """Every field of the row's configuration, overrides included."""
    fingerprint: str
    """Checksum of the configuration, protocol version and code of a user's backbone: Config.fingerprint."""
    protocol: int
    """Version of the task's protocol."""
    data_sha256: str
    """Checksum of the data as the model saw it."""
    metrics: dict[str, float]
    """Final metrics, those of the model after the last epoch."""
    curve: list[dict[str, float]]
    """Learning rate, metrics, seconds and training throughput of each epoch."""
    parameters: int
    """Number of trained parameters of the model."""
    throughput: float
    """Median over the epochs of training units per second."""
    unit: str
    """Unit of training data that throughput counts, such as tokens."""
    wall_seconds: float
    """Seconds of training, validation and final evaluation, summed over interruptions."""
    device: str
    """Device that it ran on."""
    versions: dict[str, str]
    """Versions of Python and of the packages that decide the numbers, and the kind of processor."""
    commit: str
    """Git commit of the suite, with "-dirty" when the working tree had changes; "unknown" outside a checkout."""
    finished: str
    """Time of the run's end, UTC, ISO 8601."""
    command: str
    """Command line that trains the run again."""
    log_probabilities_sha256: str
    """Checksum of the arrays in log_probabilities.npz."""
    precision: str = FLOAT32
    """Precision of matrix multiplications, as Lightning names it: 32 or bf16-mixed."""
    items_sha256: str = ""
    """Checksum of the arrays in items.npz; empty if there are none."""
    sittings: list[dict[str, Any]] = field(default_factory=list)
    """The stretches in which it was trained, more than one if it was stopped: for each its commit, versions, device,
    threads, precision and the epochs done before. Records until 0.1.0 have none; see `stretches`."""
    details: dict[str, Any] = field(default_factory=dict)
    """Further findings of data and model, such as excluded items, samples, BLEU's signature, members of an ensemble."""

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
    def members_sha256(self) -> str:
        """Checksum of the log-probabilities of an ensemble's members; empty for the record of a single run."""
        return str(self.details.get("members_sha256", ""))

    @property
    def is_ensemble(self) -> bool:
        """Whether it is the record of an ensemble, for which nothing was trained."""
        return "members" in self.details

    @property
    def samples(self) -> list[dict[str, Any]]:
        """A few examples of the model's output on test data."""
        return list(self.details.get("samples", ()))

    @property
    def excluded(self) -> dict[str, int]:
        """Number of items of the data that were left out, for each reason."""
        return dict(self.details.get("left_out") or self.details.get("left out") or {})

    @property
    def first_steps(self) -> list[dict[str, float]]:
        """Loss, gradient norm before clipping, update norm, learning rate and steps of its epoch, of the first steps.

        Older records lack the last two, or all of this.
        """
        return list(self.details.get("first_steps", ()))

    @property
    def whole_text_sha256(self) -> str:
        """Checksum of the whole text, for a run on a part of its training text; empty in older records."""
        return str(self.details.get("whole_text_sha256", ""))

    @property
    def trivial_baselines(self) -> dict[str, dict[str, float]]:
        """Metrics of baselines without a model, such as always naming the majority class, by the baseline's name."""
        return dict(self.details.get("baselines", {}))

    @property
    def bleu_remarks(self) -> list[str]:
        """Why its BLEU says nothing, if so; records of captions until 0.1.0 do not say it."""
        return list(self.details.get("bleu_remarks", ()))

    @property
    def unknown_words(self) -> dict[str, float]:
        """Share of unknown words among the tokens of each split, from 0 to 1; empty where it was not recorded."""
        return dict(self.details.get("unknown_words", {}))

    @property
    def shared_phrases(self) -> dict[str, float]:
        """Share of each held-out split's phrases that are in the training set too, from 0 to 1; for speech."""
        return dict(self.details.get("shared_phrases", {}))

    @property
    def stretches(self) -> list[dict[str, Any]]:
        """Its sittings; of an older record or an ensemble, the one that its own fields describe."""
        own = {"commit": self.commit, "versions": self.versions, "device": self.device, "precision": self.precision}
        return self.sittings or [own]

    @property
    def uncommitted(self) -> list[str]:
        """Commits of those sittings whose code was not committed; the run can be repeated if there is none."""
        return [sitting["commit"] for sitting in self.stretches if not is_committed(sitting["commit"])]

    @property
    def is_clean(self) -> bool:
        """Whether all of it comes from committed code, so that the run can be repeated."""
        return not self.uncommitted


def in_other_precisions(records: Iterable[Record], asked_for: str = FLOAT32) -> str:
    """A remark on runs whose precision is another one: they count, as their rows are the same; empty if there are none.

    Args:
        records: the records of the runs.
        asked_for: the precision that is expected, by Lightning's name.
    """
    others = Counter(record.precision for record in records if record.precision != asked_for)
    return "".join(f", {runs} of them in precision {precision}" for precision, runs in sorted(others.items()))


@dataclass(frozen=True)
class Store:
    """A folder of runs: <row>/<run> holds a run's record, its arrays and, if it was trained here, its checkpoint."""

    root: Path

    def write(self, record: Record, log_probabilities: "Arrays", items: "Arrays | None" = None) -> None:
        """Keep a finished run; the record is written last, so that a run with a record is complete.

        Raises:
            UserError: the disk is full, or cannot be written for another reason.
        """
        import numpy as np

        folder = writable(self.root / record.run)
        for name, arrays in ((LOG_PROBABILITIES, log_probabilities), (ITEMS, items)):
            if arrays:
                with replacing(folder / name) as scratch, scratch.open("wb") as file:
                    np.savez_compressed(file, allow_pickle=False, **arrays)
        write_sealed(asdict(record), folder / RECORD)

    def find(self, run: str) -> Record | None:
        """The record of a run, None if the run has not finished.

        Raises:
            CorruptRecord: the record exists but cannot be trusted, or is that of another run.
        """
        path = self.root / run / RECORD
        return self._read(path) if path.exists() else None

    def records(self, skipped: list[str] | None = None) -> Iterator[Record]:
        """All records, in the order of their names.

        Args:
            skipped: a list to which a line is added for each corrupt record, which is skipped; None raises instead.

        Raises:
            CorruptRecord: a record cannot be trusted and `skipped` is None.
        """
        yield from read_all(sorted(self.root.glob(f"*/*/{RECORD}")), self._read, skipped)

    def _read(self, path: Path) -> Record:
        """Read a record, and refuse it in the folder of another run, where its arrays would not be found."""
        record = read_record(path)
        if path.parent != self.root / record.run:
            raise CorruptRecord(f"{path} is the record of {record.run}; give its folder this name, or take it away")
        return record

    def readable(self) -> list[Record]:
        """All records but the corrupt ones, which are named on standard error."""
        skipped: list[str] = []
        found = list(self.records(skipped))
        for line in skipped:
            print(f"rnnreg: left out: {line}", file=sys.stderr)
        return found

    def with_checkpoints(self) -> list[Record]:
        """Those of the readable records whose models are there."""
        return [record for record in self.readable() if (self.root / record.run / CHECKPOINT).is_file()]

    def has_log_probabilities(self, record: Record) -> bool:
        """Whether the log-probabilities of a run are there beside its record."""
        return (self.root / record.run / LOG_PROBABILITIES).is_file()

    def log_probabilities(self, record: Record) -> "Arrays":
        """Log-probabilities of the true tokens, per split, as half-precision arrays [tokens].

        Raises:
            CorruptRecord: the file is missing or is not the one that the record was written with.
        """
        return _read_arrays(self.root / record.run / LOG_PROBABILITIES, record.log_probabilities_sha256)

    def items(self, record: Record) -> "Arrays":
        """Arrays of each test item, see TaskModel.items; none of runs that kept none.

        Raises:
            CorruptRecord: the file is missing or is not the one that the record was written with.
        """
        if not record.items_sha256:
            return {}
        return _read_arrays(self.root / record.run / ITEMS, record.items_sha256)


def _read_arrays(path: Path, sha256: str) -> "Arrays":
    import numpy as np

    try:
        require_file(path)
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # a damaged file may raise anything
        raise CorruptRecord(f"{path} cannot be read: {in_one_line(error)}") from error
    if checksum_arrays(arrays) != sha256:
        raise CorruptRecord(f"{path} is not what its record was written with; delete the run and train it again")
    return arrays


def read_record(path: Path) -> Record:
    """Read and verify one record.

    Raises:
        CorruptRecord: the file is not JSON, has missing or unknown fields, or was altered since it was written.
    """
    return read_sealed(path, Record, "is not a record of this suite", "run it again")


def checksum_arrays(arrays: "Arrays") -> str:
    """Checksum of named arrays, independent of the archive that holds them."""
    import numpy as np

    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
