"""The committed reference runs that `rnnreg check` compares new runs with: the baseline."""

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.analysis.names import model_name
from benchmark.analysis.results import RowResults
from benchmark.files import write_text
from benchmark.store.provenance import describe_commit
from benchmark.store.records import FLOAT32, Record
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from datamodules.errors import UserError, damaged

LEAST_REFERENCES = 5
"""Fewest reference runs of a row whose spread gives an interval."""


@dataclass(frozen=True)
class Reference:
    """The part of a reference run that the baseline keeps."""

    seed: int
    metrics: dict[str, float]
    """Final metrics, and the training metric of the last epoch."""
    fingerprint: str
    """Checksum of configuration and protocol; see Record."""
    data_sha256: str
    log_probabilities_sha256: str
    platform: str
    """Device, versions and a precision other than 32: on the same platform runs are expected to match bit for bit."""
    commit: str
    precision: str = FLOAT32
    """By Lightning's name; references of before are in float32 and do not say so."""

    @classmethod
    def from_record(cls, record: Record, row: Row) -> "Reference":
        """The reference that a run of a row is, or is compared as."""
        name = row.config.training.name
        last = {name: record.curve[-1][name]} if record.curve and name in record.curve[-1] else {}
        versions = ", ".join(f"{package} {version}" for package, version in sorted(record.versions.items()))
        precision = "" if record.precision == FLOAT32 else f"; precision {record.precision}"
        return cls(
            seed=record.seed,
            metrics={**last, **record.metrics},
            fingerprint=record.fingerprint,
            data_sha256=record.data_sha256,
            log_probabilities_sha256=record.log_probabilities_sha256,
            platform=f"{record.device}; {versions}{precision}",
            commit=record.commit,
            precision=record.precision,
        )

    def matches(self, reference: "Reference") -> bool:
        """Whether a run has the metrics of a reference run, whatever others it has, and its log-probabilities."""
        same = all(self.metrics.get(name) == value for name, value in reference.metrics.items())
        return same and self.log_probabilities_sha256 == reference.log_probabilities_sha256

    @property
    def kind(self) -> tuple[str, str, str]:
        """What runs have in common that are of one code: configuration and protocol, data, and precision."""
        return self.fingerprint, self.data_sha256, self.precision


@dataclass(frozen=True)
class Expected:
    """The reference runs of a row and the reasons for which they were accepted."""

    references: tuple[Reference, ...]
    accepted: tuple[dict[str, str], ...]
    """Each acceptance: its reason, the commit and the time; the newest is last."""


def read(path: Path) -> dict[str, Expected]:
    """The baseline: the reference runs of each row, by its name.

    Raises:
        UserError: there is no such file, or it is not a baseline.
    """
    if not path.exists():
        raise UserError(f"there is no baseline {path}; `rnnreg baseline update` makes one")
    with damaged(path, "restore it from git", "is not a baseline of this suite"):
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Expected(tuple(Reference(**one) for one in row["references"]), tuple(row["accepted"]))
            for name, row in content.items()
        }


def write(expected: Mapping[str, Expected], path: Path) -> None:
    """Write a baseline.

    Raises:
        UserError: the file cannot be written.
    """
    write_text(path, json.dumps({name: asdict(row) for name, row in expected.items()}, indent=1) + "\n")


def rows_to_check(expected: Mapping[str, Expected], names: Sequence[str], every: Iterable[Row]) -> list[Row]:
    """The rows of these names, or all that have reference runs if no names are given.

    Raises:
        UserError: a row has no reference runs, or there is no such row.
    """
    for name in names:
        if name not in expected:
            raise UserError(f"the baseline has no reference runs of {name}; it has {', '.join(expected) or 'none'}")
    rows = list(every)
    return [registry.find(name, rows) for name in names or expected]


def update(
    expected: Mapping[str, Expected], table: Iterable[RowResults], reason: str, *, add: bool = False
) -> dict[str, Expected]:
    """The baseline with the runs of these rows as their reference runs.

    Args:
        expected: the baseline until now.
        table: the rows with their new runs.
        reason: why these runs are expected from now on.
        add: keep the reference runs of other platforms, as runs of the same code.

    Raises:
        UserError: runs of a row diverged, it has too few runs or runs of several precisions, or those to be added are
            of another configuration or precision or of other data.
    """
    updated = dict(expected)
    accepted = {
        "reason": reason,
        "commit": describe_commit(),
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    for results in table:
        row, records = results.row, results.records
        if lost := len(results.diverged):
            raise UserError(
                f"{lost} of {lost + len(records)} runs of {model_name(row)} ({row.name}) in the store diverged; the "
                "others are a choice of the better ones, and no reference"
            )
        if len(records) < LEAST_REFERENCES:
            raise UserError(
                f"the store has {len(records)} runs of {model_name(row)} ({row.name}); a reference needs "
                f"{LEAST_REFERENCES}: `rnnreg reproduce --only {row.name} --seeds {LEAST_REFERENCES}` trains them"
            )
        if len(precisions := sorted({record.precision for record in records})) > 1:
            raise UserError(
                f"the runs of {model_name(row)} ({row.name}) in the store are in precisions "
                f"{' and '.join(precisions)}; references are in one"
            )
        before = expected[row.name].accepted if row.name in expected else ()
        references = tuple(Reference.from_record(record, row) for record in records)
        if add and row.name in expected:
            references = (*_elsewhere(expected[row.name].references, references, row), *references)
        updated[row.name] = Expected(references, (*before, accepted))
    return updated


def _elsewhere(known: Sequence[Reference], new: Sequence[Reference], row: Row) -> tuple[Reference, ...]:
    """The known reference runs of other platforms than the new ones.

    Raises:
        UserError: the new runs are not the same runs on another platform.
    """
    if {one.kind for one in known} != {one.kind for one in new}:
        raise UserError(
            f"the runs of {row.name} are of another configuration or precision or of other data than its reference "
            "runs; `rnnreg baseline update` replaces these"
        )
    return tuple(one for one in known if one.platform not in {run.platform for run in new})
