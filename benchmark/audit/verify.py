"""Verifies a store: every record is recomputed as far as it can be, and records are held against one another."""

import hashlib
import json
import math
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

from benchmark.analysis.ensembles import perplexities
from benchmark.audit.cases import Case, Gap
from benchmark.audit.checks import CHECKS, ROUNDING, findings
from benchmark.audit.configurations import words_of
from benchmark.audit.entries import Entry, quoted, read_entries
from benchmark.audit.evidence import timeless
from benchmark.audit.history import History
from benchmark.audit.studies import verify_studies
from benchmark.formatting import count
from benchmark.store.records import RECORD, checksum_arrays, run_name
from benchmark.store.tunings import STUDIES
from benchmark.tasks.base import Row
from datamodules.errors import UserError


@dataclass(frozen=True)
class Finding:
    """What a check found at one record, or at one evaluation or tuning."""

    run: str
    check: str
    """Name of the check."""
    message: str
    """What is wrong and what would be right, in a line; a Gap for what could not be checked."""


@dataclass(frozen=True)
class Audit:
    """The outcome of verifying a store."""

    runs: tuple[str, ...]
    """Every record, by the folder that it lies in."""
    checks: tuple[str, ...]
    """Every check that was made."""
    faults: tuple[Finding, ...]
    gaps: tuple[Finding, ...]
    """What could not be checked, and why."""
    studies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Every evaluation and every tuning, by the name of their check; see verify_studies."""

    @property
    def checked(self) -> dict[str, tuple[str, ...]]:
        """Every check with what it was made of."""
        return {**dict.fromkeys(self.checks, self.runs), **self.studies}

    @property
    def counts(self) -> str:
        """How many records, evaluations and tunings were verified, in words."""
        others = [count(len(names), check.removesuffix("s")) for check, names in self.studies.items() if names]
        return ", ".join((count(len(self.runs), "record"), *others))

    def within(self, folder: str) -> Self:
        """Name every record by the folder that its store lies in as well."""

        def named(findings: Iterable[Finding]) -> tuple[Finding, ...]:
            return tuple(replace(finding, run=str(Path(folder, finding.run))) for finding in findings)

        return replace(
            self,
            runs=tuple(str(Path(folder, run)) for run in self.runs),
            faults=named(self.faults),
            gaps=named(self.gaps),
            studies={check: tuple(str(Path(folder, name)) for name in names) for check, names in self.studies.items()},
        )

    def __add__(self, other: "Audit") -> "Audit":
        """Both, as one outcome."""
        return replace(
            self,
            runs=self.runs + other.runs,
            faults=self.faults + other.faults,
            gaps=self.gaps + other.gaps,
            studies={
                check: (*self.studies.get(check, ()), *other.studies.get(check, ()))
                for check in (*self.studies, *other.studies)
            },
        )

    @property
    def reasons(self) -> Counter[tuple[str, str]]:
        """How many records could not be checked, by the check and the reason."""
        return Counter((gap.check, gap.message) for gap in self.gaps)


def verify(root: Path, rows: Iterable[Row], history: History, data: Path | None = None) -> Audit:
    """Verify every record of a store, and of the stores of trials and of parts of the text that lie within it.

    Its evaluations and tunings are verified as well.

    Args:
        root: the store, which need not be one's own: nothing in it is executed.
        rows: every row that is known.
        history: the suite's history, in which commits are looked for.
        data: folder of the data, from which checksums are recomputed; without it those published are taken.

    Raises:
        UserError: there is no such store, or it holds no records.
    """
    known = {row.name: row for row in rows}
    parts = {
        part: read_entries(root / part) if any((root / part).glob(f"*/*/{RECORD}")) else [] for part in ("", *STUDIES)
    }
    if not any(parts.values()):
        read_entries(root)  # which says that there are none
    audits = [_verify_alone(root / part, entries, known, history, data).within(part) for part, entries in parts.items()]
    return reduce(operator.add, audits)


def _verify_alone(
    root: Path, entries: Sequence[Entry], known: dict[str, Row], history: History, data: Path | None
) -> Audit:
    """Verify the records of one store, and its evaluations and tunings."""
    checks = {check.__name__.replace("_", " "): check for check in CHECKS}
    found = [Finding(entry.name, "record", entry.fault) for entry in entries if entry.fault]
    cases = _cases(entries, known, history, data, found)
    for case in cases:
        for name, check in checks.items():
            found += [Finding(case.entry.name, name, message) for message in findings(check, case)]
    for name, whole in STORE_CHECKS.items():
        found += [Finding(case.entry.name, name, message) for case, message in whole(cases)]
    studies = verify_studies(root, [case.record for case in cases])
    for name, of_files in studies.items():
        found += [Finding(file, name, message) for file, messages in of_files.items() for message in messages]
    unread = [entry.name for entry in entries if entry.record is None]
    others = (*checks, *STORE_CHECKS)
    found += [Finding(run, name, Gap("the record cannot be read")) for run in unread for name in others]
    return Audit(
        tuple(entry.name for entry in entries),
        ("record", *others),
        tuple(sorted((one for one in found if not isinstance(one.message, Gap)), key=lambda fault: fault.run)),
        tuple(one for one in found if isinstance(one.message, Gap)),
        {check: tuple(of_files) for check, of_files in studies.items()},
    )


def _cases(
    entries: Sequence[Entry], rows: dict[str, Row], history: History, data: Path | None, found: list[Finding]
) -> list[Case]:
    """The records that can be read, each with what it is held against."""
    bare = [Case(entry, entry.record, rows, history) for entry in entries if entry.record]
    counted = Counter(
        (case.record.task, case.record.data_sha256, split, length) for case in bare for split, length in _lengths(case)
    )
    usual: dict[tuple[str, str], dict[str, int]] = {}
    for (task, sha256, split, length), _ in sorted(counted.items(), key=itemgetter(1)):
        usual.setdefault((task, sha256), {})[split] = length
    checksums = _checksums(bare, data, found) if data else {}
    return [
        replace(
            case,
            tokens=usual.get((case.record.task, case.record.data_sha256), {}),
            data_sha256=checksums.get(case.entry.name, ""),
        )
        for case in bare
    ]


def _lengths(case: Case) -> list[tuple[str, int]]:
    """Tokens of each split that the record has log-probabilities of; none if they cannot be read."""
    try:
        return [(split, len(values)) for split, values in case.arrays.items()]
    except UserError:  # which the check of log-probabilities reports
        return []


def _checksums(cases: Iterable[Case], data: Path, found: list[Finding]) -> dict[str, str]:
    """The checksum of each record's data as it is in the folder of the data, by the record's name."""
    known: dict[tuple[Any, ...], str] = {}
    checksums = {}
    for case in cases:
        what = case.config.data_key
        try:
            if what not in known:
                datamodule = case.config.datamodule(data)
                datamodule.prepare_data()
                datamodule.setup("fit")
                known[what] = datamodule.sha256
            checksums[case.entry.name] = known[what]
        except UserError as error:
            found.append(Finding(case.entry.name, "data", Gap(f"not recomputed: {quoted(error)}")))
    return checksums


def seeds(cases: Sequence[Case]) -> Iterator[tuple[Case, str]]:
    """A seed counts once for a row's configuration, and no run is there twice under two seeds.

    Log-probabilities are kept in half precision, in which two models may be equal; their figures tell them apart.
    """
    first: dict[tuple[str, ...], Case] = {}
    for case in cases:
        record = case.record
        other = first.setdefault(("seed", record.row, record.fingerprint, str(record.seed)), case)
        if other is not case:
            yield case, f"seed {record.seed} is there twice, also as {other.entry.name}; keep one"
        keys: list[tuple[str, ...]] = [("curve", record.row, json.dumps(record.curve))] if record.curve else []
        if record.log_probabilities_sha256 != checksum_arrays({}):
            figures = [record.metrics, *([timeless(record)] if record.curve else [])]
            kept = ("log-probabilities", record.row, record.log_probabilities_sha256)
            keys += [(*kept, json.dumps(one, sort_keys=True)) for one in figures]
        copied = {first.setdefault(key, case).entry.name for key in keys} - {case.entry.name, other.entry.name}
        if copied:
            yield case, f"is the same run as {min(copied)}, to the last bit, under another seed"


def ensembles(cases: Sequence[Case]) -> Iterator[tuple[Case, str]]:
    """An ensemble's members, perplexity and parameters are those of the runs that it is made of, and it has members."""
    by_run = {case.record.run: case for case in cases}
    for case in cases:
        row = case.rows.get(case.record.row)
        if row and row.ensemble_of and not case.record.is_ensemble:
            yield case, f"is a single run, but its row is an ensemble of {row.ensemble_of}, which is not trained"
        if case.record.is_ensemble:
            for message in findings(lambda one: _ensemble(one, by_run), case):
                yield case, message


def _ensemble(case: Case, by_run: Mapping[str, Case]) -> Iterator[str]:
    record, row = case.record, case.rows.get(case.record.row)
    if row is None or not row.ensemble_of:
        yield f"is an ensemble, but {quoted(record.row)} is no known row of one"
        return
    runs = [run_name(row.ensemble_of, seed, record.fingerprint, record.data_sha256) for seed in record.members]
    if missing := [run for run in runs if run not in by_run]:
        yield Gap(f"{len(missing)} of its members are not in the store, so that it is not recomputed")
        return
    members = [by_run[run] for run in runs]
    identity = "".join(member.record.log_probabilities_sha256 for member in members)
    if hashlib.sha256(identity.encode()).hexdigest() != record.details.get("members_sha256"):
        yield "is made of other runs than those in the store; `rnnreg collect` makes it anew"
        return
    if (total := sum(member.record.parameters for member in members)) != record.parameters:
        yield f"has {record.parameters:,} parameters; its members have {total:,}"
    for name, right in perplexities([member.arrays for member in members], record.row).items():
        found = record.metrics.get(name, math.nan)
        if not math.isclose(found, right, rel_tol=ROUNDING):
            yield f"{name} is {found:.6g}; its members' log-probabilities give {right:.6g}"


def vocabularies(cases: Sequence[Case]) -> Iterator[tuple[Case, str]]:
    """Language models of the same data have vocabularies of the same size."""
    first: dict[str, tuple[float, Case]] = {}
    for case in cases:
        try:
            words = words_of(case.record, case.config)
        except UserError:  # which other checks report
            continue
        if words is not None:
            expected, other = first.setdefault(case.record.data_sha256, (words, case))
            if words != expected:
                yield case, f"has a vocabulary of {words:g} words, {other.entry.name} on the same data of {expected:g}"


STORE_CHECKS: dict[str, Callable[[Sequence[Case]], Iterator[tuple[Case, str]]]] = {
    "seeds": seeds,
    "ensembles": ensembles,
    "vocabularies": vocabularies,
}
"""The checks that hold records against one another, by name."""
