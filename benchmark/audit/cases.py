"""What a check is given: a record, with all that it is held against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from benchmark.audit.configurations import configuration_of
from benchmark.audit.entries import Entry
from benchmark.audit.history import History
from benchmark.store.records import ITEMS, LOG_PROBABILITIES, Record, checksum_arrays
from benchmark.tasks.base import Config, Row


class Gap(str):
    """What could not be checked, and why: no fault of the record."""


@dataclass(frozen=True)
class Case:
    """One record with all that its checks look at."""

    entry: Entry
    record: Record
    rows: Mapping[str, Row]
    """Every row that is known, by its name."""
    history: History
    tokens: Mapping[str, int] = field(default_factory=dict)
    """Tokens of each split that most records of the same task and data have log-probabilities of."""
    data_sha256: str = ""
    """Checksum of the data that was recomputed from the data itself; empty where it was not."""

    @cached_property
    def config(self) -> Config:
        """The record's configuration; see configuration_of."""
        return configuration_of(self.record, self.rows.values())

    @property
    def is_current(self) -> bool:
        """Whether the record's protocol is that of its task today."""
        today = {row.config.protocol for row in self.rows.values() if row.config.task == self.record.task}
        return self.record.protocol in today

    @property
    def row(self) -> Row | None:
        """The known row of the record's name; None if there is none, or the record is of another protocol."""
        row = self.rows.get(self.record.row)
        return row if row and row.config.task == self.record.task and self.is_current else None

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The log-probabilities beside the record; none for an ensemble, nor if the run kept none, as trials do."""
        nothing = self.record.log_probabilities_sha256 == checksum_arrays({}) and not self.entry.has(LOG_PROBABILITIES)
        return {} if self.record.is_ensemble or nothing else self.entry.arrays()

    @cached_property
    def items(self) -> dict[str, np.ndarray]:
        """What the metrics of each test item are made of; none where the record keeps nothing of it."""
        return self.entry.arrays(ITEMS) if self.record.items_sha256 else {}
