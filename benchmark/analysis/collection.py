"""Copies finished runs to the folder of committed records."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.analysis import ensembles
from benchmark.analysis.results import RowResults
from benchmark.files import replacing
from benchmark.store.diverged import read_diverged, write_diverged
from benchmark.store.evaluations import EvaluationRecord, read_evaluations, write_evaluation
from benchmark.store.records import ITEMS, LOG_PROBABILITIES, RECORD, Record, Store
from benchmark.store.sealed import CorruptRecord
from benchmark.store.tunings import PRECISION, STUDIES, TUNING, Tuning, read_tunings, write_tuning
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from benchmark.tasks.language_modeling import LanguageModelConfig, part_changes
from benchmark.tasks.spaces import trial_changes

ANOTHER = "is of no shipped row, or of another configuration of it"
"""Why something is left out."""


@dataclass
class Collected:
    """The outcome of a collection."""

    copied: list[Record] = field(default_factory=list)
    unclean: list[Record] = field(default_factory=list)
    """Records of uncommitted code, which were not copied."""
    left_out: list[str] = field(default_factory=list)
    """A line for each evaluation, tuning, trial or run that was not copied, with the reason."""
    corrupt: list[str] = field(default_factory=list)
    """A line for each file that cannot be trusted, which was not copied."""
    ensembles: list[Record] = field(default_factory=list)
    """Records of ensembles that the copied runs made possible."""
    evaluations: list[EvaluationRecord] = field(default_factory=list)
    """Evaluations by other methods, which were copied."""


def collect(table: Iterable[RowResults], store: Path, into: Path) -> Collected:
    """Copy records and arrays that are not there yet, or are there with less, and make the ensembles that they allow.

    A run that is there with other numbers stays as it is, and the one that was trained again is named.

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
            outcome.left_out.append(f"{evaluation.name}: {ANOTHER}")
        else:
            write_evaluation(evaluation, into)
            outcome.evaluations.append(evaluation)
    for run in read_diverged(store, outcome.corrupt):
        if run.is_clean and named.get(run.row) == run.fingerprint:
            write_diverged(run, into)
    tunings = _tunings(store / TUNING, into / TUNING, outcome)
    trials = {one for tuning in tunings for one in tuning.fingerprints}
    for folder in STUDIES:
        found = list(_shipped(folder, Store(store / folder).records(outcome.corrupt), trials, into, outcome))
        _copy(found, store / folder, into / folder, outcome)
    trained = Store(into / TUNING).records() if tunings else ()
    there = {(record.fingerprint, record.data_sha256) for record in trained}
    for tuning in tunings:
        _copy_tuning(tuning, there, into / TUNING, outcome)
    outcome.ensembles = ensembles.update(registry.ROWS, registry.ROWS, Store(into))
    return outcome


def _tunings(store: Path, into: Path, outcome: Collected) -> list[Tuning]:
    """The tunings of a store that are of shipped rows and go on from those that were collected before."""
    rows = {row.name: row for row in registry.ROWS}
    before = {tuning.row: tuning for tuning in read_tunings(into)}
    data = {record.fingerprint: record.data_sha256 for record in Store(into).records()} if before else {}
    found = []
    for tuning in read_tunings(store, outcome.corrupt):
        known = before.get(tuning.row)
        if tuning.row not in rows or not _is_tuning_of(rows[tuning.row], tuning):
            outcome.left_out.append(f"the tuning of {tuning.row}: {ANOTHER}")
        elif known and not tuning.extends(known):
            outcome.left_out.append(
                f"the tuning of {tuning.row}: its {len(tuning.settings)} trials with --seed {tuning.seed} do not go on "
                f"from the {len(known.settings)} with --seed {known.seed} that are in {into}"
            )
        elif known and any(
            tuning.data_of(one) not in ("", known.data_of(one) or data.get(one) or tuning.data_of(one))
            for one in known.fingerprints
        ):
            outcome.left_out.append(f"the tuning of {tuning.row}: is of other data than the one that is in {into}")
        else:
            found.append(tuning)
    return found


def _is_tuning_of(row: Row, tuning: Tuning) -> bool:
    """Whether the trials of a tuning are those that its settings give of a row."""
    try:
        trials = [row.variant(row.name, **trial_changes(row.config, settings)) for settings in tuning.settings]
    except (TypeError, ValueError):  # fields that there are no longer, or values that they do not take
        return False
    return [trial.config.fingerprint() for trial in trials] == tuning.fingerprints


def _shipped(
    folder: str, records: Iterable[Record], trials: set[str], into: Path, outcome: Collected
) -> Iterator[Record]:
    """Those records of a store of studies that are of shipped rows; a trial must be one of a tuning that is collected.

    Trials that are there already, as those of a smaller tuning, are left out in silence.
    """
    rows = {row.name: row for row in registry.ROWS}
    for record in records:
        if folder == TUNING:
            is_shipped = record.fingerprint in trials
        elif folder == PRECISION:
            is_shipped = record.row in rows and rows[record.row].config.fingerprint() == record.fingerprint
        else:
            is_shipped = _is_part_of(rows.get(record.row.rpartition("-text-")[0]), record)
        if is_shipped:
            yield record
        elif not _has(into / folder, record):
            reason = "is a trial of no tuning that is collected" if folder == TUNING else ANOTHER
            outcome.left_out.append(f"{folder}/{record.run}: {reason}")


def _is_part_of(row: Row | None, record: Record) -> bool:
    """Whether a run is one of a row on part of its text."""
    if row is None or not isinstance(row.config, LanguageModelConfig):
        return False
    try:
        changes = part_changes(row.config, record.configuration["train_fraction"], record.configuration["dropout"])
        return row.variant(record.row, **changes).config.fingerprint() == record.fingerprint
    except (KeyError, TypeError, ValueError):  # fields that it does not have, or values that these do not take
        return False


def _copy_tuning(tuning: Tuning, there: set[tuple[str, str]], into: Path, outcome: Collected) -> None:
    """Copy a tuning if each of its trials is there or diverged, as its winner is the best of all of them.

    Args:
        tuning: the tuning.
        there: fingerprint and data of the trials that have been copied, now or before.
        into: folder of tunings.
        outcome: takes a line if it is not copied.
    """
    known = {fingerprint for fingerprint, _ in there}
    missing = [
        one
        for one in dict.fromkeys(tuning.fingerprints)
        if one not in tuning.diverged
        and ((one, tuning.data_of(one)) not in there if tuning.data_of(one) else one not in known)
    ]
    if missing:
        outcome.left_out.append(
            f"the tuning of {tuning.row}: {len(missing)} of its {len(tuning.settings)} trials have not been copied and "
            "did not diverge"
        )
    else:
        write_tuning(tuning, into)


def _copy(records: Iterable[Record], store: Path, into: Path, outcome: Collected) -> None:
    """Copy those records of a store, with their arrays, that another one lacks: whole files, the record last."""
    for record in records:
        if not record.is_clean:
            outcome.unclean.append(record)
        elif _is_another_run(into, record):
            outcome.left_out.append(f"{record.run}: has other numbers than {into / record.run}, which stays")
        elif not _has(into, record):
            try:
                _read_arrays(Store(store), record)
            except CorruptRecord as error:
                outcome.corrupt.append(str(error))
                continue
            (into / record.run).mkdir(parents=True, exist_ok=True)
            for name in (LOG_PROBABILITIES, ITEMS, RECORD):
                if (store / record.run / name).exists():  # ensembles and trials have no log-probabilities
                    with replacing(into / record.run / name) as scratch:
                        shutil.copyfile(store / record.run / name, scratch)
            outcome.copied.append(record)


def _read_arrays(store: Store, record: Record) -> None:
    """Read what lies beside a record, as a collection with a damaged file cannot be read by any command.

    Raises:
        CorruptRecord: a file is damaged, or that of another run.
    """
    store.items(record)
    if store.has_log_probabilities(record):
        store.log_probabilities(record)


def _has(folder: Path, record: Record) -> bool:
    """Whether a folder of records has this one, with all that it measured; an ensemble of other members is another."""
    there = Store(folder).find(record.run)
    if there is None or there.members_sha256 != record.members_sha256:
        return False
    return record.metrics.keys() <= there.metrics.keys() and bool(there.items_sha256 or not record.items_sha256)


def _is_another_run(folder: Path, record: Record) -> bool:
    """Whether the run of a record's name in a folder gave other numbers, as it does where it was trained again.

    The numbers of an ensemble follow from its members, and are not held against each other.
    """
    there = Store(folder).find(record.run)
    if there is None or record.is_ensemble:
        return False
    arrays = there.log_probabilities_sha256, record.log_probabilities_sha256
    measured = there.metrics.keys() & record.metrics.keys()
    return arrays[0] != arrays[1] or any(there.metrics[name] != record.metrics[name] for name in measured)
