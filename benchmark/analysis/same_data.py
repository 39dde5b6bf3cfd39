"""The data whose runs are shown: runs are compared with runs of the same data only."""

from collections.abc import Hashable, Iterable, Sequence

from benchmark.formatting import count
from benchmark.store.diverged import DivergedRun
from benchmark.store.records import Record
from benchmark.tasks.base import Config, Row

SHOWN_DIGITS = 8
"""Digits of a checksum that a warning shows."""


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
    """The settings of the data in which two configurations of a task differ, as "min_count 1 and 25"; empty if none.

    Such runs predict other words or read other inputs, so their figures are not compared.
    """
    return differing(one, other, one.of_data)


def differing(one: Config, other: Config, names: Iterable[str]) -> str:
    """Those of some settings in which two configurations of a task differ, as "epochs 8 and 13"; empty if none."""
    values = {name: (getattr(one, name), getattr(other, name)) for name in names}
    return ", ".join(f"{name} {mine} and {others}" for name, (mine, others) in values.items() if mine != others)


def _in_words(data: str, records: Sequence[Record]) -> str:
    runs, rows = len(_runs(records)), ", ".join(sorted({record.row for record in records}))
    return f"{count(runs, 'run')} of data {data[:SHOWN_DIGITS]} ({rows})"


def _runs(records: Iterable[Record]) -> set[Hashable]:
    """Rows and seeds; a copy of a run counts once."""
    return {(record.row, record.seed, record.fingerprint) for record in records}
