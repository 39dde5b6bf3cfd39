"""Trials, faults and the table of their outcome."""

import datetime
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.store.provenance import describe_commit

BEGIN = "<!-- campaign: written by `make campaign`, do not edit -->"
END = "<!-- end of the campaign -->"
"""The lines between which a page has the outcome."""


@dataclass(frozen=True)
class Fault:
    """An end that was not promised."""

    kind: str
    """A few words, the same for the same fault."""
    message: str
    repeat: str
    """Options of the campaign that repeat it."""
    kept: Path | None = None
    """Folder with its input."""


@dataclass
class Driver:
    """What one driver has done.

    Args:
        name: name of the driver.
        counted: what its trials are, in the plural.
        goal: number of them that an hour has at least.
    """

    name: str
    counted: str
    goal: int
    trials: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    """Number of trials for each ending that is as promised."""
    faults: dict[str, tuple[Fault, int]] = field(default_factory=dict)
    """The first fault of each kind, and how often it was seen."""
    seconds: float = 0.0

    def count(self, ending: str, trials: int = 1) -> None:
        """Count trials that ended as promised."""
        self.trials += trials
        self.endings[ending] += trials

    def fail(self, fault: Fault) -> None:
        """Count a fault, and print it when it is the first of its kind."""
        first, seen = self.faults.get(fault.kind, (fault, 0))
        self.faults[fault.kind] = (first, seen + 1)
        if not seen:
            kept = f"\n  kept in {fault.kept}" if fault.kept else ""
            print(f"FAULT {self.name}: {fault.kind}: {fault.message}\n  repeat: {fault.repeat}{kept}", flush=True)

    @property
    def line(self) -> str:
        """One line for a terminal."""
        endings = ", ".join(f"{count:,} {ending}" for ending, count in self.endings.most_common())
        faults = sum(count for _, count in self.faults.values())
        kinds = f"{faults:,} faults of {len(self.faults)} kinds" if faults else "no fault"
        return f"{self.name}: {self.trials:,} {self.counted} in {self.seconds:.0f} s, {kinds} ({endings})"


@dataclass(frozen=True)
class Budget:
    """How long a driver goes on: for some seconds, or a number of rounds."""

    seconds: float | None = None
    rounds: int | None = None
    only: int | None = None
    """The one round that is repeated."""

    def part(self, share: float, spent: float) -> "Budget":
        """The budget of one of several drivers: a share of the seconds that are left."""
        return self if self.seconds is None else replace(self, seconds=share * (self.seconds - spent))

    def __iter__(self) -> Iterator[int]:
        """Numbers of rounds."""
        if self.only is not None:
            yield self.only
            return
        begin, number = time.monotonic(), 0
        while (self.rounds is None or number < self.rounds) and (
            self.seconds is None or time.monotonic() - begin < self.seconds
        ):
            yield number
            number += 1


def as_markdown(drivers: list[Driver], seed: int, seconds: float) -> str:
    """The outcome as a table, with the place and time."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    faults = sum(count for driver in drivers for _, count in driver.faults.values())
    lines = [
        f"{day}, commit {describe_commit()[:12]}, {seconds / 60:.0f} minutes, seed {seed}, {_machine()}: "
        + (f"{faults:,} faults." if faults else "no fault."),
        "",
        "| Driver | Trials | Endings | Faults |",
        "|---|---|---|---|",
    ]
    for driver in drivers:
        endings = ", ".join(f"{count:,} {ending}" for ending, count in driver.endings.most_common())
        kinds = "; ".join(f"{_cell(kind)} ({count:,})" for kind, (_, count) in driver.faults.items()) or "none"
        lines.append(f"| {driver.name} | {driver.trials:,} {driver.counted} | {endings} | {kinds} |")
    return "\n".join(lines)


def write(page: Path, outcome: str) -> None:
    """Put the outcome into a page, between its markers."""
    text = page.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    page.write_text(f"{text[:begin]}\n\n{outcome}\n\n{text[end:]}", encoding="utf-8")


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def _cell(text: str) -> str:
    return re.sub(r"([|<>`*_\\])", r"\\\1", text)
