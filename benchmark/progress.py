"""What the user sees of a grid, whoever does its runs and wherever."""

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm

from benchmark.underway import Claim

LOOK_SECONDS = 2.0


class View:
    """One line per finished run, and on a terminal a bar per run under way.

    Args:
        runs: label of each run to its work, in a unit that compares runs of one task, and its claim, which says how far
            it is.
    """

    def __init__(self, runs: Mapping[str, tuple[float, Claim]]) -> None:
        self.work = {label: work for label, (work, _) in runs.items()}
        self.claims = {label: claim for label, (_, claim) in runs.items()}
        self.done = {label: self._fraction(label) for label in runs}
        """Part of each run that is done; of a run that was stopped before, some."""
        self.counted = 0.0
        """Work that was done since the beginning: what the speed is measured by."""
        self.begin = self.looked = time.perf_counter()
        self.ended = 0
        self.failures: list[str] = []
        self.bars: dict[str, tqdm] = {}

    def _fraction(self, label: str) -> float:
        epoch, epochs = self.claims[label].progress
        return epoch / epochs if epochs else 0.0

    def look(self) -> None:
        """See how far the runs are, now and then: a store may be on a file system that many share."""
        if (now := time.perf_counter()) - self.looked < LOOK_SECONDS:
            return
        self.looked = now
        for label in self.claims:
            if (fraction := self._fraction(label)) > self.done[label]:
                self._moved(label, fraction)

    def _moved(self, label: str, fraction: float) -> None:
        self.counted += self.work[label] * (fraction - self.done[label])
        self.done[label] = fraction
        if sys.stderr.isatty():
            epoch, epochs = self.claims[label].progress
            if epochs and label not in self.bars:
                self.bars[label] = tqdm(total=epochs, desc=label, unit="epoch", leave=False)
            if bar := self.bars.get(label):
                bar.update(epoch - bar.n)

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
        del self.claims[label]
        self.ended += 1
        if bar := self.bars.pop(label, None):
            bar.close()
        self.write(f"[{self.ended:>{len(str(len(self.work)))}}/{len(self.work)}] {label}: {how}; {self.remaining()}")

    def write(self, line: str) -> None:
        """A line of its own, above the bars."""
        tqdm.write(line, file=sys.stdout)
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


def duration(seconds: float) -> str:
    """Seconds for a reader: 41 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
