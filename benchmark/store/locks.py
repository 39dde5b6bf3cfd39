"""Runs under way: each is locked by one process, which says how far it is, whoever started it and where.

Locks are the operating system's file locks, so that a process that dies gives its lock back.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from datamodules.errors import UserError

PATIENCE_SECONDS = 3
"""Waited for a lock: longer than a look at whether it is free holds it."""


class RunLocked(UserError):
    """The run is another process's; the message says whose."""


@dataclass(frozen=True)
class RunLock:
    """The right to train one run of a store, and the place to say how far it is.

    Args:
        store: folder of the runs.
        row: name of the row.
        seed: of the run.
        fingerprint: of its configuration; its data does not count, as it is not known before it is read.
    """

    store: Path
    row: str
    seed: int
    fingerprint: str

    @property
    def path(self) -> Path:
        """The lock; beside it, as .json, stands how far the run is."""
        return self.store / ".under-way" / f"{self.row}-seed-{self.seed}-{self.fingerprint[:8]}.lock"

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
            lock.acquire(timeout=PATIENCE_SECONDS)
        except Timeout as error:
            raise RunLocked(f"{self.row} seed {self.seed} is being trained by {self.holder}") from error
        except OSError as error:
            raise UserError(
                f"cannot write to {self.store}: {error.strerror}; name another folder with --store"
            ) from error
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
        lock.release()
        return False

    def tell(self, epoch: float, epochs: int) -> None:
        """Say how many epochs are done, part of one too; a disk that is full costs the progress bar, not the run."""
        said = {"epoch": epoch, "epochs": epochs, "host": socket.gethostname(), "process": os.getpid()}
        scratch = self.path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            scratch.write_text(json.dumps(said), encoding="utf-8")
            os.replace(scratch, self.path.with_suffix(".json"))

    def forget(self) -> None:
        """Say nothing more: the run is in the store."""
        with suppress(OSError):
            self.path.with_suffix(".json").unlink()

    @property
    def progress(self) -> tuple[float, int]:
        """Epochs done, by this process or those before it, and epochs in all; (0, 0) where nothing was said."""
        said = self._said()
        return said.get("epoch", 0), said.get("epochs", 0)

    @property
    def kept(self) -> float:
        """Part of the run that is done for good: whole epochs, after which it goes on if it is stopped."""
        epoch, epochs = self.progress
        return int(epoch) / epochs if epochs else 0.0

    @property
    def holder(self) -> str:
        """Who said last how far it is."""
        said = self._said()
        return f"process {said['process']} on {said['host']}" if said else "another process"

    def _said(self) -> dict:
        try:
            return json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
