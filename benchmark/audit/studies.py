"""Verifies what a store holds besides runs: evaluations by other methods, and the tunings that runs are trials of."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.audit.cases import Gap
from benchmark.audit.entries import content_of, parse, quoted
from benchmark.store.evaluations import EVALUATIONS, EvaluationRecord, read_evaluation
from benchmark.store.records import Record
from benchmark.store.sealed import CorruptRecord
from benchmark.store.tunings import STUDIES, Tuning, read_tuning
from datamodules.errors import UserError


@dataclass(frozen=True)
class Kind:
    """One kind of file, each of which is one evaluation or one tuning."""

    title: str
    """What the file is, with its article."""
    content: type[Any]
    read: Callable[[Path], Any]
    """Reads a file and verifies its checksum."""
    check: Callable[[Any, str, Sequence[Record]], Iterator[str]]
    """Faults and gaps of a file's content, given its name and the records of its store."""


def verify_studies(root: Path, records: Sequence[Record]) -> dict[str, dict[str, list[str]]]:
    """Faults and gaps of each evaluation and each tuning of a store, by check and name.

    Args:
        root: the store, which need not be one's own. One of trials, within another store, has tunings.
        records: its records that can be read.
    """
    is_of_trials = root.name in STUDIES
    paths = {
        "evaluations": sorted((root / EVALUATIONS).glob("*.json")),
        "tunings": sorted(root.glob("*.json")) if is_of_trials else [],
    }
    return {
        check: {quoted(path.relative_to(root)): list(_verify(path, KINDS[check], records)) for path in of_check}
        for check, of_check in paths.items()
    }


def _verify(path: Path, kind: Kind, records: Sequence[Record]) -> Iterator[str]:
    try:
        content = content_of(parse(path), kind.content, kind.title)
    except UserError as error:
        yield str(error)
        return
    try:
        kind.read(path)
    except CorruptRecord:
        yield f"{kind.title} that was altered after it was written (its checksum differs); take the file as it was"
    yield from kind.check(content, path.name, records)


def _evaluation(one: EvaluationRecord, name: str, records: Sequence[Record]) -> Iterator[str]:
    """It is named by its content, of committed code, and of a run of the store with the figures of that run."""
    if name != one.name:
        yield f"the content gives the name {quoted(one.name)}"
    if not one.is_clean:
        yield f"ran from code that is not committed ({quoted(one.commit)}); evaluate again from a clean tree"
    run = next((run for run in records if _identity(run) == _identity(one)), None)
    if run is None:
        yield Gap("the very run that was evaluated is not in the store")
        return
    for metric, value in one.plain.items():
        right = run.metrics.get(metric, math.nan)
        if value != right:
            yield f"its plain {quoted(metric)} is {value:.6g}; the record of the run has {right:.6g}"


def _identity(one: Record | EvaluationRecord) -> tuple[str, int, str, str, str]:
    """What tells a run, and the run of an evaluation, from all others."""
    return one.row, one.seed, one.fingerprint, one.data_sha256, one.log_probabilities_sha256


def _tuning(one: Tuning, name: str, records: Sequence[Record]) -> Iterator[str]:
    """It is named by its row, and each of its trials has a record in the store or diverged."""
    if name != f"{one.row}.json":
        yield f"is the tuning of {quoted(one.row)}, whose file is {quoted(one.row)}.json"
    if len(one.settings) != len(one.fingerprints):
        yield f"has settings of {len(one.settings)} trials and fingerprints of {len(one.fingerprints)}"
    known = {record.fingerprint for record in records}
    if missing := len(set(one.fingerprints) - known - set(one.diverged)):
        yield f"{missing} of its {len(one.fingerprints)} trials have no record; `rnnreg tune` runs what is missing"
    if others := len(set(one.diverged) - set(one.fingerprints)):
        yield f"{others} diverged that are no trials of it"
    trials = [record for record in records if record.row.startswith(f"{one.row}-trial-")]
    if others := sum(record.fingerprint not in one.fingerprints for record in trials):
        yield Gap(f"{others} records are of trials that it does not name, as of an earlier tuning")


KINDS = {
    "evaluations": Kind("an evaluation", EvaluationRecord, read_evaluation, _evaluation),
    "tunings": Kind("a tuning", Tuning, read_tuning, _tuning),
}
"""Each kind of file by the name of its check."""
