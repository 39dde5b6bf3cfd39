"""Ensembles (paper Tables 1 and 4): averages of the probabilities of finished runs, for which nothing is trained."""

import datetime
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.analysis.results import RowResults, gather
from benchmark.analysis.subsets import Mixture, perplexity
from benchmark.store.provenance import describe_commit, describe_versions
from benchmark.store.records import CHECKPOINT, FLOAT32, Record, Store, checksum_arrays, run_name
from benchmark.tasks import registry
from benchmark.tasks.base import Config, Row
from benchmark.tasks.models import load_members
from datamodules.errors import UserError
from models.base import Evaluation

SEED = 0
"""The seed in the record of an ensemble, which has none of its own."""


def update(
    chosen: Iterable[Row],
    every: Sequence[Row],
    store: Store,
    data: Path | None = None,
    device: str = "cpu",
    here: Callable[[Row], str | None] | None = None,
) -> list[Record]:
    """Make the ensembles that the finished runs of a store allow, and keep their records in it.

    Perplexity comes from the runs' saved log-probabilities; the task's other metrics of an ensemble (BLEU) need the
    checkpoints. An ensemble of the same members is not made again. An ensemble of fewer members than the row asks for
    is made too, and its record names them; one needs at least two.

    Args:
        chosen: the rows; those that are no ensembles are skipped.
        every: all rows, including those of the members.
        store: folder of the runs.
        data: folder of the data; without it only perplexity is measured.
        device: device on which models are evaluated.
        here: gives the checksum of the data at hand for a row, by which members are chosen; see `gather`.

    Returns:
        The new records.

    Raises:
        UserError: the members' log-probabilities or checkpoints cannot be read, or are not of the same tokens.
    """
    table = gather(every, store.readable(), here=here)
    made: list[Record] = []
    commit = describe_commit()  # before the first record, which may itself change the tree
    for row in chosen:
        if row.ensemble_of:
            members = members_of(row, table)
            if len(members) > 1 and (record := _make(row, members, store, data, device, commit)):
                made.append(record)
    return made


def members_of(row: Row, table: Sequence[RowResults]) -> tuple[Record, ...]:
    """The runs that an ensemble averages, the first by seed of those that tables show; of another row its first run.

    Args:
        row: the ensemble, or a row that is trained.
        table: the runs of all rows, including that of the members.
    """
    trained = registry.find(row.ensemble_of or row.name, [one.row for one in table])
    (found,) = (one for one in table if one.row is trained)
    return found.records[: row.members]


def _make(
    row: Row, members: Sequence[Record], store: Store, data: Path | None, device: str, commit: str
) -> Record | None:
    """Make one ensemble and keep it; None if the store has it."""
    identity = hashlib.sha256("".join(member.log_probabilities_sha256 for member in members).encode()).hexdigest()
    data_sha256, fingerprint = members[0].data_sha256, row.config.fingerprint()
    old = store.find(run_name(row.name, SEED, fingerprint, data_sha256))
    checkpoints = [store.root / member.run / CHECKPOINT for member in members]
    with_models = (
        data is not None
        and type(row.config).evaluate_ensemble is not Config.evaluate_ensemble
        and all(path.is_file() for path in checkpoints)
    )
    if old and old.members_sha256 == identity:
        measured = {metric.name for metric in row.config.headline} <= old.metrics.keys()
        kept = old.items_sha256 or not members[0].items_sha256
        if (measured and kept) or not with_models:
            return None

    begin = time.perf_counter()
    metrics = perplexities([store.log_probabilities(member) for member in members], row.name)
    items: dict[str, np.ndarray] = {}
    details: dict[str, Any] = {"members": [member.seed for member in members], "members_sha256": identity}
    if with_models and data is not None:
        evaluation = _evaluate(row, checkpoints, data, device)
        metrics, details, items = {**metrics, **evaluation.metrics}, {**details, **evaluation.details}, evaluation.items
    precision = " + ".join(sorted({member.precision for member in members}))
    unclean = [commit for member in members for commit in member.uncommitted]
    record = Record(
        row=row.name,
        task=row.config.task,
        seed=SEED,
        configuration=asdict(row.config),
        fingerprint=fingerprint,
        protocol=row.config.protocol,
        data_sha256=data_sha256,
        metrics=metrics,
        curve=[],
        parameters=sum(member.parameters for member in members),
        throughput=0.0,
        unit=row.config.unit,
        wall_seconds=time.perf_counter() - begin,
        device=" + ".join(sorted({member.device for member in members})),
        versions=describe_versions(),
        commit=(unclean or [commit])[0],
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=f"rnnreg reproduce --only {row.name} --seeds {len(members)}"
        + (f" --precision {precision}" if precision != FLOAT32 else ""),
        precision=precision,
        log_probabilities_sha256=checksum_arrays({}),
        items_sha256=checksum_arrays(items) if items else "",
        details=details,
    )
    store.write(record, {}, items)
    return record


def perplexities(members: Sequence[Mapping[str, np.ndarray]], name: str) -> dict[str, float]:
    """Perplexity of the mean of the members' probabilities of each true token, for each split.

    Args:
        members: for each member, its log-probabilities [tokens] by split.
        name: name of the ensemble, for the error.

    Raises:
        UserError: the members were not evaluated on the same tokens.
    """
    shapes = {tuple((split, len(values)) for split, values in sorted(member.items())) for member in members}
    if len(shapes) != 1 or () in shapes:
        raise UserError(f"{name}: its members were not evaluated on the same tokens; train them again")
    every = range(len(members))
    return {
        f"{split}_perplexity": perplexity(Mixture([one[split] for one in members]).log_probabilities(every))
        for split in members[0]
    }


def _evaluate(row: Row, checkpoints: Sequence[Path], data: Path, device: str) -> Evaluation:
    """Metrics, details and items that need the models themselves."""
    datamodule = row.config.datamodule(data)
    datamodule.prepare_data()
    datamodule.setup("test")
    return row.config.evaluate_ensemble(load_members(row, checkpoints, datamodule, device), datamodule)
