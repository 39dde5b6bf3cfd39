"""The rows of the suite with their records, which tables, figures, claims and ensembles are made from."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, get_args

from benchmark.analysis import same_data
from benchmark.analysis.samples import Sample
from benchmark.formatting import count
from benchmark.store.diverged import read_diverged
from benchmark.tasks.base import DataSet, Metric, Row, Size
from benchmark.tasks.registry import DATA_SETS
from datamodules.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from benchmark.analysis.subsets import EnsembleGain
    from benchmark.store.records import Record, Store

NOT_RUN = "not run yet"
"""Shown in place of the figures of a row without runs."""


@dataclass(frozen=True)
class RowResults:
    """A row and the records of its runs."""

    row: Row
    records: tuple[Record, ...]
    """One per seed, in the order of the seeds."""
    store: Store | None = None
    """The store of the records; None if only the records are known."""
    diverged: tuple[int, ...] = ()
    """Seeds of its runs that diverged, which have no record."""
    single: RowResults | None = None
    """The row of an ensemble's members; None for a row that is trained, or if it is not known."""

    @property
    def is_lost(self) -> bool:
        """Whether all of its runs diverged."""
        return bool(self.diverged and not self.records)

    @property
    def without_figures(self) -> str:
        """What is shown in place of the figures of a row that has none."""
        return "diverged" if self.is_lost else NOT_RUN

    @property
    def is_plain(self) -> bool:
        """Whether it is the paper's LSTM, with or without dropout on its non-recurrent connections, nothing else."""
        config = self.row.config
        special = (
            config.recurrent_dropout
            or config.methods
            or config.cell != "lstm"
            or config.backbone != type(config).backbone
        )
        return not (special or config.layers == 0 or self.row.ensemble_of)

    @property
    def is_complete_ensemble(self) -> bool:
        """Whether it is an ensemble of as many models as its row asks for."""
        made = [len(record.members) for record in self.records] if self.row.ensemble_of else []
        return self.row.members in made

    @property
    def comparable(self) -> Mapping[str, float]:
        """The paper's figures for the same data and, for an ensemble, the same number of models.

        Their names are those of our figures that are measured in the same way.
        """
        paper = self.row.published
        if not paper or paper.on or (self.row.ensemble_of and not self.is_complete_ensemble):
            return {}
        return self.papers_figures

    @property
    def papers_figures(self) -> dict[str, float]:
        """The paper's figures for the row, by the name of our figure that is measured in the same way."""
        return self.row.published.by_our_names(self.row.config.shown_metrics()) if self.row.published else {}

    def like_for_like(self, metrics: Iterable[Metric]) -> Iterator[tuple[Metric, Sample | None, float]]:
        """Each metric that the paper has on the same data: our sample of it as the paper measured it, and its figure.

        The sample is None where no run has the figure that is measured as the paper's is.
        """
        paper = self.row.published.metrics if self.row.published else {}
        for metric in metrics:
            name = metric.papers_name
            if self.records and metric.name in paper and name in self.comparable:
                yield metric, self.shown(name), self.comparable[name]

    def log_probabilities(self, split: str) -> list[np.ndarray]:
        """Log-probabilities of the true tokens of a split [tokens], of each run that the store has them of.

        Raises:
            CorruptRecord: they are damaged.
        """
        if self.store is None or self.row.ensemble_of:
            return []
        kept = [self.store.log_probabilities(one) for one in self.records if self.store.has_log_probabilities(one)]
        return [arrays[split] for arrays in kept if split in arrays]

    @cached_property
    def _gains(self) -> dict[tuple[int, str], EnsembleGain]:
        return {}

    def ensemble_gain(self, members: int, split: str) -> EnsembleGain | None:
        """Ensembles of every choice of so many of the runs; None if fewer have kept their log-probabilities.

        Raises:
            CorruptRecord: these are damaged.
        """
        from benchmark.analysis.subsets import ensemble_gain

        if (members, split) not in self._gains:
            arrays = self.log_probabilities(split)
            if len(arrays) < members:
                return None
            self._gains[members, split] = ensemble_gain(arrays, members)
        return self._gains[members, split]

    def over_choices(self, split: str) -> EnsembleGain | None:
        """An ensemble's perplexity over all choices of its members among the runs; None if there is but one."""
        members = max((len(record.members) for record in self.records), default=0)
        gain = self.single.ensemble_gain(members, split) if self.single and members > 1 else None
        return gain if gain and len(gain.ensembles) > 1 else None

    def shown(self, name: str) -> Sample | None:
        """What tables and figures show of a metric: its sample or, of an ensemble's perplexity, all choices of members.

        An ensemble's record is that of the first seeds, which are one choice among many.
        """
        split = name.removesuffix("_perplexity")
        gain = self.over_choices(split) if name in ("validation_perplexity", "test_perplexity") else None
        return Sample(gain.ensembles, tuple(range(len(gain.ensembles)))) if gain else self.sample(name)

    def items(self, name: str) -> list[np.ndarray]:
        """Counts of each test item [items, counts] that a metric is made of, of each run that has kept them.

        Raises:
            CorruptRecord: they are damaged.
        """
        kept = [self.store.items(one) for one in self.records] if self.store else []
        return [arrays[name] for arrays in kept if name in arrays]

    def sample(self, name: str) -> Sample | None:
        """A metric over the seeds, of the last epoch if it is not a final metric. None if no run has it."""
        last = [(one.seed, {**(one.curve[-1] if one.curve else {}), **one.metrics}) for one in self.records]
        found = {seed: metrics[name] for seed, metrics in last if name in metrics}
        return Sample.of(found, len(self.diverged)) if found else None


def gather(
    rows: Iterable[Row],
    records: Iterable[Record],
    warnings: list[str] | None = None,
    store: Store | None = None,
    here: Callable[[Row], str | None] | None = None,
) -> list[RowResults]:
    """Give each row the records that are its own: same name, configuration, protocol and data, one per seed.

    Rows on the same source have records of the same data, since they are compared with each other; see `same_data`. The
    record of an ensemble is one of the runs of its members that are shown, not of earlier ones.

    Args:
        rows: the rows, in the order of the table.
        records: the records of a store.
        warnings: receives a message for each row and each source that has records which are left out.
        store: the store of the records, for what they keep beside them.
        here: gives the checksum of the data at hand for a row, None where it is not known; runs of it are shown.
    """
    by_row: dict[str, list[Record]] = {}
    for record in records:
        by_row.setdefault(record.row, []).append(record)
    own = [(row, same_data.own(row, by_row, warnings)) for row in rows]
    of_sources: dict[tuple[object, ...], list[Record]] = {}
    rows_of = {row.config.data_key: row for row, _ in reversed(own)}
    for row, found in own:
        of_sources.setdefault(row.config.data_key, []).extend(found)
    shown: dict[tuple[object, ...], str] = {}
    for key, found in of_sources.items():
        if len(same_data.grouped(found)) > 1:
            shown[key] = same_data.choose(found, here(rows_of[key]) if here else None)
            if warnings is not None:
                warnings.append(same_data.warning(rows_of[key].config.source, found, shown[key]))
    table, lost = [], [*read_diverged(store.root, warnings)] if store else []
    for row, found in own:
        key = row.config.data_key
        data = shown.get(key) or next((record.data_sha256 for record in of_sources[key]), None)
        kept = {record.seed: record for record in found if record.data_sha256 == data}
        diverged = same_data.seeds_of(row, lost, data) if lost else ()
        table.append(RowResults(row, tuple(kept[seed] for seed in sorted(kept)), store, diverged))
    trained = {results.row.name: results for results in table}
    return [replace(one, single=trained.get(one.row.ensemble_of)) if one.row.ensemble_of else one for one in table]


def read_store(
    rows: Iterable[Row],
    folder: Path,
    corrupt: list[str] | None = None,
    here: Callable[[Row], str | None] | None = None,
    *,
    every_row: bool = False,
) -> list[RowResults]:
    """The rows with their records in a store; records that are left out are named on standard error.

    Args:
        rows: the rows, in the order of the table.
        folder: folder of the records.
        corrupt: a list to which a line is added for each record that cannot be trusted.
        here: see `gather`.
        every_row: whether these are all rows that there are, so that records of others are named too.

    Raises:
        UserError: there is no such folder.
    """
    from benchmark.store.records import Store

    if not folder.is_dir():
        raise UserError(f"--store {folder}: there is no such folder; `rnnreg reproduce` makes one")
    corrupt = [] if corrupt is None else corrupt
    warnings: list[str] = []
    store, rows = Store(folder), list(rows)
    records = list(store.records(skipped=corrupt))
    table = gather(rows, records, warnings, store, here)
    if every_row and (strangers := _strangers(rows, records)):
        warnings.append(strangers)
    for warning in (*corrupt, *warnings):
        print(f"rnnreg: left out: {warning}", file=sys.stderr)
    return table


def _strangers(rows: Iterable[Row], records: Iterable[Record]) -> str:
    """A warning of records of no row, such as those of variants, and of a user's rows without their file."""
    known = {row.name for row in rows}
    counts = Counter(record.row for record in records if record.row not in known)
    if not counts:
        return ""
    names = ", ".join(list(counts)[:3]) + (f" and {len(counts) - 3:,} more" if len(counts) > 3 else "")
    return f"{count(counts.total(), 'record')} of what is no row here: {names}; rows of your own need --rows-file"


def by_source(table: Iterable[RowResults]) -> dict[str, list[RowResults]]:
    """The rows of each source as models see it, in the order of the table: one group for each table and figure.

    Where several tasks use one source, each is a group of its own; those after the first have their task in the name.
    """
    groups: dict[str, list[RowResults]] = {}
    names: dict[tuple[str, str], str] = {}
    for results in table:
        source, task = results.row.config.data_set_name, results.row.config.task
        name = names.get((source, task), source)
        while (source, task) not in names and name in groups:
            name = f"{name}-{task}"
        names[source, task] = name
        groups.setdefault(name, []).append(results)
    return groups


def sizes(group: Iterable[RowResults]) -> list[Size]:
    """The sizes of a group's rows, the smallest first, in whatever order the rows are."""
    found = {results.row.size for results in group}
    return [size for size in get_args(Size) if size in found]


def largest(group: Sequence[RowResults]) -> Size | None:
    """The largest size of a group that has both plain rows, so that it can show what dropout does; None if none has."""
    whole = [size for size in sizes(group) if all(plain(group, size, regularized=kind) for kind in (False, True))]
    return whole[-1] if whole else None


def plain(group: Iterable[RowResults], size: Size, *, regularized: bool) -> RowResults | None:
    """The plain row of a size, with or without dropout; None if there is no such row."""
    found = (results for results in group if results.is_plain and results.row.size == size)
    return next((results for results in found if bool(results.row.config.dropout) == regularized), None)


def data_set(group: Sequence[RowResults]) -> DataSet:
    """The data set of a group, as tables and figures name it."""
    config = group[0].row.config
    known: dict[str, DataSet] = DATA_SETS
    return known.get(config.data_set_name, DataSet(f"{config.task}, {config.data_set_name}"))


def trivial_baselines(group: Sequence[RowResults]) -> dict[str, dict[str, float]]:
    """Metrics of predictions without a model, such as always naming the majority class, by name."""
    records = [record for results in group for record in results.records]
    return {name: scores for record in records for name, scores in record.trivial_baselines.items()}
