"""Flipped bits: in checkpoints, records and prepared data; what was kept is right, or refused by name."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmark.store.records import Record, Store
from benchmark.store.sealed import CorruptRecord
from campaign import children
from campaign.ledger import Budget, Driver, Fault
from campaign.places import Place, Wrong
from campaign.runs import Suite

READ_AT_ONCE = 20
"""Bits of a finished run's files flipped in one round: to read them takes no training."""


class Flips:
    """Flips bits of half-done runs, which are then resumed, and of finished ones, which are read.

    Args:
        suite: the rows.
        driver: takes the outcome.
    """

    def __init__(self, suite: Suite, driver: Driver) -> None:
        self.suite, self.driver = suite, driver
        self.half_done: dict[str, Place] = {}
        self.done: dict[str, Place] = {}

    def round(self, task: str, generator: random.Random, repeat: str, name: str) -> None:
        """Flip a bit of a half-done run and some of a finished one."""
        if task not in self.done:
            self.half_done[task], self.done[task] = self.suite.half_done(task), self.suite.done(task)
        for turn in range(1 + READ_AT_ONCE):
            place = self.suite.place().copy(self.done[task] if turn else self.half_done[task])
            folders = [place.store] if turn else [place.store, place.data]
            files = sorted(path for folder in folders for path in folder.rglob("*") if _is_kept(path, bool(turn)))
            path = generator.choice(files)
            where = flip(path, generator)
            try:
                ending = self.read(task, place) if turn else self._resume(task, place)
                self.driver.count(f"{'read' if turn else 'resumed'}: {ending}")
            except Wrong as wrong:
                self.driver.trials += 1
                kept = self.suite.keep(place.folder, f"{name}-{turn}")
                self.driver.fail(Fault(f"{task} {path.name}: {wrong.kind}", f"{where}: {wrong}", repeat, kept))
            shutil.rmtree(place.folder)

    def _resume(self, task: str, place: Place) -> str:
        """Resume a run: it ends as an undisturbed one, as there is a checkpoint before, and data is made again."""
        ended = children.call(self.suite.run(task, place), place.log)
        self.suite.require_equal(task, place, ended)
        return "said, and right" if "damaged" in ended.output or "whole" in ended.output else "right"

    def read(self, task: str, place: Place) -> str:
        """Read a finished run: its record and arrays are those that were written, or refused."""
        store = Store(place.store)
        (whole,) = Store(self.done[task].store).records()
        try:
            (record,) = store.records()
            if record != whole:
                raise Wrong("another record is read")
            if _arrays(store, record) != _arrays(Store(self.done[task].store), whole):
                raise Wrong("other arrays are read")
        except CorruptRecord as error:
            if str(place.folder) not in str(error) or "\n" in str(error):
                raise Wrong("the refusal names no file, in one line", str(error)) from error
            return "refused"
        except Wrong:
            raise
        except Exception as error:
            raise Wrong(f"{type(error).__name__} from reading it", str(error)) from error
        return "right"


def flips(suite: Suite, seed: int, budget: Budget, driver: Driver) -> Iterator[None]:
    """Flip bits of all tasks' runs in turn."""
    tries = Flips(suite, driver)
    for number in budget:
        generator = random.Random(f"flips {seed} {number}")
        repeat = f"--seed {seed} --only flips --round {number}"
        tries.round(suite.tasks[number % len(suite.tasks)], generator, repeat, f"flips-{seed}-{number}")
        yield


def flip(path: Path, generator: random.Random) -> str:
    """Flip one bit of a file; gives the place."""
    content = bytearray(path.read_bytes())
    at, bit = generator.randrange(len(content)), generator.randrange(8)
    content[at] ^= 1 << bit
    path.write_bytes(content)
    return f"bit {bit} of byte {at:,} of {len(content):,}"


def _is_kept(path: Path, finished: bool) -> bool:
    """Whether a file is one that is read again: of a finished run, not its checkpoint."""
    if not path.is_file() or not path.stat().st_size or path.name.startswith(".") or ".under-way" in path.parts:
        return False
    return not finished or path.suffix != ".ckpt"


def _arrays(store: Store, record: Record) -> dict[str, bytes]:
    arrays = {**store.log_probabilities(record), **store.items(record)}
    return {name: array.tobytes() for name, array in arrays.items()}
