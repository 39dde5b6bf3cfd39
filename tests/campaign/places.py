"""The folders of a run, and what must be true of them and of the command that made them."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmark.store.locks import UNDER_WAY
from benchmark.store.records import Record, Store
from campaign import children
from datamodules.scratch import FILE, FOLDER


class Wrong(Exception):
    """An end that was not promised: its kind, the same for the same fault, and a message."""

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message or kind)
        self.kind = kind


@dataclass(frozen=True)
class Place:
    """The folders of one run."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "runs"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def copy(self, other: "Place") -> "Place":
        """Make another one of the same content."""
        shutil.copytree(other.folder, self.folder, dirs_exist_ok=True)
        return self

    def files(self) -> set[str]:
        """What is in store and data, locks and progress left aside; names of processes' scratch files without them."""
        roots = (self.store, self.data)
        paths = (path for root in roots for path in root.rglob("*") if UNDER_WAY not in path.parts and path.is_file())
        return {str(path.relative_to(self.folder)) for path in paths}

    def half_made(self) -> list[str]:
        """Files and folders of processes that did not finish them."""
        found = [*self.store.rglob("*"), *self.data.rglob("*")]
        return [
            str(path.relative_to(self.folder))
            for path in found
            if (FOLDER if path.is_dir() else FILE).fullmatch(path.name)
        ]


def content(place: Place) -> object:
    """The parts of all records of a store that do not depend on time and place."""
    try:
        return [_content(record) for record in Store(place.store).records()]
    except Exception as error:
        raise Wrong(f"its record cannot be read: {type(error).__name__}", str(error)) from error


def _content(record: Record) -> object:
    timing = {"seconds", "throughput"}
    curve = [{name: value for name, value in epoch.items() if name not in timing} for epoch in record.curve]
    sums = (record.fingerprint, record.data_sha256, record.log_probabilities_sha256, record.items_sha256)
    return record.run, record.metrics, curve, sums, record.details


def require_one_line(ended: children.Ended) -> None:
    """Require that a command that failed says why in one line.

    Raises:
        Wrong: it does not.
    """
    if "Traceback (most recent call last)" in ended.output:
        raise Wrong(f"a traceback: {shape(ended.output)}", ended.output[-3000:])
    if sum(line.startswith("rnnreg: error: ") for line in ended.output.splitlines()) != 1:
        raise Wrong(f"exits with {ended.code} without one line: {shape(ended.output)}", ended.output[-3000:])


def shape(output: str) -> str:
    """The last line of an output without numbers and paths, by which equal faults are known."""
    last = (output.strip().splitlines() or [""])[-1]
    return re.sub(r"\d+", "N", re.sub(r"/\S+", "PATH", last))[:160]
