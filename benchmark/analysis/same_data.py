"""The data whose runs are shown: runs are compared with runs of the same data only."""

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence

from benchmark.formatting import count
from benchmark.store.diverged import DivergedRun
from benchmark.store.records import Record
from benchmark.tasks.base import Config, Row

SHOWN_DIGITS = 8
"""Digits of a checksum that a warning shows."""


def own(row: Row, by_row: Mapping[str, Sequence[Record]], warnings: list[str] | None) -> list[Record]:
    """The records of a row's configuration and protocol, one for each seed and data, the newest of several.

    Of a row that is trained they are those of single runs, of an ensemble those of ensembles of the newest runs.

    Args:
        row: the row.
        by_row: the records of a store by the name of their row.
        warnings: receives a message for each reason why records are left out.
    """
    of_name = by_row.get(row.name, ())
    of_kind = [one for one in of_name if one.is_ensemble == bool(row.ensemble_of)]
    fingerprint = row.config.fingerprint()
    of_configuration = [one for one in of_kind if one.fingerprint == fingerprint]
    found = _newest(of_configuration)
    single = [one for one in by_row.get(row.ensemble_of, ()) if not one.is_ensemble and one.fingerprint == fingerprint]
    members = {(one.seed, one.data_sha256): one for one in _newest(single)}
    kept = [one for one in found if not _is_of_others(one, members)]
    if warnings is not None:
        kinds = "single runs, though the row is an ensemble" if row.ensemble_of else "ensembles, though it is trained"
        for more, fewer, reason in (
            (of_name, of_kind, f"of {kinds}"),
            (of_kind, of_configuration, "of another configuration or protocol"),
            (of_configuration, found, "of a seed that has a newer one"),
            (found, kept, f"of other runs of {row.ensemble_of} than those that are shown"),
        ):
            if left_out := len(more) - len(fewer):
                warnings.append(f"{row.name}: {count(left_out, 'record')} {reason}")
    return kept


def _newest(records: Iterable[Record]) -> list[Record]:
    """The newest record of each seed and data."""
    return list(
        {(one.seed, one.data_sha256): one for one in sorted(records, key=lambda record: record.finished)}.values()
    )


def _is_of_others(ensemble: Record, runs: Mapping[tuple[int, str], Record]) -> bool:
    """Whether a record is of an ensemble of other runs than these, as its members were trained again since.

    Args:
        ensemble: the record; of a single run it is not.
        runs: those of the row that it averages, by seed and data; where one of its members is not there, or does not
            say what its log-probabilities were, nothing is known.
    """
    found = [runs.get((seed, ensemble.data_sha256)) for seed in ensemble.members]
    kept = [one.log_probabilities_sha256 for one in found if one and one.log_probabilities_sha256]
    if not kept or len(kept) < len(found):
        return False
    return hashlib.sha256("".join(kept).encode()).hexdigest() != ensemble.members_sha256


def choose(records: Sequence[Record], here: str | None = None, field: str = "data_sha256") -> str:
    """The checksum of the data whose runs are shown: of the data at hand, else of most runs, of as many the newest.

    Args:
        records: records of one kind of data, at least one.
        here: the checksum of the data at hand; None if it is not known.
        field: another field whose value is chosen in the same way.
    """
    found = grouped(records, field)
    newest = {value: max(record.finished for record in of_value) for value, of_value in found.items()}
    return max(found, key=lambda value: (value == here, len(_runs(found[value])), newest[value], value))


def grouped(records: Iterable[Record], field: str = "data_sha256") -> dict[str, list[Record]]:
    """The records of each data, by its checksum, or by another field."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(getattr(record, field), []).append(record)
    return found


def warning(name: str, records: Sequence[Record], shown: str) -> str:
    """A line that says which data the runs of a source are of, and which of them are shown.

    Args:
        name: name of the source.
        records: its records.
        shown: checksum of the data that is shown.
    """
    of_data = grouped(records)
    others = [_in_words(data, of_data[data]) for data in sorted(of_data) if data != shown]
    return (
        f"{name}: {', '.join(others)}; shown are {_in_words(shown, of_data[shown])}, "
        "as runs of different data are not compared"
    )


def seeds_of(row: Row, runs: Iterable[DivergedRun], data: str | None) -> tuple[int, ...]:
    """The seeds of a row's runs that diverged, on the data that is shown; on any if None, as there are no others."""
    fingerprint = row.config.fingerprint()
    own = (run for run in runs if (run.row, run.fingerprint) == (row.name, fingerprint))
    return tuple(sorted({run.seed for run in own if data in (None, run.data_sha256)}))


def differences(one: Config, other: Config) -> str:
    """The settings of the data in which two configurations differ, as "min_count 1 and 25", or their tasks.

    Such runs predict other words or read other inputs, so their figures are not compared.
    """
    return differing(one, other, one.of_data)


def differing(one: Config, other: Config, names: Iterable[str]) -> str:
    """Those of some settings in which two configurations differ, as "epochs 8 and 13", or their tasks; else empty."""
    if one.task != other.task:
        return f"task {one.task} and {other.task}"
    values = {name: (getattr(one, name), getattr(other, name)) for name in names}
    return ", ".join(f"{name} {mine} and {others}" for name, (mine, others) in values.items() if mine != others)


def _in_words(data: str, records: Sequence[Record]) -> str:
    runs, rows = len(_runs(records)), ", ".join(sorted({record.row for record in records}))
    return f"{count(runs, 'run')} of data {data[:SHOWN_DIGITS]} ({rows})"


def _runs(records: Iterable[Record]) -> set[Hashable]:
    """Rows and seeds; a copy of a run counts once."""
    return {(record.row, record.seed, record.fingerprint) for record in records}
