"""Locks on runs: each run is trained by one process, which reports its progress beside the lock.

They are file locks of the operating system, so that a process that dies gives its lock back.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from benchmark.files import replacing, unwritable
from datamodules.errors import UserError
from datamodules.text import read_json

TIMEOUT_SECONDS = 3
"""Time to wait for a lock, longer than `RunLock.is_held` holds it to find out whether it is free."""


UNDER_WAY = ".under-way"
"""Folder of the locks in a store."""

REPORTED = {"epoch": int | float, "epochs": int, "kept": int | float, "host": str, "process": int}
"""What a process reports of its run, and the types of it."""
GREATEST = 2**31
"""No number of epochs and of a process is greater."""


class RunLocked(UserError):
    """Another process is training the run; the message says which."""


@dataclass(frozen=True)
class RunLock:
    """The right to train one run of a store, and the place where its progress is reported.

    Args:
        store: folder of the runs.
        row: name of the row.
        seed: seed of the run.
        fingerprint: fingerprint of its configuration; its data does not count, as it is not known before it is read.
    """

    store: Path
    row: str
    seed: int
    fingerprint: str

    @property
    def path(self) -> Path:
        """The lock's file; the progress of the run is in a file of the same name that ends in .json."""
        return self.store / UNDER_WAY / f"{self.row}-seed-{self.seed}-{self.fingerprint[:8]}.lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            RunLocked: another process holds it.
            UserError: the store cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path)
            lock.acquire(timeout=TIMEOUT_SECONDS)
        except Timeout as error:
            raise RunLocked(f"{self.row} seed {self.seed} is being trained by {self.holder}") from error
        except OSError as error:
            raise unwritable(self.store, error) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def is_held(self) -> bool:
        """Whether a process holds it now."""
        if not self.path.exists():  # never locked
            return False
        lock = FileLock(self.path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        except OSError:  # another user's, who does not share the store
            return False
        lock.release()
        return False

    def report_progress(self, epochs_done: float, epochs: int, *, kept: float | None = None) -> None:
        """Report how many epochs are done, with fractions; on a full disk the report is lost, not the run.

        Args:
            epochs_done: epochs that are done.
            epochs: epochs of the whole run.
            kept: how many of them a checkpoint has; if not given, as many as reported last, or the whole ones.
        """
        last = self._report().get("kept", 0)
        known = last if int(epochs_done) <= last <= epochs_done else int(epochs_done)
        report = {
            "epoch": epochs_done,
            "epochs": epochs,
            "kept": known if kept is None else kept,
            "host": socket.gethostname(),
            "process": os.getpid(),
        }
        with suppress(UserError), replacing(self._report_path, lasting=False) as scratch:
            scratch.write_text(json.dumps(report), encoding="utf-8")

    def clear_progress(self) -> None:
        """Delete the report of a run whose record is in the store."""
        with suppress(OSError):
            self._report_path.unlink()

    @property
    def progress(self) -> tuple[float, int]:
        """Epochs done, by this process or earlier ones, and epochs of the whole run; (0, 0) without a report."""
        report = self._report()
        return report.get("epoch", 0), report.get("epochs", 0)

    @property
    def fraction_kept(self) -> float:
        """Fraction of the run that is not lost if it is killed now: that of its last checkpoint."""
        report = self._report()
        return report.get("kept", 0) / report["epochs"] if report.get("epochs") else 0.0

    @property
    def holder(self) -> str:
        """The process that last reported progress."""
        report = self._report()
        return f"process {report['process']} on {report['host']}" if report else "another process"

    @property
    def _report_path(self) -> Path:
        return self.path.with_suffix(".json")

    def _report(self) -> dict[str, Any]:
        """What was reported last; nothing if it is missing or damaged, as it is written again soon."""
        try:
            found = read_json(self._report_path)
        except UserError:
            return {}
        return found if _is_report(found) else {}


def _is_report(found: object) -> bool:
    """Whether JSON is a report as a run writes it: each figure of its type and in its range."""
    if not isinstance(found, dict) or not all(isinstance(found.get(name), kind) for name, kind in REPORTED.items()):
        return False
    figures = [found[name] for name, kind in REPORTED.items() if kind is not str]
    return all(0 <= figure <= GREATEST for figure in figures) and max(found["epoch"], found["kept"]) <= found["epochs"]
