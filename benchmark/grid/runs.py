"""One run of a grid, as the grid knows it and as its workers get it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.store.locks import RunLock
from benchmark.tasks.base import Row


class Specification(NamedTuple):
    """A run as workers get it."""

    row: str
    """Name of a row of the suite or of the user's file."""
    seed: int
    command: str
    """Command line that trains it again."""
    name: str = ""
    """Name of the variant of that row, if one is run."""
    changes: Mapping[str, Any] = {}
    """Fields that the variant changes."""


@dataclass(frozen=True)
class Run:
    """One entry of the grid."""

    row: Row
    seed: int
    command: str
    """Command line that trains it again, for its record."""
    variant_of: str = ""
    """Name of the row of which its own is a variant that stands in no file."""
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields that the variant changes."""

    @property
    def specification(self) -> Specification:
        """The run as workers get it."""
        return Specification(self.variant_of or self.row.name, self.seed, self.command, self.row.name, self.changes)

    @property
    def label(self) -> str:
        """The run's name in lines for the user."""
        return f"{self.row.name} seed {self.seed}"

    @property
    def source(self) -> tuple[str, str]:
        """Task and name of its data as models see them, which runs of many rows share."""
        return self.row.config.task, self.row.config.data_set_name

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of its configuration."""
        return self.row.config.fingerprint()

    def lock(self, store: Path) -> RunLock:
        """The run's lock in a store."""
        return RunLock(store, self.row.name, self.seed, self.fingerprint)
