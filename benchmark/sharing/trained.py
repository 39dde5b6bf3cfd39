"""Trained models that a user names: runs of a store, exported folders, and the models that ship with the suite."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.store.records import CHECKPOINT, RECORD, Record, read_record
from benchmark.tasks import registry
from datamodules.errors import UserError
from models.loading import CONFIG

SHIPPED = registry.ROOT / "results" / "models"
"""Folder of the exported models that ship with the suite, each named as its row."""

RUN = re.compile(r"seed-(\d+)-[0-9a-f]{8}")
"""Name of a run's folder, which lies in a folder of the row's name."""


@dataclass(frozen=True)
class Trained:
    """A trained model that a user has named."""

    place: Path
    """Folder of the run, or exported folder."""
    row: str
    """Name of the row, or of a variant of it; for an exported folder the name of the folder."""
    seed: int | None
    """Seed of the run, as its folder is named; None for an exported folder, whose record has it."""

    @property
    def name(self) -> str:
        """Name in messages."""
        return str(self.place) if self.seed is None else f"{self.row} seed {self.seed}"

    def has_seed(self, seed: int) -> bool:
        """Whether it was trained with a seed."""
        return seed == (self.seed if self.seed is not None or self.record is None else self.record.seed)

    @cached_property
    def record(self) -> Record | None:
        """The record of the run, None if the run has not finished.

        Raises:
            CorruptRecord: it cannot be trusted.
        """
        path = self.place / RECORD
        return read_record(path) if path.is_file() else None


def find_trained(model: str, seed: int | None, store: Path) -> Trained:
    """The model of a run or an exported one; no data is needed.

    Args:
        model: folder of a run, an exported folder, or name of a row or of a variant of it; if the store has no run of
            that row, the model that ships with the suite.
        seed: seed of the run; if None the run with the best validation metric.
        store: folder that holds the runs.

    Raises:
        UserError: there is no such model, or there are several runs of one seed.
    """
    found = find_all_trained(model, store)
    if seed is not None:
        found = [one for one in found if one.has_seed(seed)]
    if not found:
        raise UserError(_not_found(model, seed, store))
    return found[0] if len(found) == 1 else _best(found)


def find_all_trained(model: str, store: Path) -> list[Trained]:
    """All models that a name stands for, in the order of their seeds; see `find_trained`.

    Raises:
        UserError: there are several runs of one seed.
    """
    for place in (Path(model), store / model):
        if (place / CONFIG).is_file() or (place / CHECKPOINT).is_file():
            return [_trained(place)]
    runs = sorted((run for run in _runs(store) if run.row == model), key=lambda run: run.seed or 0)
    seeds = [run.seed for run in runs]
    if twice := [str(run.place) for run in runs if seeds.count(run.seed) > 1]:
        raise UserError(
            f"{store} has several runs of {model} with one seed, which differ in configuration or data; name the "
            f"folder of one: {', '.join(twice)}"
        )
    shipped = SHIPPED / model
    return runs or ([_trained(shipped)] if (shipped / CONFIG).is_file() and len(Path(model).parts) == 1 else [])


def _trained(place: Path) -> Trained:
    whole = place.resolve()
    run = RUN.fullmatch(whole.name)
    return Trained(place, whole.parent.name, int(run[1])) if run else Trained(place, whole.name, None)


def _runs(store: Path) -> list[Trained]:
    """All runs of a store that have a checkpoint."""
    places = [path.parent for path in sorted(store.glob(f"*/*/{CHECKPOINT}")) if RUN.fullmatch(path.parent.name)]
    return [_trained(place) for place in places]


def _best(runs: Sequence[Trained]) -> Trained:
    """The run with the best validation metric; runs that have not finished have none."""
    finished = [(run, run.record) for run in runs if run.record]
    if not finished:
        return runs[0]
    metric = registry.config_class(finished[0][1].task).validation_metric()
    choose = min if metric.better == "lower" else max
    return choose(finished, key=lambda run: run[1].metrics[metric.name])[0]


def _not_found(model: str, seed: int | None, store: Path) -> str:
    if "/" in model:
        return (
            f"{model} holds no model: neither {CHECKPOINT}, as the folder of a run does, nor {CONFIG}, as `rnnreg "
            "export` writes it"
        )
    with_seed = "" if seed is None else f" with seed {seed}"
    others = sorted({run.name for run in _runs(store)})
    option = "" if seed is None else f" --seed {seed}"
    hint = f"trained there: {', '.join(others)}" if others else f"train it with `rnnreg run {model}{option}`"
    return f"{store} has no trained {model}{with_seed}; {hint}"
