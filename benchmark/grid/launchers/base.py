"""What every launcher is: it turns work into futures, and no more.

What launchers have in common, claims, progress and records, goes through the store: any mixture of them may fill one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from benchmark.training.options import Options

Work = Callable[[Any], Any]
"""What a worker does with one argument, a run: can be pickled, and so can what it takes and gives."""


class WorkerDied(Exception):
    """The process that had the work ended without a result; the message says what is known of it."""


class Launcher(ABC):
    """Has work done somewhere."""

    options: Options
    """Those of the runs, their threads set."""
    slots: int | None
    """Runs at a time, None where that is the cluster's to say."""
    description: str
    """The same in words."""

    @abstractmethod
    def launch(self, work: Work, arguments: Sequence[Any]) -> list[Future[Any]]:
        """Have work done on each argument, begun in this order."""

    @abstractmethod
    def close(self, abort: bool) -> None:
        """Give back what the launcher holds; with `abort`, end what is under way."""


def threads_each(threads: int) -> str:
    """Threads of a run, in words."""
    return f"{threads} CPU thread{'s' * (threads != 1)} each"
