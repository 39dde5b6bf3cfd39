"""Functions called in forked processes, which have everything imported already and may die of whatever is tried."""

import gc
import io
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CRASHED = 99
"""Exit code of a function that raised."""
LONGEST = 300.0
"""Seconds after which a process hangs."""


@dataclass(frozen=True)
class Ended:
    """The end of a process."""

    code: int
    """Its exit code, or the number of the signal that ended it, negative."""
    output: str
    """Its standard output and standard error."""
    hung: bool = False


class Child:
    """A forked process, in a group of its own.

    Args:
        function: what it does; the value is its exit code.
        log: file that takes its output.
    """

    def __init__(self, function: Callable[[], int], log: Path) -> None:
        self.log = log
        log.write_bytes(b"")  # the process may be killed before it opens it
        sys.stdout.flush()
        sys.stderr.flush()
        gc.collect()
        self.process = os.fork()
        if not self.process:
            gc.freeze()  # what waits for threads as it is collected, which are not here, would wait for ever
            _be(function, log)
        self._ended = os.pidfd_open(self.process)

    def wait(self, seconds: float) -> bool:
        """Whether it ends within some seconds."""
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.process, number)

    def children(self) -> list[int]:
        """The processes that it has started."""
        try:
            listed = Path(f"/proc/{self.process}/task").glob("*/children")
            return [int(number) for path in listed for number in path.read_text().split()]
        except OSError:
            return []

    def end(self, seconds: float = LONGEST) -> Ended:
        """Wait for its end; a process that hangs is killed, with all that it has started."""
        hung = not self.wait(seconds)
        if hung:
            os.killpg(self.process, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        os.close(self._ended)
        return Ended(code, self.log.read_text(errors="replace"), hung)


def call(function: Callable[[], int], log: Path, seconds: float = LONGEST) -> Ended:
    """Call a function in a forked process and wait for its end."""
    return Child(function, log).end(seconds)


def _be(function: Callable[[], int], log: Path) -> None:
    """Be the forked process, until its end."""
    code = CRASHED
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, descriptor in enumerate((null, file, file)):
            os.dup2(descriptor, target)
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w", closefd=False))) for number in (1, 2)
        )
        code = function()
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
        with suppress(BaseException):
            sys.stderr.flush()
        os._exit(code)


def gone(group: int, seconds: float) -> bool:
    """Whether all processes of a group end within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)  # no event tells the end of a process that is not a child
    os.killpg(group, signal.SIGKILL)
    return False
