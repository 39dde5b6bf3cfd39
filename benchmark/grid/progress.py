"""What the user sees of a grid, whoever does its runs and wherever."""

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm

from benchmark.formatting import duration
from benchmark.store.locks import RunLock

SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_BETWEEN_LINES = 300.0
"""Of a log, which has no bars, when no run ends."""


class View:
    """One line per finished run; a bar for the grid and each run under way, or in a log now and then a line.

    Args:
        runs: label of each run to what it costs beside the others, and its lock, which says how far it is.
    """

    def __init__(self, runs: Mapping[str, tuple[float, RunLock]]) -> None:
        self.costs = {label: cost for label, (cost, _) in runs.items()}
        self.locks = {label: lock for label, (_, lock) in runs.items()}
        self.done = {label: lock.fraction_kept for label, lock in self.locks.items()}
        """Part of each run that is done; of a run that was stopped before, some."""
        self.said = {label: lock.progress for label, lock in self.locks.items()}
        """What each run said last; at first perhaps before it was stopped, in an epoch that is now begun again."""
        self.counted = 0.0
        """Cost of what was done since the beginning: what the speed is measured by."""
        self.begin = self.looked = self.wrote = time.perf_counter()
        self.ended = 0
        self.failures: list[str] = []
        self.under_way: dict[str, str] = {}
        """How far each run is that has moved since the beginning and has not ended."""
        self.on_terminal = sys.stderr.isatty()
        self.grid = self._bar(sum(self.costs.values()), "{desc} {percentage:3.0f}%|{bar}|")
        self.bars: dict[str, tqdm] = {}

    def _bar(self, total: float, form: str, initial: float = 0.0) -> tqdm:
        return tqdm(
            total=total, bar_format=form, initial=initial, leave=False, disable=not (self.on_terminal and total)
        )

    def look(self) -> None:
        """See how far the runs are, now and then: a store may be on a file system that many share."""
        if (now := time.perf_counter()) - self.looked < SECONDS_BETWEEN_LOOKS:
            return
        self.looked = now
        for label, lock in self.locks.items():
            if (said := lock.progress) != self.said[label] and all(said):
                self.said[label] = epoch, epochs = said
                self._moved(label, max(self.done[label], epoch / epochs))
                self._under_way(label, epoch, epochs)
        self._show()
        if not self.on_terminal and self.under_way and now - self.wrote > SECONDS_BETWEEN_LINES:
            self.write(f"{self.summary()}; under way: {', '.join(self.under_way.values())}")

    def _moved(self, label: str, fraction: float) -> None:
        self.counted += self.costs[label] * (fraction - self.done[label])
        self.done[label] = fraction

    def _under_way(self, label: str, epoch: float, epochs: int) -> None:
        self.under_way[label] = f"{label} at epoch {epoch:.1f} of {epochs}"
        if label not in self.bars:
            self.bars[label] = self._bar(epochs, "{desc}: {n:.1f} of {total} epochs |{bar}| {remaining}", int(epoch))
            self.bars[label].set_description_str(label)
        self.bars[label].update(epoch - self.bars[label].n)

    def _show(self) -> None:
        self.grid.set_description_str(self.summary(), refresh=False)
        self.grid.n = sum(self.costs[label] * done for label, done in self.done.items())
        self.grid.refresh()

    def finished(self, label: str, figures: str, seconds: float) -> None:
        """A run has a record."""
        self._moved(label, 1.0)
        self._ended(label, f"{figures}, {duration(seconds)}")

    def failed(self, label: str, why: str) -> None:
        """A run has failed for good."""
        self.done[label] = 1.0
        self.failures.append(f"{label}: {why}")
        self._ended(label, f"FAILED: {why}")

    def _ended(self, label: str, how: str) -> None:
        del self.locks[label]
        self.ended += 1
        self.under_way.pop(label, None)
        if bar := self.bars.pop(label, None):
            bar.close()
        self.write(f"[{self.ended:>{len(str(len(self.costs)))}}/{len(self.costs)}] {label}: {how}; {self.remaining()}")

    def write(self, line: str) -> None:
        """A line of its own, above the bars."""
        self.wrote = time.perf_counter()
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()

    def summary(self) -> str:
        """How far the grid is."""
        return f"{self.ended} of {len(self.costs)} runs, {self.remaining()}"

    def remaining(self) -> str:
        """The time left, from the work done so far."""
        left = sum(self.costs[label] * (1 - done) for label, done in self.done.items())
        if not left:
            return "all done" if self.ended == len(self.costs) else "nearly done"
        if not self.counted:
            return "ETA unknown"
        return f"ETA {duration(left * (time.perf_counter() - self.begin) / self.counted)}"

    def close(self) -> None:
        """Clear the bars away."""
        for bar in [*self.bars.values(), self.grid]:
            bar.close()
