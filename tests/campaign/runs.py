"""Tiny runs of every task by the command line, and the undisturbed ones that all others must equal."""

import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from support.factories import TASKS, tiny_rows

from benchmark.cli import main
from benchmark.grid import grid  # noqa: F401  imported once, here, as it takes seconds
from benchmark.store import checkpoints
from benchmark.tasks.base import Row
from benchmark.training import checkpoints as training_checkpoints
from campaign import children
from campaign.operations import Operations
from campaign.places import Place, Wrong, content, shape

ROWS_FILE = """\
from campaign.runs import ROWS
"""

ROWS: list[Row] = []
"""The rows that processes forked from this one find in their rows file."""

MINUTES = (1e-9, 1e-3, 10.0)
"""Times between two checkpoints: after every step, now and then, only after epochs."""


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nobody disturbs gives, and what it takes."""

    content: object
    files: frozenset[str]
    seconds: float
    operations: int
    """Operations on files below its folder."""
    largest: int
    """Bytes of the largest file."""
    size: int
    """Bytes of all files."""


class Suite:
    """Rows of every task, with their data in a folder.

    Args:
        folder: scratch folder of the campaign.
        keep: folder that takes the inputs of faults.
        tasks: the tasks whose rows are tried.
    """

    def __init__(self, folder: Path, keep: Path, tasks: tuple[str, ...] = TASKS) -> None:
        self.folder, self.faults, self.tasks = folder, keep, tasks
        (folder / "sources").mkdir(parents=True)
        made = tiny_rows(folder / "sources")
        self.rows = {task: made[task].variant(task, dropout=0.3, epochs=2, flat_epochs=1) for task in tasks}
        self.rows = {task: replace(row, seeds=1) for task, row in self.rows.items()}  # not those of an ensemble
        ROWS[:] = self.rows.values()
        self.rows_file = folder / "campaign_rows.py"
        self.rows_file.write_text(ROWS_FILE)
        self._number = 0

    def place(self) -> Place:
        """A new empty place."""
        self._number += 1
        folder = self.folder / f"place-{self._number}"
        folder.mkdir()
        return Place(folder)

    def keep(self, folder: Path, name: str) -> Path:
        """Keep the input of a fault."""
        kept = self.faults / name
        if not kept.exists():
            shutil.copytree(folder, kept, symlinks=True, ignore=_not_a_file)
        return kept

    def run(self, task: str, place: Place, minutes: float = 10.0) -> Callable[[], int]:
        """Function that trains a task's row by the command line; `minutes` is the time between two checkpoints."""
        words = ["run", task, "--checkpoint-minutes", str(minutes), *self.where(place), "--threads", "1"]
        return self.command(words, place)

    def where(self, place: Place) -> list[str]:
        """Options of the place, for commands that train."""
        common = ["--store", place.store, "--data", place.data, "--rows-file", self.rows_file]
        return [*map(str, common), "--wandb", "off", "--accelerator", "cpu"]

    def half_done(self, task: str) -> Place:
        """A place with a run that was killed once it had kept two checkpoints."""
        place = self.place()

        def killed() -> int:
            write, kept = checkpoints.write_checkpoint, iter(range(3))

            def counted(*arguments: Any) -> None:
                if next(kept) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                write(*arguments)

            training_checkpoints.write_checkpoint = counted
            return self.run(task, place, 1e-9)()

        ended = children.call(killed, place.log)
        if ended.code != -signal.SIGKILL:
            raise RuntimeError(f"{task} cannot be half done: {ended}")
        return place

    def done(self, task: str) -> Place:
        """A place with a finished run."""
        place = self.place()
        ended = children.call(self.run(task, place), place.log)
        if ended.code:
            raise RuntimeError(f"{task} cannot be trained: {ended}")
        return place

    def command(self, words: list[str], place: Place) -> Callable[[], int]:
        """Function that calls the command line."""

        def call() -> int:
            os.environ["TMPDIR"] = tempfile.tempdir = str(place.folder)
            return main(words)

        return call

    @cached_property
    def undisturbed(self) -> dict[str, Undisturbed]:
        """The run of each task that all others must equal."""
        for task in self.tasks:
            self._undisturbed(task)  # takes longer, since it imports what is not imported yet
        return {task: self._undisturbed(task) for task in self.tasks}

    def _undisturbed(self, task: str) -> Undisturbed:
        place = self.place()
        counter, imported = place.folder / "operations", place.folder / "imported"

        def counted() -> int:
            count = Operations(place.folder)
            code = self.run(task, place)()
            counter.write_text(str(count.number))
            imported.write_text("\n".join(sys.modules))
            return code

        begin = time.monotonic()
        ended = children.call(counted, place.log)
        if ended.code:
            raise RuntimeError(f"{task} cannot even be trained undisturbed: {ended.output}")
        seconds = time.monotonic() - begin
        _import(imported.read_text().split())
        sizes = [(place.folder / name).stat().st_size for name in place.files()]
        found = Undisturbed(
            content(place),
            frozenset(place.files()),
            seconds,
            int(counter.read_text()),
            max(sizes),
            sum(sizes),
        )
        shutil.rmtree(place.folder)
        return found

    def require_equal(self, task: str, place: Place, ended: children.Ended) -> None:
        """Require that a run has ended as the undisturbed one.

        Raises:
            Wrong: it has not.
        """
        if ended.hung:
            raise Wrong("hangs", ended.output[-1000:])
        if ended.code:
            raise Wrong(f"resumed, exits with {ended.code}: {shape(ended.output)}", ended.output[-3000:])
        if content(place) != self.undisturbed[task].content:
            raise Wrong("another result than that of an undisturbed run", f"{place.store}")


def _not_a_file(folder: str, names: list[str]) -> list[str]:
    """The names of pipes and the like, which nobody can copy."""
    return [name for name in names if (path := Path(folder, name)).exists() and not (path.is_dir() or path.is_file())]


def _import(modules: list[str]) -> None:
    """Import here what a forked process had to, so that the next one need not."""
    for name in modules:
        if name not in sys.modules and name != "campaign_rows":
            with suppress(Exception):  # some are made by other modules
                importlib.import_module(name)
