"""How a process ends before its work is done: by a signal, which leaves time to keep what there is."""

import atexit
import getpass
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from datamodules.scratch import PREFIX

if TYPE_CHECKING:
    from benchmark.store.locks import RunLock

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a process to end: Ctrl-C, `kill` and job schedulers, and the end of a terminal."""

KEPT = "interrupted; finished runs and the state of the others are kept; rerun the same command to resume"
"""What is said of a grid that a signal ends; of a command that trains nothing it would not be true."""


class Interrupted(BaseException):
    """A signal has asked the process to end; where runs are trained the message says what is kept.

    Like KeyboardInterrupt it is no Exception, so that code which handles errors lets it pass.
    """

    def __init__(self, message: str = "interrupted", number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number

    @property
    def exit_code(self) -> int:
        """Exit code of a command that it ends, as shells give it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number

    @classmethod
    def of(cls, stop: BaseException) -> "Interrupted":
        """This, or what a KeyboardInterrupt is the same as: an interruption by Ctrl-C."""
        return stop if isinstance(stop, cls) else cls()


def _raise(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number=number)


def _is_free(number: int) -> bool:
    """Whether nobody else handles a signal: `nohup` ignores SIGHUP, and Ray and SLURM's jobs have handlers."""
    return signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, _raise)


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise `Interrupted` on SIGTERM and SIGHUP, as Python raises KeyboardInterrupt on Ctrl-C."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    free = [number for number in SIGNALS[1:] if in_main_thread and _is_free(number)]
    before = {number: signal.signal(number, _raise) for number in free}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Request:
    """Notes a signal, so that a training can end at the next step with its state kept.

    Args:
        insist: whether a second signal ends the process where it is, for a user who does not want to wait.
    """

    def __init__(self, insist: bool = True) -> None:
        self.insist = insist
        self.number = 0
        """The signal that came; 0 if none has."""
        self._taken: dict[int, Any] = {}

    def listen(self) -> None:
        """Take the signals that nobody else handles."""
        if threading.current_thread() is threading.main_thread():
            self._taken = {number: signal.getsignal(number) for number in filter(_is_free, SIGNALS)}
            self.keep_listening()

    def keep_listening(self) -> None:
        """Take the same signals again, after another library has taken them."""
        for number in self._taken:
            signal.signal(number, self._note)

    def release(self) -> None:
        """Give the signals back."""
        for number, handler in self._taken.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number and self.insist:
            raise Interrupted(number=number)
        self.number = number


@contextmanager
def noted(*, insist: bool = True) -> Iterator[Request]:
    """Note signals instead of ending by them; see Request."""
    request = Request(insist)
    request.listen()
    try:
        yield request
    finally:
        request.release()


@contextmanager
def runs_kept() -> Iterator[None]:
    """Say what is kept when a signal, or KeyboardInterrupt, ends a grid."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stop:
        raise Interrupted(KEPT, Interrupted.of(stop).number) from stop


@contextmanager
def interrupts_reported(lock: "RunLock") -> Iterator[None]:
    """Say where a signal, or KeyboardInterrupt, stopped the run; Lightning exits after the latter."""
    try:
        yield
    except Interrupted as stop:
        raise interrupted(lock, stop.number) from stop
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):  # a cluster's signal, which its launcher handles
            raise
        raise interrupted(lock) from stop


def interrupted(lock: "RunLock", number: int = signal.SIGINT) -> Interrupted:
    """The end of a run by a signal, with what is kept of it."""
    fraction, epochs = lock.fraction_kept, lock.progress[1]
    if not fraction:
        return Interrupted("interrupted before its first checkpoint; rerun the same command to begin anew", number)
    epoch = int(fraction * epochs + 1e-9) + 1
    where = f"in epoch {epoch} of {epochs}" if epoch <= epochs else "in the final evaluation"
    return Interrupted(f"interrupted {where}; its state is kept; rerun the same command to resume", number)


def open_streams() -> None:
    """Give a process that was started without a standard stream, as by `>&-`, one that leads nowhere.

    Or the next file that is opened would take its number, and whatever is printed would be written into it. Standard
    input stays closed for who asks, since nothing to read is another thing than an empty text.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest number that is free
            if number:
                setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))


def complete_environment() -> None:
    """Give libraries the home folder and the user's name that they ask for, where a container has neither.

    The folder is a scratch folder, which is removed at the end. Where nothing can be written there is none, and
    whatever needs one will say so.
    """
    if not Path(os.path.expanduser("~")).is_dir():  # noqa: PTH111  Path raises an error instead
        with suppress(OSError):
            os.environ["HOME"] = tempfile.mkdtemp(prefix=PREFIX)
            atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())
