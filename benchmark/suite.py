"""Many runs: a grid of rows and seeds, several at a time, with a line for each and the time that is left."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.queues import Queue
from pathlib import Path

import torch
from tqdm import tqdm

from benchmark import UserError, rows
from benchmark.configs import Row
from benchmark.records import Record
from benchmark.tracking import finish
from benchmark.training import Options, train, writable
from datamodules.sources import DataError

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


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    record: Record | None
    failure: str = ""
    seconds: float = 0.0


def run_grid(
    grid: Sequence[Run], options: Options, jobs: int | None = None, rows_file: Path | None = None
) -> dict[str, int]:
    """Train every run of a grid that has no record yet, the longest first.

    Where the data of a source cannot be had, its runs fail together and the others go on.

    Args:
        grid: what to run.
        options: where and how; threads are shared out among the jobs.
        jobs: how many run at a time; as many as there are cores, or one on a GPU, if not given.
        rows_file: the user's rows, which the workers must be able to import.

    Returns:
        One line for each run or source that failed, with the number of runs it cost; the others are in the store.

    Raises:
        UserError: nothing can run at all: bad output folder, or a dead worker.
        DataError: there is no data for any run.
        KeyboardInterrupt: the user stopped it; finished runs and the last epoch of the others are kept.
    """
    writable(options.store)
    grid, unusable = prepare(grid, options)
    on_gpu = options.accelerator != "cpu" and torch.cuda.is_available()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = min(jobs or (1 if on_gpu else cores), len(grid))
    options = replace(options, threads=options.threads or max(1, cores // jobs))
    print(
        f"{len(grid)} runs, {jobs} at a time, {options.threads} CPU thread{'s' * (options.threads != 1)} each",
        flush=True,
    )

    context = multiprocessing.get_context("spawn")
    progress = context.Queue()
    view = View(grid)
    with ProcessPoolExecutor(jobs, context, _start_worker, (progress, rows_file)) as pool:
        pending = {pool.submit(_work, run, options): run for run in sorted(grid, key=lambda run: -run.row.config.work)}
        try:
            while pending:
                done, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                while not progress.empty():
                    view.epoch(*progress.get())
                for future in done:
                    view.finished(pending.pop(future), _outcome(future))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise
        finally:
            view.close()
    return {**unusable, **dict.fromkeys(view.failures, 1)}


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


_progress: "Queue[tuple[str, int, int]] | None" = None


def _start_worker(progress: "Queue[tuple[str, int, int]]", rows_file: Path | None) -> None:
    global _progress
    _progress = progress
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to answer
    threading.Thread(target=_follow_parent, daemon=True).start()
    rows.load(rows_file)


def _follow_parent() -> None:
    """End with the main process, however that ended, rather than write beside the next one."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _work(run: Run, options: Options) -> Outcome:
    def tell(epoch: int, epochs: int) -> None:
        assert _progress is not None
        _progress.put((run.label, epoch, epochs))

    begin = time.perf_counter()
    try:
        record = train(run.row, run.seed, options, progress=tell, command=run.command)
    except (UserError, DataError) as error:
        return Outcome(None, str(error))
    except Exception as error:
        log = options.store / f"{run.row.name}-seed-{run.seed}.error.log"
        log.write_text(traceback.format_exc())
        return Outcome(None, f"{type(error).__name__}: {error} (see {log})")
    finally:
        finish()
    return Outcome(record, seconds=time.perf_counter() - begin)


def _outcome(future: "Future[Outcome]") -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died (out of memory?); finished runs are kept, and the same command goes on; "
            "--jobs 1 needs less memory"
        ) from error


class View:
    """What the user sees of a grid: one line per finished run, and on a terminal a bar per run under way."""

    def __init__(self, grid: Sequence[Run]) -> None:
        self.work = {run.label: run.row.config.work for run in grid}
        self.done = dict.fromkeys(self.work, 0.0)
        self.counted = 0.0
        """Work that was done here, rather than found in the store: what the speed is measured by."""
        self.begin = time.perf_counter()
        self.ended = 0
        self.failures: list[str] = []
        self.bars: dict[str, tqdm] = {}

    def epoch(self, label: str, epoch: int, epochs: int) -> None:
        """A run has finished an epoch."""
        fraction = epoch / epochs
        self.counted += self.work[label] * (fraction - self.done[label])
        self.done[label] = fraction
        if sys.stderr.isatty():
            if label not in self.bars:
                self.bars[label] = tqdm(total=epochs, desc=label, unit="epoch", leave=False)
            self.bars[label].update(epoch - self.bars[label].n)

    def finished(self, run: Run, outcome: Outcome) -> None:
        """A run has ended."""
        self.done[run.label] = 1.0
        self.ended += 1
        if bar := self.bars.pop(run.label, None):
            bar.close()
        line = f"[{self.ended:>{len(str(len(self.work)))}}/{len(self.work)}] {run.label}: "
        if outcome.record:
            line += f"{headline(run.row, outcome.record)}, {duration(outcome.seconds)}"
        else:
            self.failures.append(f"{run.label}: {outcome.failure}")
            line += f"FAILED: {outcome.failure}"
        tqdm.write(f"{line}; {self.remaining()}", file=sys.stdout)
        sys.stdout.flush()

    def remaining(self) -> str:
        """The time left, from the work done so far."""
        left = sum(self.work[label] * (1 - done) for label, done in self.done.items())
        if not left:
            return "all done" if self.ended == len(self.work) else "nearly done"
        if not self.counted:
            return "ETA unknown"
        return f"ETA {duration(left * (time.perf_counter() - self.begin) / self.counted)}"

    def close(self) -> None:
        """Clear the bars away."""
        for bar in self.bars.values():
            bar.close()


def headline(row: Row, record: Record) -> str:
    """The figures that a run is judged by, for a line of text."""
    return ", ".join(
        f"{metric.label} {record.metrics[metric.name]:.{metric.digits}f}"
        for metric in row.config.headline
        if metric.name in record.metrics
    )


def duration(seconds: float) -> str:
    """Seconds for a reader: 41 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
