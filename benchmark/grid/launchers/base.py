"""The interface of all launchers: a launcher turns work into futures, and no more.

Locks, progress and records go through the store, so that launchers of different kinds can work on one store together.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from benchmark.formatting import count
from benchmark.training.options import Options

Work = Callable[[Any], Any]
"""Function that a worker calls with one argument, a run; the function, its argument and its result are picklable."""


class WorkerDied(Exception):
    """The process that did the work ended without a result; the message says what is known of the cause."""


class Launcher(ABC):
    """Runs work on some kind of machine."""

    options: Options
    """Options of the runs, with the number of threads decided."""
    slots: int | None
    """Maximum number of runs at a time; None if the cluster decides."""
    description: str
    """The place and the number of runs at a time, in words."""

    @abstractmethod
    def launch(self, work: Work, arguments: Sequence[Any]) -> list[Future[Any]]:
        """Do the work on each argument, starting in the order given."""

    @abstractmethod
    def close(self, abort: bool) -> None:
        """Release the launcher's resources; with `abort`, end the runs under way."""


def threads_each(threads: int) -> str:
    """The threads of each run, in words."""
    return f"{count(threads, 'CPU thread')} each"
