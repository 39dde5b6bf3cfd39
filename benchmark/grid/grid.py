"""Many runs: a grid of rows and seeds becomes records in a store, through any launcher."""

import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.files import writable
from benchmark.formatting import count
from benchmark.grid.estimates import shares
from benchmark.grid.launchers.base import Launcher
from benchmark.grid.progress import View, headline
from benchmark.grid.runs import Run as Run
from benchmark.grid.runs import Specification as Specification
from benchmark.store.locks import RunLocked
from benchmark.store.records import COMMITTED, Record, Store, in_other_precisions
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from benchmark.tracking.logger import finish
from benchmark.training.endings import Interrupted, runs_kept
from benchmark.training.options import Options
from benchmark.training.train import say_what_was_read, train
from datamodules.base import TaskData
from datamodules.errors import DataError, UserError

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """The result of a run, or the reason why there is none."""

    record: Record | None = None
    failure: str = ""
    seconds: float = 0.0
    locked: bool = False
    """Whether another process trains it, so that it has not ended at all."""
    crashed: bool = False
    """Whether it failed for a reason that is no known mistake of the user, so that trying again may help."""


@runs_kept()
def run_grid(
    grid: Sequence[Run], launcher: Launcher, retries: int = 0, rows_file: Path | None = None
) -> dict[str, int]:
    """Train every run of a grid that has no record yet.

    A run that another grid trains in the same store is waited for, and trained here if that grid gives it up. If the
    data of a source is not available, its runs fail together and the others go on.

    Args:
        grid: the runs.
        launcher: runs them; it is closed at the end.
        retries: how often a run is retried whose process died or raised an unknown error.
        rows_file: the user's file of rows, which the workers import.

    Returns:
        A line for each run or source that failed, with the number of runs that fail by it; the others are in the store.

    Raises:
        UserError: nothing can run at all, such as with an unusable output folder.
        DataError: there is no data for any run.
        Interrupted: a signal stopped the grid; finished runs and the state of the others are kept.
    """
    options = launcher.options
    abort = True
    try:
        writable(options.store)
        grid, unusable = prepare(grid, options)
        records = list(Store(options.store).records(skipped=[]))
        found = finished(grid, options, records)
        costs = shares((run.row for run in grid), [*records, *Store(COMMITTED).records(skipped=[])])
        todo = in_order([run for run in grid if run.label not in found], launcher.slots, costs)
        if found:
            others = in_other_precisions(found.values(), options.precision)
            print(
                f"{len(found)} of {len(grid)} runs are in the store already{others}",
                flush=True,
            )
        print(f"{count(len(todo), 'run')}, {launcher.description}", flush=True)
        view = View({run.label: (costs[run.row.name], run.lock(options.store)) for run in todo})
        failures = Dispatcher(launcher, view, retries, partial(work, options=options, rows_file=rows_file)).run(todo)
        abort = False
    finally:
        launcher.close(abort)
    return {**unusable, **dict.fromkeys(failures, 1)}


def in_order(runs: Sequence[Run], slots: int | None, costs: Mapping[str, float]) -> list[Run]:
    """The order in which runs start.

    Runs side by side start with the longest, so that all end at about the same time. Runs one at a time keep the order
    of the grid, seed by seed, so that a grid that is stopped has runs of every row.
    """
    return list(runs) if slots == 1 else sorted(runs, key=lambda run: -costs[run.row.name])


class Dispatcher:
    """Hands runs to a launcher until each has a record or has failed for good.

    Args:
        launcher: runs them.
        view: shows their progress.
        retries: how often a run that crashed is retried.
        do: the work of a worker.
    """

    def __init__(self, launcher: Launcher, view: View, retries: int, do: Callable[[Specification], Outcome]) -> None:
        self.launcher, self.view, self.retries, self.do = launcher, view, retries, do
        self.pending: dict[Future[Outcome], Run] = {}
        self.locked: list[Run] = []
        """Runs that another grid is training."""
        self.crashes: Counter[str] = Counter()

    def run(self, runs: Sequence[Run]) -> list[str]:
        """Do the runs; return a line for each that failed."""
        try:
            self._launch(runs)
            while self.pending or self.locked:
                self._launch([*self._settle(self._wait()), *self._given_up()])
        finally:
            self.view.close()
        return self.view.failures

    def _launch(self, runs: Sequence[Run]) -> None:
        if runs:
            specifications = [run.specification for run in runs]
            self.pending.update(zip(self.launcher.launch(self.do, specifications), runs, strict=True))

    def _wait(self) -> set[Future[Outcome]]:
        """Wait a moment and show the progress; return the runs that have ended."""
        if self.pending:
            done = wait(self.pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED).done
        else:
            time.sleep(POLL_SECONDS)
            done = set()
        self.view.update()
        return done

    def _given_up(self) -> list[Run]:
        """Take the runs that other grids have ended or given up; their records, if any, are found at once."""
        free = [run for run in self.locked if not run.lock(self.launcher.options.store).is_held]
        self.locked = [run for run in self.locked if run not in free]
        return free

    def _settle(self, done: Iterable[Future[Outcome]]) -> list[Run]:
        """Take note of how runs ended; return those to retry."""
        retried = []
        for future in done:
            run, outcome = self.pending.pop(future), _outcome(future)
            if outcome.locked:
                self.view.write(f"{outcome.failure}; waiting for it")
                self.locked.append(run)
            elif outcome.crashed and self.crashes[run.label] < self.retries:
                self.crashes[run.label] += 1
                count = f"{self.crashes[run.label]} of {self.retries}"
                self.view.write(f"{run.label}: {outcome.failure}; trying again, {count}")
                retried.append(run)
            elif outcome.record:
                self.view.finished(run.label, headline(run.row, outcome.record), outcome.seconds)
            else:
                self.view.failed(run.label, outcome.failure)
        return retried


def work(run: Specification, options: Options, rows_file: Path | None) -> Outcome:
    """Train a run in a worker, and say how it ended."""
    begin = time.perf_counter()
    try:
        chosen = registry.find(run.row, registry.load(rows_file))
        if run.changes:
            chosen = chosen.variant(run.name, chosen.note, **run.changes)
        record = train(chosen, run.seed, options, progress=silent, command=run.command)
    except RunLocked as error:
        return Outcome(failure=str(error), locked=True)
    except UserError as error:
        return Outcome(failure=str(error))
    except Interrupted as stop:  # by a signal to this process alone; that of a stopped grid is not waited for
        return Outcome(failure=f"its process was asked to end ({signal.Signals(stop.number).name})", crashed=True)
    except Exception as error:
        log = options.store / f"{run.name or run.row}-seed-{run.seed}.error.log"
        with suppress(OSError):  # a full disk has no room for it
            log.write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
        return Outcome(failure=f"{type(error).__name__}: {error} (see {log})", crashed=True)
    finally:
        finish()
    return Outcome(record, seconds=time.perf_counter() - begin)


def silent(epoch: int, epochs: int) -> None:
    """Show nothing, in place of a run's own progress bar: the grid's view shows the progress reported by the locks."""


def _outcome(future: "Future[Outcome]") -> Outcome:
    if error := future.exception():  # launchers have different errors for a dead worker, and code may call sys.exit()
        lines = str(error).strip().splitlines()
        known = isinstance(error, Exception)
        return Outcome(failure=lines[-1] if lines and known else f"{type(error).__name__}: {error}", crashed=True)
    return future.result()


def finished(grid: Iterable[Run], options: Options, records: Iterable[Record]) -> dict[str, Record]:
    """Find the runs of a grid that have a record, by label.

    The data of runs that may have one is read, since a record of other data does not count; nor does any record if the
    data is not here.
    """
    candidates: dict[tuple[str, int, str], list[Record]] = {}
    for record in records:
        candidates.setdefault((record.row, record.seed, record.fingerprint), []).append(record)
    here = data_at_hand(options.data)
    found = {}
    for run in grid:
        for record in candidates.get((run.row.name, run.seed, run.fingerprint), ()):
            if record.data_sha256 == here(run.row):
                found[run.label] = record
    return found


def data_at_hand(folder: Path) -> Callable[[Row], str | None]:
    """A function that gives the checksum of a row's data in a folder, None if they are not there; it reads them once.

    Args:
        folder: the folder that holds the named sources.
    """
    known: dict[tuple[Any, ...], str | None] = {}

    def checksum(row: Row) -> str | None:
        key = row.config.data_key
        if key not in known:
            known[key] = _checksum(row.config.datamodule(folder))
        return known[key]

    return checksum


def _checksum(data: TaskData) -> str | None:
    """The checksum of data that are here; None if they are not."""
    try:
        data.setup("fit")
    except DataError:
        return None
    return data.sha256


def prepare(grid: Sequence[Run], options: Options) -> tuple[list[Run], dict[str, int]]:
    """Prepare the data of a grid once, here, rather than in every worker at the same time.

    Returns:
        The runs that have their data, and a line for each source without data, with the number of runs that need it.

    Raises:
        DataError: no run has its data; the message says why for each source.
    """
    failed: dict[tuple[str, str], str] = {}
    for run in {run.source: run for run in grid}.values():
        try:
            data = run.row.config.datamodule(options.data)
            data.prepare_data()
            data.setup("fit")
            say_what_was_read(data)
        except DataError as error:
            failed[run.source] = str(error)
    usable = [run for run in grid if run.source not in failed]
    if failed and not usable:
        raise DataError("; ".join(failed.values()))
    affected = {f"{key[1]}: {line}": sum(run.source == key for run in grid) for key, line in failed.items()}
    for line, runs in affected.items():
        print(f"FAILED, {count(runs, 'run')} on {line}", flush=True)
    return usable, affected
