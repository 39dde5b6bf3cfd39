"""The two sides of a comparison: runs, rows, stores, a row at a commit, or the published log of somebody else's run."""

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.audit.entries import Entry, quoted, read_entries, read_entry
from benchmark.audit.history import History
from benchmark.store.records import LOG_PROBABILITIES, RECORD, Record
from datamodules.errors import UserError, require_file

COLUMNS = {"perplexity": "validation_perplexity", "learning_rate": "lr"}
"""Other names that columns of a log have, and ours."""

Curve = Sequence[Mapping[str, float]]
"""Metrics of each epoch, with its number."""


@dataclass(frozen=True)
class Side:
    """One side: runs of one row, or somebody else's learning curve."""

    title: str
    entries: tuple[Entry, ...] = ()
    curve: Curve = ()
    """The learning curve of a published log, which has no records."""

    @property
    def records(self) -> list[Record]:
        """The records of its runs, in the order of their seeds."""
        return sorted((entry.record for entry in self.entries if entry.record), key=lambda record: record.seed)

    @property
    def curves(self) -> list[Curve]:
        """The learning curve of each run."""
        return [self.curve] if self.curve else [record.curve for record in self.records if record.curve]

    def values(self, metric: str) -> list[float]:
        """A final metric, or that of the last epoch, of each run that has it."""
        last = [{**(one.curve[-1] if one.curve else {}), **one.metrics} for one in self.records]
        last += [dict(self.curve[-1])] if self.curve else []
        return [one[metric] for one in last if metric in one]

    def at_epoch(self, metric: str, epoch: float) -> list[float]:
        """A metric of one epoch, of each run that has it."""
        return [
            point[metric] for curve in self.curves for point in curve if point["epoch"] == epoch and metric in point
        ]

    def arrays(self, split: str) -> dict[int, np.ndarray]:
        """Log-probabilities of the true tokens of a split [tokens], by the seed of the run."""
        found = {}
        for entry in self.entries:
            if entry.record and not entry.record.is_ensemble and entry.has(LOG_PROBABILITIES):
                arrays = entry.arrays()
                if split in arrays:
                    found[entry.record.seed] = arrays[split]
        return found


def resolve(text: str, store: Path, history: History) -> dict[str, Side]:
    """The side that some words name, by the row; a store has one for each of its rows.

    Args:
        text: a run's folder or record, a store, a CSV file, ROW, ROW@COMMIT, or ROW/seed-N.
        store: folder in which rows are looked for.
        history: the suite's history, for commits.

    Raises:
        UserError: it names nothing, or what it names cannot be read.
    """
    path = Path(text)
    if path.suffix == ".csv":
        return {"": Side(quoted(text), curve=read_curve(path))}
    if path.name == RECORD and path.is_file():
        path = path.parent
    if (path / RECORD).is_file():
        return _by_row([read_entry(path / RECORD, path.parent.parent)], "")
    if path.is_dir() and any(path.glob(f"*/*/{RECORD}")):
        return _by_row(read_entries(path), f" in {text}")
    name, at, commit = text.partition("@")
    row, _, run = name.partition("/")
    found = [entry for entry in (read_entries(store) if store.is_dir() else []) if _matches(entry, row, run)]
    if at:
        whole = history.resolve(commit) or commit
        at_commit = [entry for entry in found if entry.record and entry.record.commit.startswith(whole)]
        if found and not at_commit:
            others = sorted({entry.record.commit[:12] for entry in found if entry.record})
            raise UserError(f"{store} has no runs of {name} at {commit}; it has some at {', '.join(others)}")
        found = at_commit
    if not found:
        raise UserError(f"{quoted(text)} is no run, row, store or CSV file; rows are looked for in --store {store}")
    return _by_row(found, f" at {commit}" if at else "")


def _matches(entry: Entry, row: str, run: str) -> bool:
    folder, _, name = entry.name.partition("/")
    return folder == row and (not run or name == run or name.startswith(f"{run}-"))


def _by_row(entries: Iterable[Entry], where: str) -> dict[str, Side]:
    """The runs of each row.

    Raises:
        UserError: a record cannot be read or trusted.
    """
    rows: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.fault or entry.record is None:
            raise UserError(f"{entry.name}: {entry.fault}; `rnnreg verify` says more")
        rows.setdefault(entry.record.row, []).append(entry)
    sides = {}
    for row, several in rows.items():
        seeds = sorted(entry.record.seed for entry in several if entry.record)
        count = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} runs"
        sides[row] = Side(f"{row}, {count}{where}", tuple(several))
    return sides


def read_curve(path: Path) -> Curve:
    """Somebody else's learning curve: a CSV file with a column `epoch` and at least one of a metric.

    `perplexity` is that of the validation set; other columns have the names that records have.

    Raises:
        UserError: the file cannot be read, lacks a column, or has a gap or something that is no number.
    """
    try:
        require_file(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if any(cell.strip() for cell in line)]
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a CSV file: {quoted(error)}") from error
    names = [re.sub(r"\W+", "_", cell.strip().lower()) for cell in lines[0]] if lines else []
    names = [COLUMNS.get(name, name) for name in names]
    if "epoch" not in names or len(names) < 2 or len(lines) < 2 or len(set(names)) < len(names):
        raise UserError(f"{path} needs a header with `epoch` and a metric such as `perplexity`, and a line an epoch")
    curve: list[dict[str, float]] = []
    for number, line in enumerate(lines[1:], 2):
        try:
            point = dict(zip(names, map(float, line), strict=True))
            if not all(map(math.isfinite, point.values())):
                raise ValueError
        except ValueError as error:
            raise UserError(
                f"{path} line {number}: expected {len(names)} numbers ({', '.join(names)}), got {quoted(line)}"
            ) from error
        if curve and point["epoch"] != curve[-1]["epoch"] + 1:
            raise UserError(
                f"{path} line {number}: epoch {point['epoch']:g} follows {curve[-1]['epoch']:g}; fill the gap"
            )
        if wrong := [name for name, value in point.items() if "perplexity" in name and value < 1]:
            raise UserError(f"{path} line {number}: {wrong[0]} is {point[wrong[0]]:g}; a perplexity is at least 1")
        curve.append(point)
    return curve
