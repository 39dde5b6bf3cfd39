"""Many runs: a grid of rows and seeds becomes records in a store, wherever its runs are done."""

import time
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from benchmark.files import writable
from benchmark.grid.estimates import shares
from benchmark.grid.launchers.base import Launcher
from benchmark.grid.progress import View
from benchmark.store.locks import RunLock, RunLocked
from benchmark.store.records import COMMITTED, Record, Store
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from benchmark.tracking.logger import finish
from benchmark.training.options import Options
from benchmark.training.train import train
from datamodules.errors import DataError, UserError

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Run:
    """One entry of the grid."""

    row: Row
    seed: int
    command: str
    """What rebuilds it, for its record."""

    @property
    def label(self) -> str:
        """What its line calls it."""
        return f"{self.row.name} seed {self.seed}"

    @cached_property
    def fingerprint(self) -> str:
        """Of its configuration."""
        return self.row.config.fingerprint()

    def lock(self, store: Path) -> RunLock:
        """The lock on it in a store."""
        return RunLock(store, self.row.name, self.seed, self.fingerprint)


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    record: Record | None = None
    failure: str = ""
    seconds: float = 0.0
    locked: bool = False
    """Whether it is another process's, and not ended at all."""
    crashed: bool = False
    """Whether it failed for no reason that the suite knows, so that trying again may help."""


def run_grid(
    grid: Sequence[Run], launcher: Launcher, retries: int = 0, rows_file: Path | None = None
) -> dict[str, int]:
    """Train every run of a grid that has no record yet.

    A run that another grid is training in the same store is waited for, and done here if that one gives it up. Where
    the data of a source cannot be had, its runs fail together and the others go on.

    Args:
        grid: what to run.
        launcher: where; closed at the end.
        retries: how often a run is tried again whose process died or raised what the suite does not know.
        rows_file: the user's rows, which the workers must be able to import.

    Returns:
        One line for each run or source that failed, with the number of runs it cost; the others are in the store.

    Raises:
        UserError: nothing can run at all, as with a bad output folder.
        DataError: there is no data for any run.
        KeyboardInterrupt: the user stopped it; finished runs and the last epoch of the others are kept.
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
            print(f"{len(found)} of {len(grid)} runs are in the store already", flush=True)
        print(f"{len(todo)} runs, {launcher.description}", flush=True)
        view = View({run.label: (costs[run.row.name], run.lock(options.store)) for run in todo})
        failures = _run_all(todo, launcher, view, retries, partial(work, options=options, rows_file=rows_file))
        abort = False
    finally:
        launcher.close(abort)
    return {**unusable, **dict.fromkeys(failures, 1)}


def in_order(runs: Sequence[Run], slots: int | None, costs: Mapping[str, float]) -> list[Run]:
    """The order in which runs begin.

    Side by side the longest first, so that they end at about the same time. One at a time as they were asked for, seed
    by seed, so that a grid that is stopped has runs of every row.
    """
    return list(runs) if slots == 1 else sorted(runs, key=lambda run: -costs[run.row.name])


def _run_all(todo: Sequence[Run], launcher: Launcher, view: View, retries: int, do: "partial[Outcome]") -> list[str]:
    """Have runs done; gives a line for each that failed."""
    store = launcher.options.store
    elsewhere: list[Run] = []
    tried: Counter[str] = Counter()

    def launch(runs: Sequence[Run]) -> dict[Future[Outcome], Run]:
        specifications = [(run.row.name, run.seed, run.command) for run in runs]
        return dict(zip(launcher.launch(do, specifications), runs, strict=True)) if runs else {}

    pending = launch(todo)
    try:
        while pending or elsewhere:
            done = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED).done if pending else set()
            if not pending:
                time.sleep(POLL_SECONDS)
            view.look()
            again = [run for run in elsewhere if not run.lock(store).is_held]
            elsewhere = [run for run in elsewhere if run not in again]
            for future in done:
                run = pending.pop(future)
                outcome = _outcome(future)
                if outcome.locked:
                    view.write(f"{outcome.failure}; waiting for it")
                    elsewhere.append(run)
                elif outcome.crashed and tried[run.label] < retries:
                    tried[run.label] += 1
                    view.write(f"{run.label}: {outcome.failure}; trying again, {tried[run.label]} of {retries}")
                    again.append(run)
                elif outcome.record:
                    view.finished(run.label, headline(run.row, outcome.record), outcome.seconds)
                else:
                    view.failed(run.label, outcome.failure)
            pending.update(launch(again))
    finally:
        view.close()
    return view.failures


def work(run: tuple[str, int, str], options: Options, rows_file: Path | None) -> Outcome:
    """What a worker does with a run, given as row, seed and the command that rebuilds it."""
    row, seed, command = run
    begin = time.perf_counter()
    try:
        chosen = registry.find(row, registry.load(rows_file))
        record = train(chosen, seed, options, progress=silent, command=command)
    except RunLocked as error:
        return Outcome(failure=str(error), locked=True)
    except UserError as error:
        return Outcome(failure=str(error))
    except Exception as error:
        log = options.store / f"{row}-seed-{seed}.error.log"
        with suppress(OSError):  # a full disk has no room for it
            log.write_text(traceback.format_exc())
        return Outcome(failure=f"{type(error).__name__}: {error} (see {log})", crashed=True)
    finally:
        finish()
    return Outcome(record, seconds=time.perf_counter() - begin)


def silent(epoch: int, epochs: int) -> None:
    """In place of a run's own progress bar: the grid's view follows the locks."""


def _outcome(future: "Future[Outcome]") -> Outcome:
    try:
        return future.result()
    except Exception as error:  # whatever the launcher makes of a worker that is no more
        lines = str(error).strip().splitlines()
        return Outcome(failure=lines[-1] if lines else type(error).__name__, crashed=True)


def finished(grid: Iterable[Run], options: Options, records: Iterable[Record]) -> dict[str, Record]:
    """The runs of a grid that are among the records of the store already, by label.

    Where one may be, the data is read, since a record of other data does not count; nor does any where it is not here.
    """
    candidates: dict[tuple[str, int, str], list[Record]] = {}
    for record in records:
        candidates.setdefault((record.row, record.seed, record.fingerprint), []).append(record)
    data: dict[tuple[str, str], str] = {}
    found = {}
    for run in grid:
        for record in candidates.get((run.row.name, run.seed, run.fingerprint), ()):
            if _source(run) not in data:
                reads = run.row.config.datamodule(options.data)
                try:
                    reads.setup("fit")
                    data[_source(run)] = reads.sha256
                except DataError:  # a plan is made without
                    data[_source(run)] = ""
            if record.data_sha256 == data[_source(run)]:
                found[run.label] = record
    return found


def prepare(grid: Sequence[Run], options: Options) -> tuple[list[Run], dict[str, int]]:
    """Prepare the data of a grid, here, once, rather than by every worker at the same time.

    Returns:
        The runs that have their data, and a line for each source that has not, with the number of runs it costs.

    Raises:
        DataError: no run has its data; one line that says why, for each source.
    """
    failed: dict[tuple[str, str], str] = {}
    for run in {_source(run): run for run in grid}.values():
        try:
            run.row.config.datamodule(options.data).prepare_data()
        except DataError as error:
            failed[_source(run)] = str(error)
    usable = [run for run in grid if _source(run) not in failed]
    if failed and not usable:
        raise DataError("; ".join(failed.values()))
    costs = {f"{key[1]}: {line}": sum(_source(run) == key for run in grid) for key, line in failed.items()}
    for line, runs in costs.items():
        print(f"FAILED, {runs} run{'s' * (runs != 1)} on {line}", flush=True)
    return usable, costs


def _source(run: Run) -> tuple[str, str]:
    return run.row.config.task, run.row.config.source


def headline(row: Row, record: Record) -> str:
    """The figures that a run is judged by, for a line of text."""
    return ", ".join(
        f"{metric.label} {record.metrics[metric.name]:.{metric.digits}f}"
        for metric in row.config.headline
        if metric.name in record.metrics
    )
