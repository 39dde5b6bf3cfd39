"""Trained models that a user names: runs of a store, exported folders, and the models that ship with the suite."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from benchmark.store.records import CHECKPOINT, RECORD, Record, read_record
from benchmark.store.sealed import CorruptRecord
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from datamodules.errors import UserError
from datamodules.runs import FOLDER
from models.loading import CONFIG, no_model

SHIPPED = registry.ROOT / "results" / "models"
"""Folder of the exported models that ship with the suite, each named as its row."""


@dataclass(frozen=True)
class Trained:
    """A trained model that a user has named."""

    place: Path
    """Folder of the run, or exported folder."""
    row: str
    """Name of the row, or of a variant of it; for an exported folder the name of the folder."""
    seed: int | None
    """Seed of the run, as its folder is named; None for an exported folder, whose record has it."""
    is_named: bool = False
    """Whether it was found by the name of its row in a store, so that its record must be of that row."""

    @property
    def name(self) -> str:
        """Name in messages."""
        return str(self.place) if self.seed is None else f"{self.row} seed {self.seed}"

    @property
    def kind(self) -> str:
        """Checksum of configuration and data, as in the name of the run's folder; empty for an exported folder."""
        run = FOLDER.fullmatch(self.place.resolve().name)
        return run[2] if run else ""

    @property
    def trained_with(self) -> int | None:
        """Seed that it was trained with, None if nothing tells."""
        return self.seed if self.seed is not None or self.record is None else self.record.seed

    @cached_property
    def record(self) -> Record | None:
        """The record of the run, None if the run has not finished.

        Raises:
            CorruptRecord: it cannot be trusted, or is of another run than its folder in a store.
        """
        path = self.place / RECORD
        if not path.exists():
            return None
        record = read_record(path)
        if self.is_named and record.run != f"{self.row}/{self.place.resolve().name}":
            raise CorruptRecord(f"{path} is the record of {record.run}; give its folder this name, or take it away")
        return record


def find_trained(
    model: str,
    seed: int | None,
    store: Path,
    rows: Iterable[Row] = registry.ROWS,
    left_out: list[str] | None = None,
) -> Trained:
    """The model of a run or an exported one; no data is needed.

    Args:
        model: folder of a run, an exported folder, or name of a row or of a variant of it; if the store has no run of
            that row, the model that ships with the suite.
        seed: seed of the run; if None the run with the best validation metric.
        store: folder that holds the runs.
        rows: every row that is known, see `find_all_trained`.
        left_out: as of `find_all_trained`.

    Raises:
        UserError: there is no such model, or there are runs of several configurations or data and none is the row's.
    """
    found = _all_of_name(model, store)
    if seed is not None:
        found = [one for one in found if one.trained_with == seed]
    if not found:
        raise UserError(_not_found(model, seed, store))
    found = _of_one_configuration(model, found, store, rows, left_out)
    return found[0] if len(found) == 1 else _best(found)


def find_all_trained(
    model: str, store: Path, rows: Iterable[Row] = registry.ROWS, left_out: list[str] | None = None
) -> list[Trained]:
    """All models that a name stands for, in the order of their seeds; see `find_trained`.

    They are of one configuration and on the same data. If the store has runs of several under one name, as when a row
    was edited between them, those of the row as it is now are taken.

    Args:
        model: as of `find_trained`.
        store: folder that holds the runs.
        rows: every row that is known.
        left_out: a list to which a line is added for each run of another configuration or data.

    Raises:
        UserError: there are runs of several configurations or data, and none or several are the row's.
    """
    return _of_one_configuration(model, _all_of_name(model, store), store, rows, left_out)


def _all_of_name(model: str, store: Path) -> list[Trained]:
    """All models that a name stands for, of whatever configuration."""
    if place := _place(model, store):
        return [_trained(place)]
    runs = sorted((run for run in _runs(store) if run.row == model), key=lambda run: run.seed or 0)
    shipped = SHIPPED / model
    return runs or ([_trained(shipped)] if (shipped / CONFIG).is_file() and len(Path(model).parts) == 1 else [])


def _place(model: str, store: Path) -> Path | None:
    """The folder that a name stands for, None if it is no folder of a model."""
    places = (Path(model), store / model)
    return next((one for one in places if (one / CONFIG).is_file() or (one / CHECKPOINT).is_file()), None)


def _of_one_configuration(
    model: str, found: Sequence[Trained], store: Path, rows: Iterable[Row], left_out: list[str] | None
) -> list[Trained]:
    """Those of a name's models that are of one configuration and on the same data; see `find_all_trained`."""
    groups: dict[str, list[Trained]] = {}
    for one in found:
        groups.setdefault(one.kind, []).append(one)
    if len(groups) < 2:
        return list(found)
    right = next((row.config.fingerprint() for row in rows if row.name == model), None)
    own = [group for group in groups.values() if right in {one.record.fingerprint for one in group if one.record}]
    if len(own) != 1:
        places = ", ".join(str(one.place) for one in found)
        raise UserError(
            f"{store} has several runs of {model} which differ in configuration or data; name the folder of one: "
            f"{places}"
        )
    if left_out is not None:
        left_out += [
            f"{one.place} is of another configuration than the row {model} is now, or of other data"
            for one in found
            if one not in own[0]
        ]
    return own[0]


def _trained(place: Path) -> Trained:
    whole = place.resolve()
    run = FOLDER.fullmatch(whole.name)
    return Trained(place, whole.parent.name, int(run[1])) if run else Trained(place, whole.name, None)


def _runs(store: Path) -> list[Trained]:
    """All runs of a store that have a checkpoint."""
    places = [path.parent for path in sorted(store.glob(f"*/*/{CHECKPOINT}")) if FOLDER.fullmatch(path.parent.name)]
    return [replace(_trained(place), is_named=True) for place in places]


def _best(runs: Sequence[Trained]) -> Trained:
    """The run with the best validation metric; runs that have not finished have none."""
    finished = [(run, run.record) for run in runs if run.record]
    if not finished:
        return runs[0]
    metric = registry.config_class(finished[0][1].task).validation_metric()
    choose = min if metric.better == "lower" else max
    return choose(finished, key=lambda run: run[1].metrics[metric.name])[0]


def _not_found(model: str, seed: int | None, store: Path) -> str:
    if place := _place(model, store):
        own = _trained(place).trained_with
        is_of = "has no record, which would tell its seed" if own is None else f"is the model of seed {own}"
        return f"{place} {is_of}, so it is not taken for that of seed {seed}; leave --seed out"
    if "/" in model:
        return no_model(model)
    with_seed = "" if seed is None else f" with seed {seed}"
    others = sorted({run.name for run in _runs(store)})
    option = "" if seed is None else f" --seed {seed}"
    hint = f"trained there: {', '.join(others)}" if others else f"train it with `rnnreg run {model}{option}`"
    return f"{store} has no trained {model}{with_seed}; {hint}"
