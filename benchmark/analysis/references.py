"""The committed reference runs that `rnnreg check` holds new runs against."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.store.records import Record
from benchmark.tasks.base import Metric, Row
from datamodules.errors import UserError

STORE = Path("runs")
BASELINE = Path("results/baseline.json")

LEAST_REFERENCES = 5
"""Reference runs of a row below which their spread says too little."""


@dataclass(frozen=True)
class Reference:
    """What the baseline keeps of a reference run."""

    seed: int
    metrics: dict[str, float]
    """Final metrics, and the training metric of the last epoch."""
    fingerprint: str
    """Configuration and protocol; see Record."""
    data_sha256: str
    log_probabilities_sha256: str
    platform: str
    """Device and versions: where these are the same, runs are expected to be the same to the last bit."""
    commit: str


@dataclass(frozen=True)
class Expected:
    """The reference runs of a row, and why they are the reference."""

    references: tuple[Reference, ...]
    accepted: tuple[dict[str, str], ...]
    """Each acceptance: its reason, the commit and the time; the newest is last."""


def compared(row: Row) -> tuple[Metric, ...]:
    """The metrics of a row that are held against its references: the training metric shows faults that others hide."""
    return row.config.shown_metrics()


def all_metrics(record: Record, row: Row) -> dict[str, float]:
    """The final metrics of a run, and its training metric in the last epoch."""
    name = row.config.training.name
    last = {name: record.curve[-1][name]} if record.curve and name in record.curve[-1] else {}
    return {**last, **record.metrics}


def platform(record: Record) -> str:
    """Device and versions of a run: where these are the same, a run is expected to be the same to the last bit."""
    return f"{record.device}; " + ", ".join(f"{name} {text}" for name, text in sorted(record.versions.items()))


def read(path: Path) -> dict[str, Expected]:
    """The baseline: row name to its reference runs.

    Raises:
        UserError: there is no such file, or it is not a baseline.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Expected(
                tuple(Reference(**one) for one in row["references"]),
                tuple(row["accepted"]),
            )
            for name, row in content.items()
        }
    except FileNotFoundError as error:
        raise UserError(f"there is no baseline {path}; `rnnreg baseline update` makes one") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is not a baseline of this suite ({error}); restore it from git") from error


def write(expected: dict[str, Expected], path: Path) -> None:
    """Keep a baseline.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({name: asdict(row) for name, row in expected.items()}, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
