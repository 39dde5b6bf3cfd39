"""The operations on files of a process, counted; in one of them it may end."""

import os
import signal
import sys
from pathlib import Path

OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
"""Python's audit events of operations on files; `os.fsync` is added to them."""


class Operations:
    """Counts the operations on files below a folder in this process, and ends it in one of them.

    Args:
        folder: the folder.
        last: number of the operation before which the process is killed.
    """

    def __init__(self, folder: Path, last: int | None = None) -> None:
        self.folder, self.last, self.number = str(folder), last, 0
        sys.addaudithook(self._audit)
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            self._count()
            sync(descriptor)

        os.fsync = fsync

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in OPERATIONS and str(arguments[0]).startswith(self.folder):
            self._count()

    def _count(self) -> None:
        self.number += 1
        if self.number == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
