"""The rows of the suite with the records that are theirs: what tables, figures, claims and averages are made of."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.store.records import Record
from benchmark.tasks.base import Config, DataSet, Row, Size
from benchmark.tasks.registry import DATA_SETS

NOT_RUN = "not run yet"
"""In place of the figures of a row without runs."""


@dataclass(frozen=True)
class Sample:
    """One metric over the seeds of a row."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds (n - 1), None for a single run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def show(self, digits: int) -> str:
        """Mean and spread for a table cell."""
        spread = "" if self.sd is None else f" ± {self.sd:.{digits}f}"
        return f"{self.mean:.{digits}f}{spread}"


@dataclass(frozen=True)
class Line:
    """A row of the table with the records it was run with."""

    row: Row
    records: tuple[Record, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it is the suite's LSTM, with or without dropout on its non-recurrent connections, nothing else."""
        config = self.row.config
        special = config.recurrent_dropout or config.cell != "lstm" or config.backbone != type(config).backbone
        return not (special or config.layers == 0 or self.row.ensemble_of)

    @property
    def is_complete_ensemble(self) -> bool:
        """Whether it is an average that has been made of as many models as its row asks for."""
        made = [len(record.members) for record in self.records] if self.row.ensemble_of else []
        return self.row.members in made

    @property
    def comparable(self) -> Mapping[str, float]:
        """The paper's figures that the line's own are held against: on the same data, of as many models averaged."""
        paper = self.row.published
        if not paper or paper.on or (self.row.ensemble_of and not self.is_complete_ensemble):
            return {}
        return paper.metrics

    def sample(self, name: str) -> Sample | None:
        """A metric over the seeds, of the last epoch where it is not a final metric. None where no run has it."""
        last = [{**(record.curve[-1] if record.curve else {}), **record.metrics} for record in self.records]
        values = tuple(metrics[name] for metrics in last if name in metrics)
        return Sample(values) if values else None


def gather(rows: Iterable[Row], records: Iterable[Record], warnings: list[str] | None = None) -> list[Line]:
    """Give each row the records that are its own: same name, configuration, protocol and data, one per seed.

    Args:
        rows: the rows, in the order of the table.
        records: whatever a store holds.
        warnings: takes one line for each record left out because its row has changed since, or its data differs.
    """
    by_row: dict[str, list[Record]] = {}
    for record in records:
        by_row.setdefault(record.row, []).append(record)
    found = []
    for row in rows:
        fingerprint = row.config.fingerprint()
        own = [record for record in by_row.get(row.name, []) if record.fingerprint == fingerprint]
        data = [record.data_sha256 for record in own]
        common = max(sorted(set(data)), key=data.count) if data else ""
        kept = {record.seed: record for record in own if record.data_sha256 == common}
        if warnings is not None and (left_out := len(by_row.get(row.name, [])) - len(kept)):
            warnings.append(f"{row.name}: {left_out} records of another configuration, protocol or data are left out")
        found.append(Line(row, tuple(kept[seed] for seed in sorted(kept))))
    return found


def by_source(table: Iterable[Line]) -> dict[str, list[Line]]:
    """The lines of each source, in the order of the table: what one table or one figure shows."""
    groups: dict[str, list[Line]] = {}
    for line in table:
        groups.setdefault(line.row.config.source, []).append(line)
    return groups


def sizes(group: Iterable[Line]) -> list[Size]:
    """The sizes of a group's rows, in its order."""
    return list(dict.fromkeys(line.row.size for line in group))


def plain(group: Iterable[Line], size: Size, *, regularized: bool) -> Line | None:
    """The plain line of a size, with or without dropout; None if there is no such row."""
    found = (line for line in group if line.is_plain and line.row.size == size)
    return next((line for line in found if bool(line.row.config.dropout) == regularized), None)


def data_set(group: Sequence[Line]) -> DataSet:
    """What tables and figures say of the data of one source's lines."""
    config = group[0].row.config
    return DATA_SETS.get(config.source, DataSet(f"{config.task}, {config.source}"))


def trivial_baselines(group: Sequence[Line]) -> dict[str, dict[str, float]]:
    """What needs no model, such as always naming the majority class: name and metrics, as the records have them."""
    return {
        name: scores for line in group for record in line.records for name, scores in record.trivial_baselines.items()
    }


def model_name(row: Row) -> str:
    """What tables call a row's model."""
    if row.ensemble_of:
        return f"average of {row.members} {row.label or row.size}"
    return (row.label or row.size) + (" (plain RNN)" if row.config.cell == "rnn" else "")


def placement(config: Config) -> str:
    """Where a configuration drops, and how much of it."""
    if not config.dropout and not config.recurrent_dropout:
        return "none"
    where = f"{config.dropout:g}"
    return f"{where}, recurrent too" if config.recurrent_dropout else where
