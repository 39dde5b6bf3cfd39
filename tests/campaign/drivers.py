"""All drivers, and how the time is shared among them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.factories import TASKS

from campaign.flips import flips
from campaign.full_disk import full_disks
from campaign.fuzz import fuzz
from campaign.kills import kills
from campaign.ledger import Budget, Driver
from campaign.readers import READERS
from campaign.runs import Suite
from campaign.words import COMMAND_LINE

Rounds = Callable[[Suite, int, Budget, Driver], Iterator[None]]


@dataclass(frozen=True)
class Kind:
    """A driver."""

    rounds: Rounds
    counted: str
    goal: int
    """Trials that an hour has at least."""
    share: float
    """Share of the time."""


DRIVERS = {
    "kills": Kind(kills, "kills", 300, 0.25),
    "flips": Kind(flips, "flipped bits", 100, 0.10),
    "readers": Kind(fuzz(READERS), "fuzzed inputs", 200_000, 0.50),
    "words": Kind(fuzz(COMMAND_LINE), "fuzzed command lines", 5_000, 0.08),
    "disks": Kind(full_disks, "full disks", 20, 0.07),
}


def campaign(
    folder: Path, seed: int, budget: Budget, names: Sequence[str], keep: Path, tasks: tuple[str, ...] = TASKS
) -> list[Driver]:
    """Run drivers, each for its share of the time.

    Args:
        folder: scratch folder.
        seed: seed of all that is tried.
        budget: time for all of them, or the number of rounds for each.
        names: the drivers.
        keep: folder that takes the inputs of faults.
        tasks: tasks whose rows are trained.
    """
    begin = time.monotonic()
    suite = Suite(folder / "suite", keep, tasks)
    shares = sum(DRIVERS[name].share for name in names)
    found = []
    for name in names:
        kind = DRIVERS[name]
        driver = Driver(name, kind.counted, kind.goal)
        start = time.monotonic()
        own = budget.part(kind.share / shares, spent=start - begin)
        shares -= kind.share
        for _ in kind.rounds(suite, seed, own, driver):
            pass
        driver.seconds = time.monotonic() - start
        print(driver.line, flush=True)
        found.append(driver)
    return found
