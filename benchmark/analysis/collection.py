"""Copies finished runs to the folder of committed records."""

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from benchmark.analysis import ensembles
from benchmark.analysis.results import RowResults
from benchmark.files import replacing
from benchmark.store.diverged import DIVERGED, DivergedRun, read_diverged, write_diverged
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

DENOMINATOR = 1000
"""Denominators up to which a part of the text is found again from the six digits of its name."""


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
    _copy_diverged(store, into, lambda run: named.get(run.row) == run.fingerprint, outcome)
    tunings = _tunings(store / TUNING, into / TUNING, outcome)
    trials = {one for tuning in tunings for one in tuning.fingerprints}
    for folder in STUDIES:
        _copy_study(folder, store / folder, into / folder, trials, outcome)
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


def _copy_study(folder: str, store: Path, into: Path, trials: set[str], outcome: Collected) -> None:
    """Copy the runs of a store of studies that are of shipped rows, with what tells of those that diverged.

    Trials that are there already, as those of a smaller tuning, are left out in silence.

    Args:
        folder: its name among STUDIES.
        store: the store.
        into: the folder of its committed records.
        trials: fingerprints of the trials of all tunings that are collected, of which a trial must be one.
        outcome: takes what is copied and what is left out.
    """
    shipped: list[Record] = []
    for record in Store(store).records(outcome.corrupt):
        if _is_shipped(folder, record, trials):
            shipped.append(record)
        elif not _has(into, record):
            outcome.left_out.append(f"{folder}/{record.run}: {_why_not(folder)}")
    _copy(shipped, store, into, outcome)
    known = {record.fingerprint for record in shipped}
    _copy_diverged(
        store, into, lambda run: run.fingerprint in known or _is_shipped(folder, run, trials), outcome, folder
    )


def _why_not(folder: str) -> str:
    """Why a run of a store of studies, or of the main one, is not shipped."""
    return "is a trial of no tuning that is collected" if folder == TUNING else ANOTHER


def _is_shipped(folder: str, run: Record | DivergedRun, trials: set[str]) -> bool:
    """Whether a run of a store of studies is of a shipped row, and a trial of a tuning that is collected."""
    if folder == TUNING:
        return run.fingerprint in trials
    rows = {row.name: row for row in registry.ROWS}
    if folder == PRECISION:
        return run.row in rows and rows[run.row].config.fingerprint() == run.fingerprint
    return _is_part_of(rows.get(run.row.rpartition("-text-")[0]), run)


def _is_part_of(row: Row | None, run: Record | DivergedRun) -> bool:
    """Whether a run is one of a row on part of its text."""
    if row is None or not isinstance(row.config, LanguageModelConfig):
        return False
    try:
        changes = part_changes(row.config, *_part_and_rate(run))
        return row.variant(run.row, **changes).config.fingerprint() == run.fingerprint
    except (KeyError, TypeError, ValueError):  # fields that it does not have, or values that these do not take
        return False


def _part_and_rate(run: Record | DivergedRun) -> tuple[float, float]:
    """The part of the text and the probability of dropping a unit of a run; of one that diverged, by its row's name.

    The name has six digits of each, so that 0.333333 is the third that it stands for.

    Raises:
        KeyError: the record has no such field.
        ValueError: the name is none of a run on part of a text.
    """
    if isinstance(run, Record):
        return run.configuration["train_fraction"], run.configuration["dropout"]
    numbers = re.fullmatch(r".+-text-(.+)-dropout-(.+)", run.row)
    if numbers is None:
        raise ValueError(run.row)
    part, rate = (float(Fraction(number).limit_denominator(DENOMINATOR)) for number in numbers.groups())
    return part, rate


def _copy_diverged(
    store: Path, into: Path, is_shipped: Callable[[DivergedRun], bool], outcome: Collected, folder: str = ""
) -> None:
    """Copy what tells of the runs of a store that diverged, without which the others would seem to be all.

    Args:
        store: the store.
        into: the folder of its committed records.
        is_shipped: tells whether a run is of a shipped row.
        outcome: takes a line for each that is left out.
        folder: name of the store among STUDIES.
    """
    for run in read_diverged(store, outcome.corrupt):
        name = f"{folder}/{run.run}" if folder else run.run
        if (into / run.run / DIVERGED).exists():
            continue
        if not is_shipped(run):
            outcome.left_out.append(f"{name}, which diverged: {_why_not(folder)}")
        elif not run.is_clean:
            outcome.left_out.append(f"{name}, which diverged: ran from uncommitted code ({run.commit})")
        else:
            write_diverged(run, into)


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
