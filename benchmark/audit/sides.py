"""The two sides of a comparison: runs, rows, stores, a row at a commit, or the published log of somebody else's run."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.analysis.same_data import choose
from benchmark.audit.entries import Entry, quoted, read_entries, read_entry
from benchmark.audit.history import History
from benchmark.formatting import count
from benchmark.store.records import LOG_PROBABILITIES, RECORD, Record
from benchmark.tasks.metrics import RANGES, kind_of
from datamodules.errors import UserError
from datamodules.text import cells, read_lines

COLUMNS = {"perplexity": "validation_perplexity", "learning_rate": "lr"}
"""Other names that columns of a log have, and ours."""

BOUNDS = {**RANGES, "lr": (0, math.inf)}
"""The least and the largest value of a column, by what is in its name."""

Curve = Sequence[Mapping[str, float]]
"""Metrics of each epoch, with its number."""


@dataclass(frozen=True)
class Side:
    """One side: runs of one row, or somebody else's learning curve."""

    title: str
    entries: tuple[Entry, ...] = ()
    curve: Curve = ()
    """The learning curve of a published log, which has no records."""
    notes: tuple[str, ...] = ()
    """What reading the log has changed, and what runs are left out, each as a sentence."""

    @property
    def records(self) -> list[Record]:
        """The records of its runs, in the order of their seeds."""
        return sorted((entry.record for entry in self.entries if entry.record), key=lambda record: record.seed)

    @property
    def curves(self) -> list[Curve]:
        """The learning curve of each run."""
        return [self.curve] if self.curve else [record.curve for record in self.records if record.curve]

    def values(self, metric: str, epoch: int | None = None) -> list[float]:
        """A metric at the end of each run that has it there.

        Args:
            metric: name of the metric.
            epoch: the epoch to take in place of the end; the last epoch of a run and its final metrics are its end.
        """
        ends = [end_of(record, epoch) for record in self.records]
        ends += [dict(point) for point in self.curve[-1:] if epoch is None]
        ends += [dict(point) for point in self.curve if point["epoch"] == epoch]
        return [end[metric] for end in ends if metric in end]

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


def end_of(record: Record, epoch: int | None = None) -> dict[str, float]:
    """The metrics of a run's last epoch and its final metrics, or those of an earlier epoch."""
    last = record.curve[-1] if record.curve else {}
    if epoch is None or last.get("epoch") == epoch:
        return {**last, **record.metrics}
    return next((point for point in record.curve if point["epoch"] == epoch), {})


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
    if path.suffix.lower() == ".csv":
        return {"": _published(quoted(text), read_curve(path))}
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
    for row, every in rows.items():
        several, notes = _of_one_kind(every)
        seeds = sorted(entry.record.seed for entry in several if entry.record)
        which = f"seed {seeds[0]}" if len(seeds) == 1 else count(len(seeds), "run")
        title = f"{row}, {which}{where}"
        sides[row] = Side(title, tuple(several), notes=tuple(f"{title}: {note}." for note in notes))
    return sides


def _of_one_kind(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """The runs of one configuration and of one data, one for each seed, and what is left out for that."""
    kept, notes = [(entry, entry.record) for entry in entries if entry.record], []
    for field, other in (("fingerprint", "another configuration or protocol"), ("data_sha256", "other data")):
        shown = choose([record for _, record in kept], field=field)
        of_shown = [(entry, record) for entry, record in kept if getattr(record, field) == shown]
        if others := len(kept) - len(of_shown):
            notes.append(f"{count(others, 'run')} of {other} left out")
        kept = of_shown
    newest = {record.seed: entry for entry, record in sorted(kept, key=lambda one: one[1].finished)}
    if len(newest) < len(kept):
        notes.append(f"{count(len(kept) - len(newest), 'run')} of a seed that has a newer one left out")
    return list(newest.values()), notes


def _published(title: str, curve: Curve) -> Side:
    """The side of a log, whose epochs are counted from 1 as the suite's are."""
    if curve[0]["epoch"] != 0:
        return Side(title, curve=curve)
    note = (
        f"{title} counts its epochs from 0, here from 1; leave out a line of epoch 0 that was measured before training."
    )
    return Side(title, curve=[{**point, "epoch": point["epoch"] + 1} for point in curve], notes=(note,))


def read_curve(path: Path) -> Curve:
    """Somebody else's learning curve: a CSV file with a column `epoch` and at least one of a metric.

    `perplexity` is that of the validation set; other columns have the names that records have.

    Raises:
        UserError: the file cannot be read, lacks a column, or has a gap or something that is no number.
    """
    lines = [(number, cells(line, ",")[0]) for number, line in read_lines(path) if line.strip(", \t")]
    names = [re.sub(r"\W+", "_", cell.strip().lower()) for cell in lines[0][1]] if lines else []
    names = [COLUMNS.get(name, name) for name in names]
    if "epoch" not in names or len(names) < 2 or len(lines) < 2 or len(set(names)) < len(names):
        raise UserError(
            f"{path} needs a header with `epoch` and a metric such as `perplexity`, separated by commas, and a line an "
            f"epoch; its header is {quoted(lines[0][1] if lines else 'empty')}"
        )
    curve: list[dict[str, float]] = []
    for number, line in lines[1:]:
        try:
            point = dict(zip(names, map(float, line), strict=True))
            if not all(map(math.isfinite, point.values())):
                raise ValueError
        except ValueError as error:
            raise UserError(
                f"{path} line {number}: expected {len(names)} numbers ({', '.join(names)}), got {quoted(line)}"
            ) from error
        _refuse_impossible(point, curve[-1]["epoch"] if curve else None, f"{path} line {number}")
        curve.append(point)
    for name in names:
        if kind_of(name) == "accuracy" and max(point[name] for point in curve) <= 1:
            raise UserError(f"{path}: {name} is never above 1; accuracies are in percent, so multiply them by 100")
    return curve


def _refuse_impossible(point: Mapping[str, float], before: float | None, place: str) -> None:
    """Refuse an epoch that does not follow the one before, and a figure that cannot be.

    Raises:
        UserError: with the place.
    """
    epoch = point["epoch"]
    if epoch < 0 or not epoch.is_integer():
        raise UserError(f"{place}: epoch {epoch:g} is no whole number; epochs are counted 1, 2, 3, ...")
    if before is not None and epoch != before + 1:
        raise UserError(f"{place}: epoch {epoch:g} follows {before:g}; fill the gap")
    for name, value in point.items():
        for kind, (least, most) in BOUNDS.items():
            if kind in name.split("_") and not least <= value <= most:
                shown = {"lr": "learning rate", "bleu": "BLEU", "accuracy": "accuracy in percent"}.get(kind, kind)
                bound = f"at least {least}" if value < least else f"at most {most}"
                raise UserError(f"{place}: {name} is {value:g}; the {shown} is {bound}")
