"""Copies finished runs to the folder of committed records."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.analysis import ensembles
from benchmark.analysis.results import RowResults
from benchmark.store.diverged import read_diverged, write_diverged
from benchmark.store.evaluations import EvaluationRecord, read_evaluations, write_evaluation
from benchmark.store.records import ITEMS, LOG_PROBABILITIES, RECORD, Record, Store
from benchmark.store.tunings import STUDIES, read_tunings, write_tuning
from benchmark.tasks import registry


@dataclass
class Collected:
    """The outcome of a collection."""

    copied: list[Record] = field(default_factory=list)
    unclean: list[Record] = field(default_factory=list)
    """Records of uncommitted code, which were not copied."""
    left_out: list[str] = field(default_factory=list)
    """A line for each evaluation that is of uncommitted code or of no shipped row, which was not copied."""
    corrupt: list[str] = field(default_factory=list)
    """A line for each file that cannot be trusted, which was not copied."""
    ensembles: list[Record] = field(default_factory=list)
    """Records of ensembles that the copied runs made possible."""
    evaluations: list[EvaluationRecord] = field(default_factory=list)
    """Evaluations by other methods, which were copied."""


def collect(table: Iterable[RowResults], store: Path, into: Path) -> Collected:
    """Copy records and arrays that are not there yet, or are there with less, and make the ensembles that they allow.

    Args:
        table: rows with the records of the store.
        store: folder that holds the runs.
        into: folder of committed records.
    """
    outcome = Collected()
    _copy((record for results in table for record in results.records), store, into, outcome)
    named = {row.name: row.config.fingerprint() for row in registry.ROWS}
    for evaluation in read_evaluations(store, outcome.corrupt):
        if not evaluation.is_clean:
            outcome.left_out.append(f"{evaluation.name}: ran from uncommitted code ({evaluation.commit})")
        elif named.get(evaluation.row) != evaluation.fingerprint:
            outcome.left_out.append(f"{evaluation.name}: is of no shipped row, or of another configuration of it")
        else:
            write_evaluation(evaluation, into)
            outcome.evaluations.append(evaluation)
    for run in read_diverged(store, outcome.corrupt):
        if run.is_clean and named.get(run.row) == run.fingerprint:
            write_diverged(run, into)
    for folder in STUDIES:
        _copy(Store(store / folder).records(outcome.corrupt), store / folder, into / folder, outcome)
        for tuning in read_tunings(store / folder, outcome.corrupt):
            write_tuning(tuning, into / folder)
    outcome.ensembles = ensembles.update(registry.ROWS, registry.ROWS, Store(into))
    return outcome


def _copy(records: Iterable[Record], store: Path, into: Path, outcome: Collected) -> None:
    """Copy those records of a store, with their arrays, that another one lacks."""
    for record in records:
        if not record.is_clean:
            outcome.unclean.append(record)
        elif not _has(into, record):
            (into / record.run).mkdir(parents=True, exist_ok=True)
            for name in (LOG_PROBABILITIES, ITEMS, RECORD):
                if (store / record.run / name).exists():  # ensembles and trials have no log-probabilities
                    shutil.copyfile(store / record.run / name, into / record.run / name)
            outcome.copied.append(record)


def _has(folder: Path, record: Record) -> bool:
    """Whether a folder of records has this one, with all that it measured; an ensemble of other members is another."""
    there = Store(folder).find(record.run)
    if there is None or there.members_sha256 != record.members_sha256:
        return False
    return record.metrics.keys() <= there.metrics.keys() and bool(there.items_sha256 or not record.items_sha256)
