"""Progress of a grid for the user, whichever processes train its runs and wherever they are."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from benchmark.formatting import duration, rounded
from benchmark.store.locks import RunLock
from benchmark.store.records import Record
from benchmark.tasks.base import Row

SECONDS_BETWEEN_UPDATES = 2.0
SECONDS_BETWEEN_LINES = 300.0
"""Longest silence of a log, which has no bars, while runs are under way."""


class View:
    """A line for each finished run, and bars for the grid and each run under way; a log has a line now and then.

    Args:
        runs: cost of each run relative to the others, and its lock, which has its progress, by the run's label.
    """

    def __init__(self, runs: Mapping[str, tuple[float, RunLock]]) -> None:
        self.costs = {label: cost for label, (cost, _) in runs.items()}
        self.locks = {label: lock for label, (_, lock) in runs.items()}
        self.done = {label: lock.fraction_kept for label, lock in self.locks.items()}
        """Fraction of each run that is done; runs that were stopped before begin with some."""
        self.progress = {label: lock.progress for label, lock in self.locks.items()}
        """Last reported progress of each run; at first perhaps that of before it was stopped in an epoch that is now
        repeated."""
        self.cost_done = 0.0
        """Cost of what was done since the beginning, which gives the speed."""
        self.begin = self.updated = self.wrote = time.perf_counter()
        self.ended = 0
        self.failures: list[str] = []
        self.under_way: dict[str, str] = {}
        """Progress, in words, of each run that has advanced since the beginning and has not ended."""
        self.on_terminal = sys.stderr.isatty()
        self.grid = self._bar(sum(self.costs.values()), "{desc} {percentage:3.0f}%|{bar}|")
        self.bars: dict[str, tqdm[Any]] = {}

    def _bar(self, total: float, form: str, initial: float = 0.0) -> "tqdm[Any]":
        return tqdm(
            total=total, bar_format=form, initial=initial, leave=False, disable=not (self.on_terminal and total)
        )

    def update(self) -> None:
        """Read and show the progress of the runs, at most every few seconds: a store may be on a shared file system."""
        if (now := time.perf_counter()) - self.updated < SECONDS_BETWEEN_UPDATES:
            return
        self.updated = now
        for label, lock in self.locks.items():
            if (progress := lock.progress) != self.progress[label] and all(progress):
                self.progress[label] = epochs_done, epochs = progress
                self._advance(label, max(self.done[label], epochs_done / epochs))
                self._show_run(label, epochs_done, epochs)
        self._show_grid()
        if not self.on_terminal and self.under_way and now - self.wrote > SECONDS_BETWEEN_LINES:
            self.write(f"{self.summary()}; under way: {', '.join(self.under_way.values())}")

    def _advance(self, label: str, fraction: float) -> None:
        self.cost_done += self.costs[label] * (fraction - self.done[label])
        self.done[label] = fraction

    def _show_run(self, label: str, epochs_done: float, epochs: int) -> None:
        self.under_way[label] = f"{label} at epoch {epochs_done:.1f} of {epochs}"
        if label not in self.bars:
            form = "{desc}: {n:.1f} of {total} epochs |{bar}| {remaining}"
            self.bars[label] = self._bar(epochs, form, int(epochs_done))
            self.bars[label].set_description_str(label)
        self.bars[label].update(epochs_done - self.bars[label].n)

    def _show_grid(self) -> None:
        self.grid.set_description_str(self.summary(), refresh=False)
        self.grid.n = sum(self.costs[label] * done for label, done in self.done.items())
        self.grid.refresh()

    def finished(self, label: str, figures: str, seconds: float) -> None:
        """Show that a run has a record."""
        self._advance(label, 1.0)
        self._end(label, f"{figures}, {duration(seconds)}")

    def failed(self, label: str, reason: str) -> None:
        """Show that a run has failed for good."""
        self.done[label] = 1.0
        self.failures.append(f"{label}: {reason}")
        self._end(label, f"FAILED: {reason}")

    def _end(self, label: str, result: str) -> None:
        del self.locks[label]
        self.ended += 1
        self.under_way.pop(label, None)
        if bar := self.bars.pop(label, None):
            bar.close()
        count = len(self.costs)
        self.write(f"[{self.ended:>{len(str(count))}}/{count}] {label}: {result}; {self.remaining()}")

    def write(self, line: str) -> None:
        """Write a line above the bars."""
        self.wrote = time.perf_counter()
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()

    def summary(self) -> str:
        """How many runs have ended, and the time left."""
        return f"{self.ended} of {len(self.costs)} runs, {self.remaining()}"

    def remaining(self) -> str:
        """The time left, estimated from the speed so far."""
        left = sum(self.costs[label] * (1 - done) for label, done in self.done.items())
        if not left:
            return "all done" if self.ended == len(self.costs) else "nearly done"
        if not self.cost_done:
            return "ETA unknown"
        return f"ETA {duration(left * (time.perf_counter() - self.begin) / self.cost_done)}"

    def close(self) -> None:
        """Remove the bars."""
        for bar in [*self.bars.values(), self.grid]:
            bar.close()


def headline(row: Row, record: Record) -> str:
    """The final metrics of a run that its row shows first, as text."""
    return ", ".join(
        f"{metric.label} {rounded(record.metrics[metric.name], metric.digits)}"
        for metric in row.config.headline
        if metric.name in record.metrics
    )
