"""Runs of tiny rows that several files of tests use, and the figures that commands print of them."""

from dataclasses import dataclass
from pathlib import Path

from benchmark.store.records import Record
from benchmark.tasks.base import Row


@dataclass(frozen=True)
class Trained:
    """A store in which a tiny row of each task has a run."""

    folder: Path
    rows: dict[str, Row]
    records: dict[str, Record]

    @property
    def store(self) -> Path:
        return self.folder / "runs"

    @property
    def places(self) -> list[object]:
        return ["--store", self.store, "--data", self.folder / "data"]


def table_of(out: str) -> dict[str, list[str]]:
    """The figures that a command has printed, by the name of the metric."""
    return {words[0]: words[1:] for line in out.splitlines() if (words := line.split()) and len(words) > 1}
